// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Head parser") struct HeadParserTests {
    /// Feeds `octets` in two pieces, or in one where `cut` is nil, as a connection does: all that was seen before comes again in front.
    private func read(_ octets: [UInt8], kind: HeadParser.Kind = .request, cuts: [Int]) throws(HTTPFault) -> (step: HeadParser.Step, head: MessageHead) {
        var parser = HeadParser(kind)
        let head = MessageHead()
        for end in cuts.map({ min($0, octets.count) }) + [octets.count] {
            let held = head.bytes.count
            guard end > held || end == octets.count else { continue }
            head.bytes.append(Array(octets[held..<end]))
            let step = try parser.advance(over: head.bytes.view, head: head)
            if step != .incomplete { return (step, head) }
        }
        return (.incomplete, head)
    }

    /// Every place to cut a short text; a sample of a long one.
    private func cuts(_ count: Int) -> [Int] { count <= 400 ? Array(1..<max(2, count)) : [1, 10, 100, count / 2, count - 3, count - 2, count - 1] }

    @Test(arguments: HeadTexts.soundRequests)
    func `a sound head says the same however it is cut`(_ sound: HeadTexts.Sound) throws {
        let octets = Array(sound.text.utf8)
        for cut in [[]] + cuts(octets.count).map({ [$0] }) + [Array(1..<octets.count)] {
            let (step, head) = try read(octets, cuts: cut)
            #expect(step == .complete(octets.count))
            #expect(head.methodView.string == sound.method)
            #expect(head.targetView.string == sound.target)
            #expect(head.minorVersion == sound.minorVersion)
            #expect(head.contentLength == sound.contentLength)
            #expect(head.isChunked == sound.isChunked)
            #expect(head.fields.count == sound.fieldCount)
        }
    }

    @Test(arguments: HeadTexts.malformedRequests)
    func `a head outside the grammar is malformed however it is cut`(_ text: String) {
        let octets = Array(text.utf8)
        for cut in [[]] + cuts(octets.count).map({ [$0] }) + [Array(1..<max(2, octets.count))] {
            do throws(HTTPFault) {
                let (step, _) = try read(octets, cuts: cut)
                Issue.record("accepted as \(step), cut at \(cut.prefix(3))")
            } catch {
                guard case .malformed = error else {
                    Issue.record("refused as \(error)")
                    continue
                }
            }
        }
    }

    @Test(arguments: HeadTexts.otherwiseRefused.indices)
    func `limits, versions and codings are told apart from bad grammar`(_ index: Int) {
        let (text, fault) = HeadTexts.otherwiseRefused[index]
        let octets = Array(text.utf8)
        for cut in [[]] + cuts(octets.count).map({ [$0] }) {
            #expect(throws: fault) { try read(octets, cuts: cut) }
        }
    }

    @Test func `there are at least 250 texts`() {
        let bodies = BodyTexts.sound.count + BodyTexts.malformed.count
        #expect(HeadTexts.soundRequests.count + HeadTexts.malformedRequests.count + HeadTexts.otherwiseRefused.count + ResponseTexts.sound.count + ResponseTexts.malformed.count + bodies >= 250)
    }

    @Test func `octets after the head are not touched`() throws {
        let text = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /second"
        #expect(try read(Array(text.utf8), cuts: []).step == .complete(27))
    }

    @Test func `fields keep their case, order and doubles`() throws {
        let (_, head) = try read(Array("GET / HTTP/1.1\r\nhOsT: a\r\nX-B: 1\r\nx-a: 2\r\nX-B: 3\r\n\r\n".utf8), cuts: [])
        #expect(head.headerFields.lines.map { "\($0.name)=\($0.value)" } == ["hOsT=a", "X-B=1", "x-a=2", "X-B=3"])
    }

    @Test func `a known name with underscores is an alias that is never acted on`() throws {
        let (_, head) = try read(Array("GET / HTTP/1.1\r\nHost: a\r\nx_api_key: k\r\nContent_Length: 9\r\nX_Forwarded_For: b\r\n\r\n".utf8), cuts: [])
        #expect(head.fields.map(\.known) == [.host, .xAPIKey, .contentLength, .xForwarded])
        #expect(head.fields.map(\.isAlias) == [false, true, true, true])
        #expect(head.contentLength == nil)
        #expect(head.first(.xAPIKey) == nil)
    }

    @Test(arguments: ResponseTexts.sound)
    func `a sound response head is read however it is cut`(_ text: String) throws {
        let octets = Array(text.utf8)
        for cut in [[]] + cuts(octets.count).map({ [$0] }) {
            #expect(try read(octets, kind: .response, cuts: cut).step == .complete(octets.count))
        }
    }

    @Test(arguments: ResponseTexts.malformed)
    func `a response head outside the grammar is refused however it is cut`(_ text: String) {
        let octets = Array(text.utf8)
        for cut in [[]] + cuts(octets.count).map({ [$0] }) {
            #expect(throws: HTTPFault.self) {
                if try read(octets, kind: .response, cuts: cut).step == .incomplete { throw HTTPFault.malformed("incomplete") }
            }
        }
    }
}

