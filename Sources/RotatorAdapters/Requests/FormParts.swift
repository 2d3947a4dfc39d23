// SPDX-License-Identifier: MIT

/// Walks the parts of a `multipart/form-data` body (RFC 2046 §5.1, RFC 7578) without copying them.
struct FormParts {
    /// One part: its head and its value.
    struct Part {
        var head: Range<Int>
        var value: Range<Int>

        /// Whether its Content-Disposition names the form field `name`.
        func isNamed(_ name: StaticString, in body: RawSpan) -> Bool {
            let text = body.text(head)
            for line in text.split(whereSeparator: \.isNewline) where String(line).begins(with: "content-disposition:") {
                for parameter in line.split(separator: ";") {
                    let parts = parameter.split(separator: "=", maxSplits: 1).map { $0.filter { $0 != " " && $0 != "\t" && $0 != "\"" } }
                    if parts.count == 2, parts[0].lowercased() == "name", parts[1] == "\(name)" { return true }
                }
            }
            return false
        }
    }

    private static let headOctetsMax = 4096

    /// CRLF, two hyphens, boundary.
    private let delimiter: [UInt8]
    /// How far a mismatch lets the search go on, by the octet under the delimiter's end (Horspool).
    private let shifts: [Int]
    private var index: Int?

    /// The parts between delimiters of `boundary`.
    init(boundary: [UInt8]) {
        delimiter = [0x0D, 0x0A, 0x2D, 0x2D] + boundary
        var shifts = [Int](repeating: delimiter.count, count: 256)
        for (position, octet) in delimiter.dropLast().enumerated() { shifts[Int(octet)] = delimiter.count - 1 - position }
        self.shifts = shifts
    }

    /// The next part that lies whole in `body`.
    mutating func next(in body: RawSpan) -> Part? {
        if index == nil {
            // The first delimiter may stand at the very start, without its CRLF.
            let opening = delimiter.dropFirst(2)
            if body.byteCount >= opening.count, body.copy(0..<opening.count).elementsEqual(opening) {
                index = opening.count
            } else {
                index = delimiterStart(in: body, from: 0).map { $0 + delimiter.count } ?? body.byteCount
            }
        }
        while let start = index, start < body.byteCount {
            // `--` behind a delimiter ends the form; white space may stand before the line's end.
            if body.begins("--", at: start) { break }
            guard let lineEnd = body.first(0x0A, from: start, to: min(body.byteCount, start + FormParts.headOctetsMax)),
                let end = delimiterStart(in: body, from: lineEnd - 1)
            else { break }
            index = end + delimiter.count
            // Anything but white space behind a delimiter makes it part of a longer word.
            guard (start..<lineEnd).allSatisfy({ [0x20, 0x09, 0x0D].contains(body.octet($0)) }) else { continue }
            if let headEnd = headEnd(in: body, from: lineEnd + 1, to: end) {
                return Part(head: lineEnd + 1..<headEnd, value: min(headEnd + 4, end)..<end)
            }
        }
        index = body.byteCount
        return nil
    }

    /// Where the CRLF CRLF behind a part's head begins.
    private func headEnd(in body: RawSpan, from start: Int, to end: Int) -> Int? {
        var index = start
        let limit = min(end, start + FormParts.headOctetsMax)
        while let hit = body.first(0x0D, from: index, to: limit) {
            if body.begins("\r\n\r\n", at: hit) { return hit }
            index = hit + 1
        }
        return nil
    }

    private func delimiterStart(in body: RawSpan, from start: Int) -> Int? {
        var index = max(0, start)
        let last = delimiter.count - 1
        while index + last < body.byteCount {
            let octet = body.octet(index + last)
            if octet == delimiter[last], (0..<last).allSatisfy({ body.octet(index + $0) == delimiter[$0] }) { return index }
            index += shifts[Int(octet)]
        }
        return nil
    }

    /// The boundary that the parameters of a Content-Type name: 1 to 70 octets (RFC 2046 §5.1.1).
    static func boundary(in parameters: [UInt8]) -> [UInt8]? {
        for parameter in parameters.split(separator: 0x3B) {
            guard let equals = parameter.firstIndex(of: 0x3D) else { continue }
            let name = parameter[..<equals].filter { $0 != 0x20 && $0 != 0x09 }
            guard String(decoding: name, as: UTF8.self).equals("boundary") else { continue }
            var value = parameter[(equals + 1)...]
            while let last = value.last, last == 0x20 || last == 0x09 { value.removeLast() }
            while let first = value.first, first == 0x20 || first == 0x09 { value.removeFirst() }
            if value.count >= 2, value.first == 0x22, value.last == 0x22 { value = value.dropFirst().dropLast() }
            return 1...70 ~= value.count ? Array(value) : nil
        }
        return nil
    }
}
