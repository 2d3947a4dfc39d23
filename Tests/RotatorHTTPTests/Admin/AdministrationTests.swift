// SPDX-License-Identifier: MIT

import RotatorCore
import Synchronization
import Testing

@testable import RotatorHTTP

@Suite("Administration") struct AdministrationTests {
    @Test(arguments: [StoreError.Code.unavailable, .notWritable, .locked, .damaged])
    func `a store that fails changes nothing, and the answer is 503`(_ code: StoreError.Code) async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        let key = await harness.makeKey("k", in: id)
        let version = harness.catalogue.version
        harness.store.fail(code)
        for (method, path, body) in [
            ("POST", "/admin/proxy-configs", AdminHarness.service(slug: "other")), ("PUT", "/admin/proxy-configs/\(id)", AdminHarness.service(slug: "other")),
            ("PATCH", "/admin/proxy-configs/\(id)", #"{"name":"x"}"#), ("PUT", "/admin/proxy-configs/\(id)/status", #"{"is_active":false}"#),
            ("DELETE", "/admin/proxy-configs/\(id)", ""), ("POST", "/admin/proxy-configs/\(id)/keys", #"{"key_value":"x"}"#),
            ("POST", "/admin/proxy-configs/\(id)/keys/batch", #"{"keys":["x"]}"#), ("DELETE", "/admin/proxy-configs/\(id)/keys", ""),
            ("GET", "/admin/proxy-configs/\(id)/keys/export", ""), ("PATCH", "/admin/keys/\(key)", #"{"weight":2}"#), ("DELETE", "/admin/keys/\(key)", ""),
            ("POST", "/admin/keys/\(key)/reset", ""), ("GET", "/admin/audit", ""),
        ] {
            let answer = await harness.call(method, path, body)
            #expect(answer.status == 503, "\(method) \(path)")
            #expect(answer.code == "store_unavailable")
            #expect(answer["Retry-After"] != nil)
        }
        #expect(harness.catalogue.version == version)
        // What is in memory can be read meanwhile.
        #expect(await harness.call("GET", "/admin/keys/\(key)").json["weight"].integer == 1)
        harness.store.fail(nil)
        #expect(await harness.call("PATCH", "/admin/keys/\(key)", #"{"weight":2}"#).status == 200)
    }

    @Test func `a write whose outcome is unknown is looked up before the next change`() async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        harness.store.peek { $0.failureAfterWriting = .unavailable }
        #expect(await harness.call("POST", "/admin/proxy-configs/\(id)/keys", #"{"key_value":"k1"}"#).status == 503)
        #expect(await harness.call("PATCH", "/admin/proxy-configs/\(id)", #"{"slug":"moved"}"#).status == 503)
        harness.store.peek { $0.failureAfterWriting = nil }
        #expect(await harness.call("POST", "/admin/proxy-configs/\(id)/keys", #"{"key_value":"k1"}"#).status == 409)
        #expect(await harness.call("GET", "/admin/keys/1").status == 200)
        #expect(harness.catalogue.snapshot.upstreams.keys.sorted() == ["moved"])
    }

    @Test func `before the store has been read, everything is 503, and the first change reads it`() async throws {
        let harness = try await AdminHarness(loaded: false)
        #expect(harness.administration.isLoaded == false)
        #expect(await harness.call("GET", "/admin/proxy-configs").status == 503)
        #expect(await harness.makeService() == 1)
        #expect(await harness.call("GET", "/admin/proxy-configs").status == 200)
    }

    @Test func `reading again brings memory to what the store has and keeps the pool`() async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        for value in ["a", "b", "c"] { _ = await harness.makeKey(value, in: id) }
        _ = await harness.makeService(slug: "gone")
        harness.store.peek { state in
            state.services.removeAll { $0.configuration.slug == "gone" }
            state.services[0].configuration.slug = "renamed"
            state.keys.removeAll { $0.id == KeyID(2) }
            state.keys[0].weight = 9
            state.keys.append(KeyRecord(id: KeyID(7), serviceID: ServiceID(Int64(id)), secret: Secret("d".utf8)))
        }
        try await harness.administration.load()
        #expect(harness.catalogue.snapshot.upstreams.keys.sorted() == ["renamed"])
        let views = try harness.administration.keys(of: ServiceID(Int64(id)), after: nil, limit: 10)
        #expect(views.map(\.id.rawValue) == [1, 3, 7])
        #expect(views[0].weight == 9)
    }

    @Test func `changes go one at a time, in the order in which they came`() async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        await withTaskGroup { group in
            for index in 0..<50 {
                group.addTask { _ = await harness.makeKey("key-\(index)", in: id) }
                group.addTask { await harness.call("PATCH", "/admin/proxy-configs/\(id)", #"{"max_wait_ms":\#(index)}"#) }
            }
        }
        #expect(harness.store.peek { $0.runningMost } == 1)
        let stored = harness.store.peek { $0.services[0] }
        #expect(harness.catalogue.snapshot.upstreams["openai"]?.record == stored)
        #expect(try harness.administration.keys(of: ServiceID(Int64(id)), after: nil, limit: 100).count == 50)
    }

    @Test func `a gate lets one through at a time, in order, and refuses when full`() async throws {
        let gate = SerialGate(waitingMax: 3)
        let order = Order()
        try await gate.enter()
        var tasks: [Task<Void, Never>] = []
        for number in 0..<3 {
            tasks.append(
                Task {
                    do { try await gate.enter() } catch { return }
                    order.append(number)
                    gate.leave()
                })
            // Each stands in line before the next one starts.
            while gate.waitingCount <= number { await Task.yield() }
        }
        await #expect(throws: SerialGate.Full.self) { try await gate.enter() }
        gate.leave()
        for task in tasks { await task.value }
        #expect(order.numbers == [0, 1, 2])
        try await gate.enter()
    }

    @Test func `the writer settles a doubt by itself`() async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        harness.store.peek { $0.failureAfterWriting = .unavailable }
        #expect(await harness.call("POST", "/admin/proxy-configs/\(id)/keys", #"{"key_value":"k1"}"#).status == 503)
        harness.store.peek { $0.failureAfterWriting = nil }
        #expect(await harness.call("GET", "/admin/keys/1").status == 404)
        let administration = harness.administration
        let writer = Task { await administration.runStandingWriter() }
        while await harness.call("GET", "/admin/keys/1").status == 404 { try await Task.sleep(for: .milliseconds(20)) }
        writer.cancel()
        await writer.value
    }

    @Test func `a change runs to its end although its caller is cancelled`() async throws {
        let harness = try await AdminHarness()
        let task = Task { await harness.makeService() }
        task.cancel()
        #expect(await task.value == 1)
        #expect(harness.catalogue.snapshot.upstreams["openai"] != nil)
    }

    @Test func `every change is audited, and no value ever`() async throws {
        let harness = try await AdminHarness()
        let id = await harness.makeService()
        let key = await harness.makeKey("sk-canary-1", in: id, name: "n")
        await harness.call("PUT", "/admin/proxy-configs/\(id)/status", #"{"is_active":false}"#)
        await harness.call("POST", "/admin/proxy-configs/\(id)/keys/batch", #"{"keys":["sk-canary-2","sk-canary-3","bad canary"]}"#)
        await harness.call("PATCH", "/admin/keys/\(key)", #"{"weight":2}"#)
        await harness.call("POST", "/admin/keys/\(key)/reset")
        await harness.call("DELETE", "/admin/keys/\(key)")
        await harness.call("GET", "/admin/proxy-configs/\(id)/keys/export")
        await harness.call("DELETE", "/admin/proxy-configs/\(id)/keys")
        await harness.call("DELETE", "/admin/proxy-configs/\(id)")
        // Refused: nothing was changed, so nothing is written down.
        await harness.call("DELETE", "/admin/proxy-configs/\(id)")
        let answer = await harness.call("GET", "/admin/audit?limit=1000")
        let lines = answer.json["items"].items.map { line in "\(Optional(line)["actor"].string ?? "") \(Optional(line)["action"].string ?? "") \(Optional(line)["subject"].string ?? "")" }
        #expect(
            lines == [
                "ada service.create service 1", "ada key.create key 1 of service 1", "ada service.update service 1", "ada keys.import 2 keys of service 1",
                "ada key.update key 1 of service 1", "ada key.reset key 1 of service 1", "ada key.delete key 1 of service 1",
                "ada keys.export 2 keys of service 1", "ada keys.clear 2 keys of service 1", "ada service.delete service 1",
            ])
        #expect(answer.json["items"][0]["at"].string == "2027-01-15T08:00:00.000Z")
        #expect(answer.json["items"][0].names == ["id", "at", "actor", "action", "subject"])
        let page = await harness.call("GET", "/admin/audit?limit=3&after=2").json
        #expect(page["items"].items.map { Optional($0)["id"].integer } == [3, 4, 5])
        #expect(page["next"].integer == 5)
        let everything = harness.log.lines.joined(separator: "\n") + answer.text
        #expect(!everything.contains("canary"))
    }

    @Test func `an audit entry that cannot be written waits, and keeps its place`() async throws {
        let harness = try await AdminHarness()
        harness.store.peek { $0.auditFailure = .unavailable }
        let id = await harness.makeService()
        #expect(id == 1)
        #expect(await harness.administration.flushStandings() == false)
        harness.store.peek { $0.auditFailure = nil }
        _ = await harness.makeKey("k", in: id)
        #expect(harness.store.auditEntries.isEmpty)
        #expect(await harness.administration.flushStandings())
        #expect(harness.store.auditEntries.map(\.action) == ["service.create", "key.create"])
    }

    @Test func `standings are written in one batch, and again when the store was away`() async throws {
        let harness = try await AdminHarness()
        for slug in ["a", "b"] { _ = await harness.makeKey("k", in: await harness.makeService(slug: slug)) }
        _ = await harness.administration.flushStandings()
        let batches = harness.store.batches.count
        for slug in ["a", "b"] { try spend(harness, slug) }
        harness.store.fail(.unavailable)
        #expect(await harness.administration.flushStandings() == false)
        harness.store.fail(nil)
        #expect(await harness.administration.flushStandings())
        #expect(harness.store.batches.count == batches + 1)
        #expect(Set(try #require(harness.store.batches.last).keys) == [KeyID(1), KeyID(2)])
        #expect(await harness.administration.flushStandings())
        #expect(harness.store.batches.count == batches + 1)
    }

    @Test func `the writer flushes once more when it is cancelled`() async throws {
        let harness = try await AdminHarness()
        _ = await harness.makeKey("k", in: await harness.makeService())
        _ = await harness.administration.flushStandings()
        let batches = harness.store.batches.count
        let administration = harness.administration
        let writer = Task { await administration.runStandingWriter() }
        try spend(harness, "openai")
        writer.cancel()
        await writer.value
        #expect(harness.store.batches.count == batches + 1)
        #expect(harness.store.batches.last?[KeyID(1)]?.counts.successes == 1)
    }

    @Test func `embedders are held to the same rules`() async throws {
        let harness = try await AdminHarness()
        let configuration = ServiceConfiguration(name: "x", slug: "X", kind: .llm, apiFormat: .generic, targetURL: "https://h")
        await #expect(throws: AdministrationError.invalid(member: "slug", reason: "must match [a-z0-9][a-z0-9-]{0,62}")) {
            try await harness.administration.addService(configuration, by: "system")
        }
        await #expect(throws: AdministrationError.serviceNotFound(ServiceID(5))) {
            try await harness.administration.addKey(NewKey(secret: Secret("k".utf8)), to: ServiceID(5), by: "system")
        }
    }

    /// One request's success on the key of a service.
    private func spend(_ harness: AdminHarness, _ slug: String) throws {
        let pool = try #require(harness.catalogue.snapshot.upstreams[slug]).pool
        switch pool.lease(model: nil, excluding: TriedKeys(), at: harness.clock.now) {
        case .granted(let lease): lease.settle(.success, model: nil, at: harness.clock.now)
        case .resting: Issue.record("the key rests")
        case .allTried: Issue.record("the key was tried")
        case .noKeys: Issue.record("there is no key")
        }
    }
}

private final class Order: Sendable {
    private let list = Mutex<[Int]>([])
    var numbers: [Int] { list.withLock { $0 } }
    func append(_ number: Int) { list.withLock { $0.append(number) } }
}