/// Response heads.
enum ResponseTexts {
    static let sound = [
        "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 \r\n\r\n", "HTTP/1.1 200\r\n\r\n", "HTTP/1.0 404 Not Found\r\nA: b\r\n\r\n", "HTTP/1.1 599 \t x é\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n",
    ]

    static let malformed = [
        "HTTP/1.1 99 OK\r\n\r\n", "HTTP/1.1 600 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1\t200 OK\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/2 200\r\n\r\n", "ICY 200 OK\r\n\r\n", "HTTP/1.1 200 O\u{0}K\r\n\r\n", "HTTP/1.1 200 O\rK\r\n\r\n", "HTTP/1.1 200 OK\n\n", "\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "<html>\r\n\r\n", "HTTP/1.1 200 OK\r\nA b\r\n\r\n", "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
    ]
}

@Suite("Message head") struct MessageHeadTests {
    private func head(_ fields: String) throws -> MessageHead {
        let head = MessageHead()
        var parser = HeadParser(.request)
        let octets = Array("GET / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n".utf8)
        let taken = try unsafe octets.withUnsafeBytes { bytes throws(HTTPFault) in try unsafe parser.take(ByteView(bytes), into: head) }
        #expect(taken == octets.count)
        return head
    }

    @Test func `the first line of a name counts, and the next one once that is taken out`() throws {
        let head = try head("X-Api-Key: one\r\nx_api_key: alias\r\nx-api-key: two\r\n")
        #expect(head.first(.xAPIKey)?.string == "one")
        head.markRemoved(1)
        #expect(head.first(.xAPIKey)?.string == "two")
        head.markRemoved(3)
        #expect(head.first(.xAPIKey) == nil)
        #expect(head.fields.map(\.known) == [.host, .removed, .xAPIKey, .removed])
    }

    @Test func `a head that is used again knows nothing of the message before`() throws {
        let head = try head("Authorization: Bearer x\r\n")
        head.reset()
        #expect(head.first(.authorization) == nil && head.first(.host) == nil && head.fields.isEmpty)
    }

    @Test func `as many lines as are allowed are kept, each where it stood`() throws {
        let head = try head((1..<HTTPLimits.fieldCount).map { "f\($0): \($0)\r\n" }.joined())
        #expect(head.fields.count == HTTPLimits.fieldCount)
        #expect(head.value(head.fields[HTTPLimits.fieldCount - 1]).string == "\(HTTPLimits.fieldCount - 1)")
    }

    @Test(arguments: [
        ("a: 1\r\nb: 2\r\nc: 3\r\n", [], "Host: h\r\na: 1\r\nb: 2\r\nc: 3\r\n"),
        ("a: 1\r\nb: 2\r\nc: 3\r\n", [2], "Host: h\r\na: 1\r\nc: 3\r\n"),
        ("a:1\r\nb:\t2\r\nc:  3\r\nd: 4 \r\ne:\r\nf: \r\ng: 7\r\n", [], "Host: h\r\na: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\ne: \r\nf: \r\ng: 7\r\n"),
        ("a: 1\r\n", [0, 1], ""),
    ])
    func `lines are passed on as they stand, with one space where there was other white space`(_ fields: String, _ left: [Int], _ expected: String) throws {
        let head = try head(fields)
        let out = ByteBuffer()
        var run = LineRun()
        for (index, line) in head.fields.enumerated() where !left.contains(index) { run.add(line, of: head, to: out) }
        run.flush(of: head, to: out)
        #expect(out.view.string == expected)
    }
}
