// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Why a head, a chunk or a trailer is refused.
enum HTTPFault: Error, Equatable {
    /// Outside RFC 9112's grammar, or a framing that two readers could understand differently.
    case malformed(String)
    /// The request line is over its limit.
    case targetTooLong
    /// A field line, the fields together or their number is over its limit.
    case fieldsTooLarge
    /// A transfer coding other than chunked.
    case unknownTransferCoding
    /// An HTTP version other than 1.x.
    case unsupportedVersion
}

/// The limits of contract §2.
enum HTTPLimits {
    static let requestLine = 16 * 1024
    static let fieldLine = 16 * 1024
    static let fields = 64 * 1024
    static let fieldCount = 200
    static let chunkExtensions = 16 * 1024
}

/// Reads a request or response head, line by line, from octets that come in any pieces (RFC 9112 §2–§6).
///
/// Without I/O: the caller appends to one run of octets and calls ``advance(over:head:)`` with all of it; work done is not done again.
struct HeadParser {
    enum Kind { case request, response }
    enum Step: Equatable {
        /// The head isn't whole yet.
        case incomplete
        /// The head is whole and takes so many octets.
        case complete(Int)
    }

    private let kind: Kind
    private var lineStart = 0
    private var scanned = 0
    private var hasStartLine = false
    private var fieldOctets = 0
    private var hostCount = 0
    private var contentLengthCount = 0
    private var transferEncodingCount = 0
    /// The fault of framing fields, told after the syntax of the whole head is known to be sound.
    private var hasUnknownCoding = false

    init(_ kind: Kind) { self.kind = kind }

    /// Whether any octet of a head has come.
    var hasBegun: Bool { scanned > 0 || hasStartLine }

    /// Takes octets that follow those of the calls before, and keeps in `head` what belongs to it. Returns how many of them do once the head is whole,
    /// nil as long as it is not. When it throws, `head` holds all octets that were looked at, so that what was parsed of it can be read.
    mutating func take(_ bytes: ByteView, into head: MessageHead) throws(HTTPFault) -> Int? {
        let held = head.bytes.count
        if held > 0 {
            head.bytes.append(bytes)
            guard case .complete(let length) = try advance(over: head.bytes.view, head: head) else { return nil }
            head.bytes.removeLast(head.bytes.count - length)
            return length - held
        }
        // The usual case, a head in one piece, is parsed where it lies.
        let step: Step
        do throws(HTTPFault) {
            step = try advance(over: bytes, head: head)
        } catch {
            head.bytes.append(bytes)
            throw error
        }
        guard case .complete(let length) = step else {
            head.bytes.append(bytes)
            return nil
        }
        head.bytes.append(bytes[0..<length])
        return length
    }

    /// Goes on over `bytes`, which begin with all that was seen before. Fills `head` (offsets count from the first of `bytes`).
    mutating func advance(over bytes: ByteView, head: MessageHead) throws(HTTPFault) -> Step {
        while true {
            guard let lineFeed = bytes.firstIndex(of: 0x0A, from: scanned) else {
                scanned = bytes.count
                let pending = bytes.count - lineStart
                if !hasStartLine {
                    if pending > HTTPLimits.requestLine + 1 { throw kind == .request ? .targetTooLong : .malformed("status line too long") }
                } else if pending > HTTPLimits.fieldLine + 1 || fieldOctets + pending > HTTPLimits.fields + 1 {
                    throw .fieldsTooLarge
                }
                return .incomplete
            }
            guard lineFeed > lineStart, bytes[lineFeed - 1] == 0x0D else { throw .malformed("bare LF") }
            let line = lineStart..<(lineFeed - 1)
            scanned = lineFeed + 1
            if !hasStartLine {
                if line.isEmpty, kind == .request {
                    // RFC 9112 §2.2: empty lines before a request line are passed over, within the limit of a request line.
                    if scanned > HTTPLimits.requestLine { throw .malformed("too many empty lines") }
                    lineStart = scanned
                    continue
                }
                if line.count > HTTPLimits.requestLine { throw kind == .request ? .targetTooLong : .malformed("status line too long") }
                switch kind {
                case .request: try parseRequestLine(bytes, line, head)
                case .response: try parseStatusLine(bytes, line, head)
                }
                hasStartLine = true
            } else if line.isEmpty {
                try finish(head)
                return .complete(scanned)
            } else {
                fieldOctets += line.count + 2
                if line.count > HTTPLimits.fieldLine || fieldOctets > HTTPLimits.fields || head.fields.count == HTTPLimits.fieldCount {
                    throw .fieldsTooLarge
                }
                try parseField(bytes, line, head)
            }
            lineStart = scanned
        }
    }

