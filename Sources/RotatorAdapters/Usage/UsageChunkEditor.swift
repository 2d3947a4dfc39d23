// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Takes the chunk out of a chat stream that was asked for in the client's stead: the one with an empty `choices` and a `usage` that is not null. Everything else
/// passes octet by octet as it came.
///
/// Octets that are whole events and do not speak of usage pass where they lie; only an event that is cut is kept.
final class UsageChunkEditor: StreamEditor {
    /// The most that is held back.
    static let heldOctetsMax = 64 * 1024

    private var lines = EventLines()
    /// What has come of an event whose end has not.
    private var held: [UInt8] = []
    /// The present event is too long to be held, so it passes.
    private var passesEvent = false
    /// The chunk that was taken out ended with CR: an LF that comes next goes with it.
    private var takesLineFeed = false

    /// An editor at the start of a stream.
    init() {}

    func edit(_ octets: RawSpan, emit: (RawSpan) -> Void) {
        let count = octets.byteCount
        guard count > 0 else { return }
        var index = 0
        if takesLineFeed {
            takesLineFeed = false
            if octets.octet(0) == 0x0A {
                lines.lineFeedTaken()
                index = 1
            }
        }
        // Where begins what has neither been handed on nor taken out.
        var start = index
        while index < count {
            if lines.isBetweenEvents {
                index = octets.quietEnd(from: index)
                if index == count { break }
            }
            let event = eventRange(in: octets, from: &index)
            guard !lines.isInsideEvent, let event else {
                hand(octets, start..<(event?.lowerBound ?? count), emit)
                hold(octets, (event?.lowerBound ?? count)..<count, emit)
                return
            }
            if passesEvent {
                passesEvent = false
            } else if isUsageChunk(octets, event) {
                hand(octets, start..<event.lowerBound, emit)
                held = []
                start = event.upperBound
                takesLineFeed = lines.followsCR && index == count
            } else {
                handHeld(emit)
            }
        }
        hand(octets, start..<count, emit)
    }

    func finish(emit: (RawSpan) -> Void) { handHeld(emit) }

    /// The octets of the present event from `index` on, which is moved behind them; blank lines before it are not among them. Nil where none come.
    private func eventRange(in octets: RawSpan, from index: inout Int) -> Range<Int>? {
        var start: Int? = lines.isInsideEvent ? index : nil
        while let piece = lines.next(in: octets, from: &index) {
            switch piece {
            case .octets(let range): if start == nil { start = range.lowerBound }
            case .lineEnd: break
            case .eventEnd: return start.map { $0..<index }
            }
        }
        return start.map { $0..<index }
    }

    private func isUsageChunk(_ octets: RawSpan, _ range: Range<Int>) -> Bool {
        guard held.count + range.count <= UsageChunkEditor.heldOctetsMax else { return false }
        if held.isEmpty { return UsageChunkEditor.isUsageChunk(octets.extracting(range)) }
        let event = held + octets.copy(range)
        return UsageChunkEditor.isUsageChunk(unsafe event.span.bytes)
    }

    private static func isUsageChunk(_ event: RawSpan) -> Bool {
        guard event.usageMention(from: 0) != nil else { return false }
        var framer = EventStreamFramer()
        var isChunk = false
        framer.feed(event) { event, octets in
            guard !event.data.isEmpty, octets.octet(event.data.lowerBound) == 0x7B else { return }
            var members = JSONMembers(open: event.data.lowerBound)
            var hasNoChoices = false
            var hasUsage = false
            while let member = try? members.next(in: octets) {
                if octets.equals("choices", in: member.name) {
                    let value = member.value
                    hasNoChoices = octets.octet(value.lowerBound) == 0x5B && octets.jsonWhiteSpaceEnd(from: value.lowerBound + 1) == value.upperBound - 1
                } else if octets.equals("usage", in: member.name) {
                    hasUsage = !octets.equals("null", in: member.value)
                }
            }
            isChunk = hasNoChoices && hasUsage
        }
        return isChunk
    }

    // MARK: - Handing on

    private func hand(_ octets: RawSpan, _ range: Range<Int>, _ emit: (RawSpan) -> Void) {
        if !range.isEmpty { emit(octets.extracting(range)) }
    }

    private func handHeld(_ emit: (RawSpan) -> Void) {
        guard !held.isEmpty else { return }
        let octets = held
        held = []
        unsafe emit(octets.span.bytes)
    }

    private func hold(_ octets: RawSpan, _ range: Range<Int>, _ emit: (RawSpan) -> Void) {
        if !passesEvent, held.count + range.count <= UsageChunkEditor.heldOctetsMax {
            held.append(contentsOf: octets.copy(range))
        } else {
            passesEvent = true
            handHeld(emit)
            hand(octets, range, emit)
        }
    }
}
