// SPDX-License-Identifier: MIT

/// Watches the octets of an event stream as they are forwarded. Never delays, keeps or edits one.
///
/// Sees what decides whether a stream went well: how many events came, whether its dialect's end was said, whether an error stood in it.
public struct EventStreamTap: Sendable {
    /// What was seen so far.
    public struct Tally: Sendable, Hashable {
        /// Events with data.
        public fileprivate(set) var eventCount = 0
        /// Blocks without data: comments such as OpenRouter's `: OPENROUTER PROCESSING`. They show that a connection lives, not that a model answers.
        public fileprivate(set) var silentBlockCount = 0
        /// The stream said that it is complete: `[DONE]` (OpenAI chat), `message_stop` (Anthropic), `response.completed`, `.failed` or `.incomplete`
        /// (OpenAI responses), `message-end` (Cohere).
        public fileprivate(set) var sawEnd = false
        /// An `event: error`, or data that is an object with a member `error` that is not null, as the OpenAI and Anthropic SDKs look for them.
        public fileprivate(set) var sawError = false
    }

    /// What was seen so far.
    public private(set) var tally = Tally()

    private var framer: EventStreamFramer

    /// A tap on a stream from its start.
    public init(eventOctetsMax: Int = 256 * 1024) { framer = EventStreamFramer(eventOctetsMax: eventOctetsMax) }

    /// Whether the stream's last octets belong to an event that never ended.
    public var endsInsideEvent: Bool { framer.hasUnfinishedEvent }

    /// Looks at the next octets. `onEvent` is told of each event with data that they complete.
    public mutating func watch(_ bytes: RawSpan, onEvent: (EventStreamEvent, RawSpan) -> Void = { _, _ in }) {
        var tally = tally
        framer.feed(bytes) { event, octets in
            tally.note(event, octets)
            if event.hasData || !event.isWhole { onEvent(event, octets) }
        }
        self.tally = tally
    }
}

extension EventStreamTap.Tally {
    fileprivate mutating func note(_ event: EventStreamEvent, _ octets: RawSpan) {
        guard event.hasData || !event.isWhole else {
            silentBlockCount += 1
            return
        }
        eventCount += 1
        if octets.equals("[DONE]", in: event.data) { sawEnd = true }
        if !event.type.isEmpty {
            if octets.equals("error", in: event.type) { sawError = true }
            let ends: [StaticString] = ["message_stop", "response.completed", "response.failed", "response.incomplete", "message-end"]
            if ends.contains(where: { octets.equals($0, in: event.type) }) { sawEnd = true }
        }
        if !sawError, namesError(octets, event.data) { sawError = true }
    }

    /// Whether the object in `range` has a member `error` that is not null, false or empty text.
    private func namesError(_ octets: RawSpan, _ range: Range<Int>) -> Bool {
        guard !range.isEmpty, octets.octet(range.lowerBound) == 0x7B else { return false }
        var members = JSONMembers(open: range.lowerBound)
        do throws(JSONFlaw) {
            while let member = try members.next(in: octets) {
                guard octets.equals("error", in: member.name) else { continue }
                if !octets.equals("null", in: member.value), !octets.equals("false", in: member.value), !octets.equals("\"\"", in: member.value) { return true }
            }
        } catch {}
        return false
    }
}