    private func parseRequestLine(_ bytes: ByteView, _ line: Range<Int>, _ head: MessageHead) throws(HTTPFault) {
        let text = bytes[line]
        guard let firstSpace = text.firstIndex(of: 0x20), firstSpace > 0 else { throw .malformed("request line") }
        guard text[0..<firstSpace].tokenCount() == firstSpace else { throw .malformed("method") }
        guard let secondSpace = text.firstIndex(of: 0x20, from: firstSpace + 1), secondSpace > firstSpace + 1 else { throw .malformed("request line") }
        for index in (firstSpace + 1)..<secondSpace {
            let octet = text[index]
            if octet &- 0x21 > 0x5D || octet == 0x23 { throw .malformed("request target") }
        }
        try parseVersion(text.dropFirst(secondSpace + 1), head)
        head.method = line.lowerBound..<(line.lowerBound + firstSpace)
        head.target = (line.lowerBound + firstSpace + 1)..<(line.lowerBound + secondSpace)
    }

    private func parseVersion(_ text: ByteView, _ head: MessageHead) throws(HTTPFault) {
        guard text.count == 8, text.hasPrefix("HTTP/"), text[6] == 0x2E, text[5] &- 0x30 < 10, text[7] &- 0x30 < 10 else { throw .malformed("HTTP version") }
        guard text[5] == 0x31 else { throw .unsupportedVersion }
        head.minorVersion = text[7] == 0x30 ? 0 : 1
    }

    private func parseStatusLine(_ bytes: ByteView, _ line: Range<Int>, _ head: MessageHead) throws(HTTPFault) {
        let text = bytes[line]
        // RFC 9112 §4: the space after the code stands even where the reason is empty; servers that leave it out are many, and it hides nothing.
        guard text.count >= 12, text[8] == 0x20, text.count == 12 || text[12] == 0x20 else { throw .malformed("status line") }
        try parseVersion(text[0..<8], head)
        var status = 0
        for index in 9..<12 {
            let digit = text[index] &- 0x30
            guard digit < 10 else { throw .malformed("status code") }
            status = status * 10 + Int(digit)
        }
        guard status >= 100, status < 600 else { throw .malformed("status code") }
        head.status = status
        let reasonStart = min(13, text.count)
        guard text.dropFirst(reasonStart).isFieldValue else { throw .malformed("reason phrase") }
        head.reason = (line.lowerBound + reasonStart)..<line.upperBound
    }

    private mutating func parseField(_ bytes: ByteView, _ line: Range<Int>, _ head: MessageHead) throws(HTTPFault) {
        let text = bytes[line]
        let colon = text.tokenCount()
        guard colon > 0, colon < text.count, text[colon] == 0x3A else { throw .malformed("field name") }
        var start = colon + 1
        var end = text.count
        while start < end, text[start] == 0x20 || text[start] == 0x09 { start += 1 }
        while end > start, text[end - 1] == 0x20 || text[end - 1] == 0x09 { end -= 1 }
        guard text[start..<end].isFieldValue else { throw .malformed("field value") }
        let (known, isAlias) = KnownField.of(text[0..<colon])
        head.append(FieldLine(
            nameStart: UInt32(line.lowerBound), nameCount: UInt16(colon), known: known, isAlias: isAlias,
            valueStart: UInt32(line.lowerBound + start), valueCount: UInt32(end - start)))
        if known != .other, !isAlias { try note(known, text[start..<end], head) }
    }

    /// Takes in what a field says of framing and of the connection.
    private mutating func note(_ field: KnownField, _ value: ByteView, _ head: MessageHead) throws(HTTPFault) {
        switch field {
        case .contentLength:
            contentLengthCount += 1
            guard contentLengthCount == 1 else { throw .malformed("Content-Length twice") }
            head.contentLength = try parseLength(value)
        case .transferEncoding:
            transferEncodingCount += 1
            guard transferEncodingCount == 1, !value.isEmpty else { throw .malformed("Transfer-Encoding") }
            try parseTransferEncoding(value, head)
        case .host where kind == .request:
            hostCount += 1
            guard hostCount == 1, isHost(value) else { throw .malformed("Host") }
        case .connection:
            var isSound = true
            forEachListElement(of: value) { option in
                if option.equals(lowercase: "close") {
                    head.connectionClose = true
                } else if option.equals(lowercase: "keep-alive") {
                    head.connectionKeepAlive = true
                } else {
                    if option.tokenCount() != option.count { isSound = false }
                    head.namesFieldsInConnection = true
                }
            }
            guard isSound else { throw .malformed("Connection") }
        case .expect where kind == .request:
            if value.equals(lowercase: "100-continue") { head.expectsContinue = true }
        default: break
        }
    }

