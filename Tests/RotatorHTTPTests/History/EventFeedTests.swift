// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Event feed") struct EventFeedTests {
    private let start = Moment(seconds: 1_800_000_000)

    private func after(_ seconds: Int) -> Moment { start + .seconds(seconds) }

    private func change(_ key: Int64, to state: KeyState = .cooling) -> (change: KeyStateChange, service: String) {
        (KeyStateChange(key: KeyID(key), service: ServiceID(1), from: .active, to: state, reason: "rate_limited", until: after(30), at: start), "openai")
    }

    private let noTimes = ["latency_ms", "first_byte_ms", "added_ms"].map { "\"\($0)\":{\"p50\":null,\"p95\":null,\"p99\":null}" }.joined(separator: ",")

    @Test func `counters tell how long the exchanges of that second took`() async {
        let feed = EventFeed()
        let stream = feed.listen(until: .distantFuture)
        var times = MomentaryTimes()
        times.add(TrafficSample(.of(at: start, keys: [1, 2], duration: 2_000_000_000)))
        feed.tell(keyChanges: [], isStoreUp: true, totals: totals(1), times: times, openStreams: 0, at: start)
        let told = text(await stream?.next()) ?? ""
        func milliseconds(_ name: String) -> Double? {
            told.firstMatch(of: try! Regex("\"\(name)\":\\{\"p50\":([0-9.]+),", as: (Substring, Substring).self)).flatMap { Double($0.1) }
        }
        #expect(abs((milliseconds("latency_ms") ?? 0) - 2_000) < 160)
        #expect(abs((milliseconds("first_byte_ms") ?? 0) - 1_000) < 80)
        #expect((milliseconds("added_ms") ?? 1) < 0.02)
    }

    private func text(_ octets: [UInt8]?) -> String? { octets.map { String(decoding: $0, as: UTF8.self) } }

    private func totals(_ requests: Int64, failures: Int64 = 0, tokens: Int64 = 0) -> [ServiceID: ServiceTotals] {
        [ServiceID(1): ServiceTotals(slug: "openai", requests: requests, failures: failures, usage: TokenUsage(input: tokens, output: tokens))]
    }

    @Test func `events are framed by name, data and an empty line, changes before counters`() async {
        let feed = EventFeed()
        feed.tell(keyChanges: [], isStoreUp: true, totals: totals(5), openStreams: 0, at: start)
        let stream = feed.listen(until: .distantFuture)
        feed.tell(keyChanges: [change(7)], isStoreUp: false, totals: totals(8, failures: 1, tokens: 50), openStreams: 3, at: after(1))
        let timestamp = after(1).timestamp
        #expect(
            text(await stream?.next()) == """
                event: store
                data: {"is_up":true}

                event: key_state
                data: {"at":"\(start.timestamp)","key_id":7,"service_id":1,"service":"openai","from":"active","to":"cooling","reason":"rate_limited","until":"\(after(30).timestamp)"}

                event: store
                data: {"is_up":false}

                event: counters
                data: {"at":"\(timestamp)","requests":3,"failures":1,"tokens":{"input":50,"output":50,"cached_input":0,"reasoning":0,"total":100},"open_streams":3,\(noTimes),"services":[{"service_id":1,"service":"openai","requests":3,"failures":1,"tokens":{"input":50,"output":50,"cached_input":0,"reasoning":0,"total":100}}]}


                """)
    }

    @Test func `a second without requests is told as zeros`() async {
        let feed = EventFeed()
        feed.tell(keyChanges: [], isStoreUp: true, totals: totals(5), openStreams: 0, at: start)
        let stream = feed.listen(until: .distantFuture)
        _ = await stream?.next()
        feed.tell(keyChanges: [], isStoreUp: true, totals: totals(5), openStreams: 0, at: after(1))
        let told = text(await stream?.next())
        #expect(told?.hasPrefix("event: counters\n") == true)
        #expect(told?.contains(#""requests":0"#) == true && told?.contains(#""services":[]"#) == true)
    }

    @Test func `a reader that waits is told at once`() async {
        let feed = EventFeed()
        let stream = feed.listen(until: .distantFuture)
        async let told = stream?.next()
        await Task.yield()
        feed.tell(keyChanges: [change(1)], isStoreUp: true, totals: [:], openStreams: 0, at: start)
        #expect(text(await told)?.hasPrefix("event: key_state\n") == true)
    }

    @Test func `a comment goes out every fifteen seconds`() async {
        let feed = EventFeed()
        let stream = feed.listen(until: .distantFuture)
        var comments = 0
        for second in 0..<46 {
            feed.tell(keyChanges: [], isStoreUp: true, totals: [:], openStreams: 0, at: after(second))
            if text(await stream?.next())?.hasSuffix("\n\n: \n\n") == true { comments += 1 }
        }
        #expect(comments == 4)
    }

    @Test func `the stream ends with the token`() async {
        let feed = EventFeed()
        let stream = feed.listen(until: after(2))
        for second in 0..<3 { feed.tell(keyChanges: [], isStoreUp: true, totals: [:], openStreams: 0, at: after(second)) }
        #expect(await stream?.next() != nil)
        #expect(await stream?.next() == nil)
        #expect(!feed.hasListeners)
    }

    @Test func `a slow reader loses counters and no change, and is left behind beyond a megabyte`() async {
        let feed = EventFeed()
        let slow = feed.listen(until: .distantFuture)
        let fast = feed.listen(until: .distantFuture)
        var isLeft = false
        for round in 0..<20_000 {
            feed.tell(keyChanges: [change(Int64(round))], isStoreUp: true, totals: [:], openStreams: 0, at: after(round))
            _ = await fast?.next()
            if round == 2_999 {
                let told = text(await slow?.next()) ?? ""
                #expect(told.utf8.count < 1 << 20)
                let keys = told.split(separator: "\"key_id\":").dropFirst().compactMap { Int($0.prefix { $0.isNumber }) }
                #expect(keys == Array(0..<3_000))
                #expect(told.split(separator: "event: counters").count < 1_000)
            }
        }
        // What it has not taken is more than it may leave waiting.
        isLeft = await slow?.next() == nil
        #expect(isLeft)
        #expect(feed.hasListeners, "the other one goes on")
    }

    @Test func `so many may listen and no more, and one that goes makes room`() {
        let feed = EventFeed()
        var streams = (0..<64).map { _ in feed.listen(until: .distantFuture) }
        #expect(streams.allSatisfy { $0 != nil })
        #expect(feed.listen(until: .distantFuture) == nil)
        streams[5]?.cancel()
        #expect(feed.listen(until: .distantFuture) != nil, "and is forgotten at once, since nobody holds it")
        streams[5] = feed.listen(until: .distantFuture)
        #expect(streams[5] != nil)
        streams.removeAll()
        #expect(!feed.hasListeners)
    }

    @Test func `a reader that is cancelled while it waits returns`() async {
        let feed = EventFeed()
        guard let stream = feed.listen(until: .distantFuture) else { return #expect(Bool(false)) }
        async let end = stream.next()
        await Task.yield()
        stream.cancel()
        #expect(await end == nil)
    }

    @Test func `a feed that is closed ends every stream and begins none`() async {
        let feed = EventFeed()
        let stream = feed.listen(until: .distantFuture)
        feed.close()
        #expect(await stream?.next() == nil)
        #expect(feed.listen(until: .distantFuture) == nil)
    }

    @Test func `the administration tells whatever changes a key's state`() async throws {
        let harness = try await AdminHarness()
        let service = await harness.makeService()
        let key = await harness.makeKey("k", in: service)
        #expect(harness.administration.takeKeyStateChanges().isEmpty)
        // A pool that is made later takes note from its beginning.
        let other = await harness.makeService(slug: "other")
        await harness.call("PATCH", "/admin/keys/\(await harness.makeKey("l", in: other))", #"{"is_active":false}"#)
        #expect(harness.administration.takeKeyStateChanges().map(\.service) == ["other"])
        await harness.call("PATCH", "/admin/keys/\(key)", #"{"is_active":false}"#)
        await harness.call("PATCH", "/admin/keys/\(key)", #"{"is_active":true}"#)
        let changes = harness.administration.takeKeyStateChanges()
        #expect(changes.map(\.change.to) == [.disabled, .active])
        #expect(changes.map(\.service) == ["openai", "openai"])
        #expect(changes.allSatisfy { $0.change.key == KeyID(Int64(key)) })
    }

    @Test func `events answers a stream, HEAD none, and the sixty-fifth is refused`() async throws {
        let harness = try await AdminHarness()
        let head = await harness.call("HEAD", "/admin/events")
        #expect(head.status == 200 && head.response.stream == nil && head["Content-Type"] == "text/event-stream")
        var held: [any StreamedBody] = []
        for _ in 0..<64 {
            let answer = await harness.call("GET", "/admin/events")
            #expect(answer.status == 200 && answer["Content-Type"] == "text/event-stream" && answer["Cache-Control"] == "no-store")
            held.append(try #require(answer.response.stream))
        }
        let refused = await harness.call("GET", "/admin/events")
        #expect(refused.status == 503 && refused.code == "too_many_listeners" && refused["Retry-After"] != nil)
        held[0].cancel()
        #expect(await harness.call("GET", "/admin/events").status == 200)
    }

    @Test func `a recorder tells what it counted, and the stream ends when the token does`() async throws {
        let harness = try await AdminHarness()
        let stream = try #require(await harness.call("GET", "/admin/events").response.stream)
        harness.recorder.take([.of(at: harness.clock.now)])
        harness.recorder.fold()
        await harness.recorder.tell(EventSource(openStreams: { 4 }), at: harness.clock.now)
        let told = String(decoding: await stream.next() ?? [], as: UTF8.self)
        #expect(told.contains(#""requests":1,"failures":0"#) && told.contains(#""open_streams":4"#))
        harness.clock.advance(by: .seconds(43_200))
        await harness.recorder.tell(EventSource(), at: harness.clock.now)
        while await stream.next() != nil {}
    }
}
