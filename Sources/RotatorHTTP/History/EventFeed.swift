// SPDX-License-Identifier: MIT

public import RotatorCore

/// What a ``TrafficRecorder`` is told of the rest of the process, each second.
public struct EventSource: Sendable {
    /// The changes of keys' states since the last call, with the slug of their service.
    public var keyChanges: @Sendable () -> [(change: KeyStateChange, service: String)]
    /// Whether the store answers.
    public var isStoreUp: @Sendable () -> Bool
    /// How many streams are being forwarded.
    public var openStreams: @Sendable () async -> Int

    /// The questions; by default nothing ever happens.
    public init(
        keyChanges: @escaping @Sendable () -> [(change: KeyStateChange, service: String)] = { [] },
        isStoreUp: @escaping @Sendable () -> Bool = { true },
        openStreams: @escaping @Sendable () async -> Int = { 0 }
    ) {
        self.keyChanges = keyChanges
        self.isStoreUp = isStoreUp
        self.openStreams = openStreams
    }
}

/// Tells events to everybody who listens, each over a stream of its own.
final class EventFeed: Sendable {
    private struct State: Sendable {
        var streams: [UInt64: EventStream.Mailbox] = [:]
        var lastNumber: UInt64 = 0
        var isClosed = false
        var told: [ServiceID: ServiceTotals] = [:]
        var isStoreUp: Bool?
        var nextHeartbeat = Moment.distantPast
    }

    /// So many may listen at the same time.
    static let streamsMax = 64
    static let heartbeatInterval = Duration.seconds(15)

    private let state = OutOfLineMutex(State())

    var hasListeners: Bool { state.withLock { !$0.streams.isEmpty } }

    /// A stream of what happens from now on until `end`; nil when too many listen, or nothing will be told any more.
    func listen(until end: Moment) -> EventStream? {
        state.withLock { state in
            guard !state.isClosed, state.streams.count < Self.streamsMax else { return nil }
            state.lastNumber += 1
            let number = state.lastNumber
            let mailbox = EventStream.Mailbox(end: end)
            if let isStoreUp = state.isStoreUp { mailbox.offer(Event.store(isUp: isStoreUp).octets, mayBeLost: false) }
            state.streams[number] = mailbox
            return EventStream(mailbox) { [weak self] in self?.forget(number) }
        }
    }

    private func forget(_ number: UInt64) { state.withLock { _ = $0.streams.removeValue(forKey: number) } }

    /// Tells what has happened since the last time: state changes first, in their order, then the store's, then the counters.
    func tell(
        keyChanges: [(change: KeyStateChange, service: String)], isStoreUp: Bool, totals: [ServiceID: ServiceTotals], times: MomentaryTimes = MomentaryTimes(),
        openStreams: Int, at now: Moment
    ) {
        state.withLock { state in
            var texts: [[UInt8]] = keyChanges.map { Event.keyState($0.change, service: $0.service).octets }
            if state.isStoreUp != isStoreUp { texts.append(Event.store(isUp: isStoreUp).octets) }
            state.isStoreUp = isStoreUp
            let isHeartbeatDue = now >= state.nextHeartbeat
            if isHeartbeatDue { state.nextHeartbeat = now + Self.heartbeatInterval }
            let before = state.told
            state.told = totals
            if state.streams.isEmpty { return }
            let counters = Event.counters(totals, since: before, times: times, openStreams: openStreams, at: now).octets
            for (number, mailbox) in state.streams {
                for text in texts { mailbox.offer(text, mayBeLost: false) }
                mailbox.offer(counters, mayBeLost: true)
                if isHeartbeatDue { mailbox.offer(Event.heartbeat, mayBeLost: true) }
                if now >= mailbox.end { mailbox.close() }
                if mailbox.isClosed { state.streams[number] = nil }
            }
        }
    }

    /// Ends all streams; none begins any more.
    func close() {
        let streams = state.withLock { state in
            state.isClosed = true
            defer { state.streams = [:] }
            return state.streams.values.map(\.self)
        }
        for mailbox in streams { mailbox.close() }
    }
}

/// One event as it goes out (WHATWG HTML, "Server-sent events").
struct Event: Sendable {
    let octets: [UInt8]

    /// A comment line, which says only that the stream lives.
    static let heartbeat = Array(": \n\n".utf8)

    private init(_ name: StaticString, _ write: (inout JSONWriter) -> Void) {
        var json = JSONWriter()
        json.openObject()
        write(&json)
        json.closeObject()
        // The writer escapes line breaks: one `data` line holds it all.
        octets = Array("event: \(name)\ndata: ".utf8) + json.octets + Array("\n\n".utf8)
    }

    static func keyState(_ change: KeyStateChange, service: String) -> Event {
        Event("key_state") { json in
            json.member("at", change.at)
            json.member("key_id", change.key.rawValue)
            json.member("service_id", change.service.rawValue)
            json.member("service", service)
            json.member("from", change.from.rawValue)
            json.member("to", change.to.rawValue)
            json.member("reason", change.reason.isEmpty ? nil : change.reason)
            json.member("until", change.until)
        }
    }

    static func store(isUp: Bool) -> Event { Event("store") { $0.member("is_up", isUp) } }

    /// What was counted between two moments; services without any are left out.
    static func counters(
        _ totals: [ServiceID: ServiceTotals], since before: [ServiceID: ServiceTotals], times: MomentaryTimes = MomentaryTimes(), openStreams: Int, at now: Moment
    ) -> Event {
        var all = ServiceTotals()
        var services: [(id: ServiceID, counted: ServiceTotals)] = []
        for (id, total) in totals.sorted(by: { $0.key < $1.key }) {
            let counted = total.subtracting(before[id] ?? ServiceTotals())
            guard counted.requests > 0 else { continue }
            services.append((id, counted))
            all.requests += counted.requests
            all.failures += counted.failures
            all.usage.add(counted.usage)
        }
        return Event("counters") { json in
            json.member("at", now)
            write(all, to: &json)
            json.member("open_streams", openStreams)
            json.name("latency_ms")
            json.write(times.durations)
            json.name("first_byte_ms")
            json.write(times.firstBytes)
            json.name("added_ms")
            json.write(times.additions)
            json.name("services")
            json.openArray()
            for service in services {
                json.openObject()
                json.member("service_id", service.id.rawValue)
                json.member("service", service.counted.slug)
                write(service.counted, to: &json)
                json.closeObject()
            }
            json.closeArray()
        }
    }

    private static func write(_ counted: ServiceTotals, to json: inout JSONWriter) {
        json.member("requests", counted.requests)
        json.member("failures", counted.failures)
        json.name("tokens")
        json.write(counted.usage)
    }
}

extension ServiceTotals {
    /// What has come since `earlier`.
    fileprivate func subtracting(_ earlier: ServiceTotals) -> ServiceTotals {
        var rest = self
        rest.requests -= earlier.requests
        rest.failures -= earlier.failures
        rest.unknownUsage -= earlier.unknownUsage
        rest.usage = TokenUsage(
            input: usage.input - earlier.usage.input, output: usage.output - earlier.usage.output,
            cachedInput: usage.cachedInput - earlier.usage.cachedInput, reasoning: usage.reasoning - earlier.usage.reasoning)
        return rest
    }
}