    private mutating func parseTransferEncoding(_ value: ByteView, _ head: MessageHead) throws(HTTPFault) {
        var chunkedCount = 0
        var isChunkedLast = false
        var hasOther = false
        var isSound = true
        var start = 0
        while start <= value.count {
            let end = value.firstIndex(of: 0x2C, from: start) ?? value.count
            let coding = trimmed(value[start..<end])
            // An empty list element is a leniency of RFC 9110 §5.6.1.2: two readers may count the codings differently.
            if coding.isEmpty { isSound = false }
            isChunkedLast = coding.equals(lowercase: "chunked")
            if isChunkedLast { chunkedCount += 1 } else {
                hasOther = true
                // transfer-parameter: its name and value are checked no further than the coding's name, since the coding is refused anyway.
                let length = coding.tokenCount()
                let parameters = trimmed(coding.dropFirst(length))
                if length == 0 || (!parameters.isEmpty && parameters[0] != 0x3B) { isSound = false }
                if coding.count > 7, coding[0..<7].equals(lowercase: "chunked"), !isToken(coding[7]) { isSound = false }
            }
            start = end + 1
        }
        guard isSound, chunkedCount <= 1, chunkedCount == 0 || isChunkedLast else { throw .malformed("Transfer-Encoding") }
        if hasOther { hasUnknownCoding = true }
        head.isChunked = isChunkedLast
    }

    private func finish(_ head: MessageHead) throws(HTTPFault) {
        if transferEncodingCount > 0 {
            if contentLengthCount > 0 { throw .malformed("Content-Length with Transfer-Encoding") }
            if head.minorVersion == 0 { throw .malformed("Transfer-Encoding in HTTP/1.0") }
            if hasUnknownCoding { throw .unknownTransferCoding }
        }
        if kind == .request, head.minorVersion == 1, hostCount == 0 { throw .malformed("no Host") }
    }
}

/// `1*DIGIT` (RFC 9110 §8.6) that fits a signed 64-bit number.
func parseLength(_ text: ByteView) throws(HTTPFault) -> Int {
    guard !text.isEmpty else { throw .malformed("Content-Length") }
    var length = 0
    for index in 0..<text.count {
        let digit = text[index] &- 0x30
        guard digit < 10 else { throw .malformed("Content-Length") }
        let (product, overflow) = length.multipliedReportingOverflow(by: 10)
        let (sum, overflow2) = product.addingReportingOverflow(Int(digit))
        guard !overflow, !overflow2 else { throw .malformed("Content-Length") }
        length = sum
    }
    return length
}

/// `tchar` (RFC 9110 §5.6.2).
@inline(__always) func isToken(_ octet: UInt8) -> Bool {
    // Bits 33…126 of the set, in two words.
    let low: UInt64 = 0x03FF_6CFA_0000_0000
    let high: UInt64 = 0x57FF_FFFF_C7FF_FFFE
    return octet < 64 ? (low >> UInt64(octet)) & 1 == 1 : octet < 128 && (high >> UInt64(octet - 64)) & 1 == 1
}

/// `field-vchar`, SP or HTAB (RFC 9110 §5.5).
@inline(__always) func isFieldText(_ octet: UInt8) -> Bool {
    octet >= 0x20 ? octet != 0x7F : octet == 0x09
}

/// `uri-host [ ":" port ]` (RFC 9110 §7.2; RFC 3986 §3.2.2).
func isHost(_ text: ByteView) -> Bool {
    var index = 0
    if text.count > 0, text[0] == 0x5B {
        guard let end = text.firstIndex(of: 0x5D), end > 1 else { return false }
        for position in 1..<end {
            let octet = text[position]
            guard isUnreserved(octet) || isSubDelimiter(octet) || octet == 0x3A else { return false }
        }
        index = end + 1
    } else {
        while index < text.count, text[index] != 0x3A {
            let octet = text[index]
            if octet == 0x25 {
                guard index + 2 < text.count, isHexDigit(text[index + 1]), isHexDigit(text[index + 2]) else { return false }
                index += 3
                continue
            }
            guard isUnreserved(octet) || isSubDelimiter(octet) else { return false }
            index += 1
        }
    }
    if index == text.count { return true }
    guard text[index] == 0x3A else { return false }
    for position in (index + 1)..<text.count where text[position] &- 0x30 > 9 { return false }
    return true
}

@inline(__always) func isUnreserved(_ octet: UInt8) -> Bool {
    octet &- 0x30 < 10 || (octet | 0x20) &- 0x61 < 26 || octet == 0x2D || octet == 0x2E || octet == 0x5F || octet == 0x7E
}

@inline(__always) func isSubDelimiter(_ octet: UInt8) -> Bool {
    switch octet {
    case 0x21, 0x24, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x2B, 0x2C, 0x3B, 0x3D: true
    default: false
    }
}

@inline(__always) func isHexDigit(_ octet: UInt8) -> Bool { octet &- 0x30 < 10 || (octet | 0x20) &- 0x61 < 6 }
