// SPDX-License-Identifier: MIT

internal import RotatorAdapters
internal import Testing

@Suite("Event streams") struct EventStreamTests {
    /// What is seen of an event, positions aside.
    struct Seen: Hashable, Sendable {
        var type: String
        var data: String?
        var isWhole = true

        init(_ data: String?, type: String = "", isWhole: Bool = true) {
            self.type = type
            self.data = data
            self.isWhole = isWhole
        }
    }

    /// Feeds `pieces` and collects the events, and where they end in the whole stream.
    private func events(_ pieces: [[UInt8]], eventOctetsMax: Int = 256 * 1024) -> (seen: [Seen], ends: [Int], isUnfinished: Bool) {
        var framer = EventStreamFramer(eventOctetsMax: eventOctetsMax)
        var seen: [Seen] = []
        var ends: [Int] = []
        var base = 0
        for piece in pieces {
            unsafe framer.feed(piece.span.bytes) { event, octets in
                func text(_ range: Range<Int>) -> String { String(decoding: range.map { unsafe octets.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }, as: UTF8.self) }
                seen.append(Seen(event.hasData ? text(event.data) : nil, type: text(event.type), isWhole: event.isWhole))
                ends.append(base + event.end)
            }
            base += piece.count
        }
        return (seen, ends, framer.hasUnfinishedEvent)
    }

    static let texts: [(String, [Seen], Bool)] = [
        ("data: a\n\n", [Seen("a")], false),
        ("data:a\r\rdata: b\r\r", [Seen("a"), Seen("b")], false),
        ("data:a\r\n\r\ndata: b\r\n\r\n", [Seen("a"), Seen("b")], false),
        ("data:a\r\n\ndata: b\n\r\ndata:c\r\r\n", [Seen("a"), Seen("b"), Seen("c")], false),
        ("\u{FEFF}data: a\n\n", [Seen("a")], false),
        ("\u{FEFF}data: a\n\n\u{FEFF}data: b\n\n", [Seen("a"), Seen(nil)], false),
        ("\n\n\r\n\rdata: a\n\n\n\n", [Seen("a")], false),
        ("data:  two spaces\n\n", [Seen(" two spaces")], false),
        ("data: YHOO\ndata: +2\ndata: 10\n\n", [Seen("YHOO\n+2\n10")], false),
        (": test stream\n\ndata: first\nid: 1\n\ndata:second\nid\n\ndata:  third\n\n", [Seen(nil), Seen("first"), Seen("second"), Seen(" third")], false),
        ("data\n\ndata\ndata\n\ndata:", [Seen(""), Seen("\n")], true),
        ("event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n", [Seen("73857293", type: "add"), Seen("2153", type: "remove")], false),
        ("event: a\nevent: b\r\ndata: 1\rdata: 2\n\n", [Seen("1\n2", type: "b")], false),
        ("event: ping\n\n", [Seen(nil, type: "ping")], false),
        ("retry: 10\nDATA: x\nda: y\ndata : z\n\n", [Seen(nil)], false),
        ("data: a:b: c\n\n", [Seen("a:b: c")], false),
        ("data: unfinished\n", [], true),
        ("data: unfinished", [], true),
        ("", [], false),
        (": OPENROUTER PROCESSING\n\ndata: {\"x\":\"\u{E9}\u{1F600}\"}\n\ndata: [DONE]\n\n", [Seen(nil), Seen("{\"x\":\"\u{E9}\u{1F600}\"}"), Seen("[DONE]")], false),
    ]

    @Test(arguments: texts)
    func `a stream is read whole`(_ text: String, _ expected: [Seen], _ isUnfinished: Bool) {
        let result = events([Array(text.utf8)])
        #expect(result.seen == expected)
        #expect(result.isUnfinished == isUnfinished)
    }

    @Test(arguments: texts)
    func `a stream cut at every octet gives the same events`(_ text: String, _ expected: [Seen], _ isUnfinished: Bool) {
        let octets = Array(text.utf8)
        for first in 0...octets.count {
            #expect(events([Array(octets[..<first]), Array(octets[first...])]).seen == expected)
            for second in first...octets.count {
                let result = events([Array(octets[..<first]), Array(octets[first..<second]), Array(octets[second...])])
                if result.seen != expected || result.isUnfinished != isUnfinished { Issue.record("cut at \(first) and \(second): \(result)") }
            }
        }
        #expect(events(octets.map { [$0] }).seen == expected)
    }

    @Test func `an event ends behind its blank line`() {
        #expect(events([Array("data: a\n\ndata: b\r\n\r\n: c\r\rdata: d\n\n".utf8)]).ends == [9, 20, 25, 34])
    }

    @Test func `an event that lies whole in the fed octets is reported where it lies`() {
        let octets = Array("data: a\n\nevent: e\ndata: b\n\n".utf8)
        var framer = EventStreamFramer()
        var ranges: [Range<Int>] = []
        unsafe framer.feed(octets.span.bytes) { event, seen in
            #expect(seen.byteCount == octets.count)
            ranges += [event.type, event.data]
        }
        #expect(ranges == [0..<0, 6..<7, 16..<17, 24..<25])
    }

    @Test func `memory stays bounded, and the stream goes on behind an event that is too long`() {
        let long = "data: " + String(repeating: "x", count: 5000) + "\n\n"
        let text = Array("data: a\n\n\(long)data: b\n\n".utf8)
        let expected = [Seen("a"), Seen(nil, isWhole: false), Seen("b")]
        #expect(events([text], eventOctetsMax: 100).seen == expected)
        #expect(events(text.map { [$0] }, eventOctetsMax: 100).seen == expected)
        for size in [7, 64, 99, 100, 101, 1000] {
            let pieces = stride(from: 0, to: text.count, by: size).map { Array(text[$0..<min($0 + size, text.count)]) }
            #expect(events(pieces, eventOctetsMax: 100).seen == expected)
        }
    }

    @Test func `an error from the caller passes through, and the framer goes on`() {
        struct Stop: Error {}
        var framer = EventStreamFramer()
        let octets = Array("data: a\n\n".utf8)
        #expect(throws: Stop.self) { unsafe try framer.feed(octets.span.bytes) { _, _ in throw Stop() } }
    }

    @Test func `random streams give the same events however they are cut`() {
        var random = SplitMix(seed: 9)
        let seed = Array("\u{FEFF}event: a\r\ndata: 1\ndata: 2\r\r: c\n\ndata:3\n\nid: 7\r\ndata\r\n\r\n".utf8)
        for _ in 0..<2000 {
            let octets = random.damaged(seed)
            let whole = events([octets])
            let bytewise = events(octets.map { [$0] })
            if whole.seen != bytewise.seen || whole.isUnfinished != bytewise.isUnfinished { Issue.record("\(octets)") }
            let cut = Int.random(in: 0...octets.count, using: &random)
            #expect(events([Array(octets[..<cut]), Array(octets[cut...])], eventOctetsMax: 20).seen == events([octets], eventOctetsMax: 20).seen)
        }
    }

    // MARK: - Tap

    private func tally(_ text: String) -> EventStreamTap.Tally {
        var whole = EventStreamTap()
        let octets = Array(text.utf8)
        unsafe whole.watch(octets.span.bytes)
        var bytewise = EventStreamTap()
        for octet in octets { unsafe bytewise.watch([octet].span.bytes) }
        #expect(whole.tally == bytewise.tally)
        return whole.tally
    }

    @Test func `the tap knows each dialect's end`() {
        #expect(tally("data: {\"choices\":[]}\n\ndata: [DONE]\n\n").sawEnd)
        #expect(tally("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n").sawEnd)
        #expect(tally("event: response.completed\ndata: {}\n\n").sawEnd)
        #expect(tally("event: message-end\ndata: {}\n\n").sawEnd)
        #expect(!tally("data: {\"choices\":[]}\n\n").sawEnd)
    }

    @Test func `the tap sees errors inside a stream`() {
        #expect(tally("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n").sawError)
        #expect(tally("data: {\"id\":1,\"error\":{\"code\":502}}\n\n").sawError)
        #expect(!tally("data: {\"id\":1,\"error\":null,\"x\":{\"error\":1}}\n\n").sawError)
        #expect(!tally("event: response.created\ndata: {\"response\":{\"error\":null}}\n\n").sawError)
    }

    @Test func `comments are no events`() {
        let tally = tally(": keep-alive\n\n: OPENROUTER PROCESSING\n\ndata: {}\n\n")
        #expect(tally.silentBlockCount == 2)
        #expect(tally.eventCount == 1)
    }
}
