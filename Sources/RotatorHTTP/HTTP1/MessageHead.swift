// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Field names that the proxy acts on, found while a head is parsed.
///
/// A name counts as known whether it is written with `-` or `_` (servers behind us may take one for the other); ``FieldLine/isAlias`` tells them apart.
enum KnownField: UInt8 {
    case other
    case host, connection, contentLength, transferEncoding, expect, cookie, setCookie
    case keepAlive, proxyConnection, te, trailer, upgrade, via, forwarded, xForwarded, proxyAuthenticate, proxyAuthorization
    case authorization, xProxyKey, xAPIKey, xGoogAPIKey, apiKey
    case contentType, xRequestID, anthropicVersion, xShouldRetry, xRotator, retryAfter, contentEncoding
    /// A client's credential for us, found and taken out.
    case removed

    /// How many there are.
    static let count = Int(KnownField.removed.rawValue) + 1
}

/// One field line as offsets into its head.
struct FieldLine {
    var nameStart: UInt32
    var nameCount: UInt16
    var known: KnownField
    /// Written with `_` where the known name has `-`: removed like it, never acted on.
    var isAlias: Bool
    var valueStart: UInt32
    var valueCount: UInt32
}

/// The field lines of a head, in order. Valid until the head is changed or given back.
///
/// Trivial on purpose: the lines are walked several times for each message, and a walk over an array counts references.
@safe struct FieldLines: RandomAccessCollection {
    private let lines: UnsafePointer<FieldLine>
    let count: Int

    fileprivate init(_ lines: UnsafePointer<FieldLine>, count: Int) {
        unsafe self.lines = lines
        self.count = count
    }

    var startIndex: Int { 0 }
    var endIndex: Int { count }

    @inline(__always) subscript(index: Int) -> FieldLine {
        precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "a line outside its head")
        return unsafe lines[index]
    }
}

/// A parsed request or response head: its octets, and where its fields lie in them. Reused from message to message.
@safe final class MessageHead {
    let bytes = ByteBuffer(capacity: 2048)
    private var lines = UnsafeMutablePointer<FieldLine>.allocate(capacity: MessageHead.usualLines)
    private var lineCapacity = MessageHead.usualLines
    private var lineCount = 0
    // An open stream holds two heads for as long as it lasts.
    private static let usualLines = 32
    // For each known name, the first line that has it in its own spelling; -1 where there is none.
    private let firstLines = UnsafeMutablePointer<Int16>.allocate(capacity: KnownField.count)

    // Request line
    var method: Range<Int> = 0..<0
    var target: Range<Int> = 0..<0
    // Status line
    var status = 0
    var reason: Range<Int> = 0..<0
    /// The minor version: 0 for HTTP/1.0, 1 for everything later.
    var minorVersion = 1

    // Framing, from the fields
    var contentLength: Int?
    var isChunked = false
    var connectionClose = false
    var connectionKeepAlive = false
    /// Whether `Connection` names anything but `close` and `keep-alive`, whose fields are removed anyway.
    var namesFieldsInConnection = false
    var expectsContinue = false

    init() { unsafe firstLines.initialize(repeating: -1, count: KnownField.count) }

    deinit {
        unsafe lines.deallocate()
        unsafe firstLines.deallocate()
    }

    func reset() {
        bytes.removeAll()
        lineCount = 0
        unsafe firstLines.update(repeating: -1, count: KnownField.count)
        method = 0..<0
        target = 0..<0
        status = 0
        reason = 0..<0
        minorVersion = 1
        contentLength = nil
        isChunked = false
        connectionClose = false
        connectionKeepAlive = false
        namesFieldsInConnection = false
        expectsContinue = false
    }

    /// The field lines.
    var fields: FieldLines { @inline(__always) get { unsafe FieldLines(lines, count: lineCount) } }

    /// Adds a line; there are fewer than ``HTTPLimits/fieldCount``.
    @inline(__always) func append(_ line: FieldLine) {
        precondition(lineCount < HTTPLimits.fieldCount, "no more lines than a head may have")
        if lineCount == lineCapacity { makeRoom() }
        unsafe (lines + lineCount).initialize(to: line)
        let known = Int(line.known.rawValue)
        if !line.isAlias, unsafe firstLines[known] < 0 { unsafe firstLines[known] = Int16(lineCount) }
        lineCount += 1
    }

    @inline(never) private func makeRoom() {
        lineCapacity *= 2
        let larger = UnsafeMutablePointer<FieldLine>.allocate(capacity: lineCapacity)
        unsafe larger.moveInitialize(from: lines, count: lineCount)
        unsafe lines.deallocate()
        unsafe lines = larger
    }

    /// Marks a line as a credential that was taken out.
    func markRemoved(_ index: Int) {
        precondition(index >= 0 && index < lineCount, "a line outside its head")
        let known = unsafe lines[index].known
        unsafe lines[index].known = .removed
        guard unsafe Int(firstLines[Int(known.rawValue)]) == index else { return }
        unsafe firstLines[Int(known.rawValue)] = Int16(fields.firstIndex { $0.known == known && !$0.isAlias } ?? -1)
    }

    @inline(__always) func name(_ line: FieldLine) -> ByteView {
        bytes.view[Int(line.nameStart)..<Int(line.nameStart) + Int(line.nameCount)]
    }

    @inline(__always) func value(_ line: FieldLine) -> ByteView {
        bytes.view[Int(line.valueStart)..<Int(line.valueStart) + Int(line.valueCount)]
    }

    var methodView: ByteView { bytes.view[method] }
    var targetView: ByteView { bytes.view[target] }

    /// The value of the first line of a known name; nil when there is none.
    func first(_ known: KnownField) -> ByteView? {
        let index = unsafe Int(firstLines[Int(known.rawValue)])
        return index < 0 ? nil : value(fields[index])
    }

    /// Whether `Connection` names the field (RFC 9110 §7.6.1).
    func isNamedByConnection(_ name: ByteView) -> Bool {
        for line in fields where line.known == .connection {
            var found = false
            forEachListElement(of: value(line)) { if namesAlike($0, name) { found = true } }
            if found { return true }
        }
        return false
    }

    /// A copy of the field lines as text, for decisions that are rare.
    var headerFields: HeaderFields {
        HeaderFields(fields.map { HeaderField(name($0).string, value($0).string) })
    }
}

/// Copies field lines into a buffer, neighbours together as they stand: most lines of a head are passed on.
struct LineRun {
    private var start = 0
    private var end = 0

    /// Adds a line, written as `name: value`.
    @inline(__always) mutating func add(_ line: FieldLine, of head: MessageHead, to out: ByteBuffer) {
        let octets = head.bytes.view
        let lineStart = Int(line.nameStart), valueStart = Int(line.valueStart), valueEnd = valueStart + Int(line.valueCount)
        // Not where there is more or other white space than one space.
        guard valueStart == lineStart + Int(line.nameCount) + 2, octets[valueStart - 1] == 0x20, octets[valueEnd] == 0x0D else {
            flush(of: head, to: out)
            out.append(head.name(line))
            out.append(": ")
            out.append(head.value(line))
            out.append("\r\n")
            return
        }
        if lineStart != end {
            flush(of: head, to: out)
            start = lineStart
        }
        end = valueEnd + 2
    }

    /// Copies what was added and is not in the buffer yet.
    @inline(__always) mutating func flush(of head: MessageHead, to out: ByteBuffer) {
        if end > start { out.append(head.bytes.view[start..<end]) }
        (start, end) = (0, 0)
    }
}

/// Calls `body` with each element of a comma-separated list, without white space around it; empty elements are passed over (RFC 9110 §5.6.1).
func forEachListElement(of list: ByteView, _ body: (ByteView) -> Void) {
    var start = 0
    while start <= list.count {
        let end = list.firstIndex(of: 0x2C, from: start) ?? list.count
        let element = trimmed(list[start..<end])
        if !element.isEmpty { body(element) }
        start = end + 1
    }
}

/// The octets without spaces and tabs at either end.
@inline(__always) func trimmed(_ view: ByteView) -> ByteView {
    var start = 0
    var end = view.count
    while start < end, view[start] == 0x20 || view[start] == 0x09 { start += 1 }
    while end > start, view[end - 1] == 0x20 || view[end - 1] == 0x09 { end -= 1 }
    return view[start..<end]
}

extension KnownField {
    /// The known name that `name` is, in either spelling; the octets may be in any case.
    static func of(_ name: ByteView) -> (KnownField, isAlias: Bool) {
        switch name.count {
        case 2: if name.equals(lowercase: "te") { return (.te, false) }
        case 3: if name.equals(lowercase: "via") { return (.via, false) }
        case 4: if name.equals(lowercase: "host") { return (.host, false) }
        case 6:
            if name.equals(lowercase: "cookie") { return (.cookie, false) }
            if name.equals(lowercase: "expect") { return (.expect, false) }
        case 7:
            if name.equals(lowercase: "upgrade") { return (.upgrade, false) }
            if name.equals(lowercase: "trailer") { return (.trailer, false) }
            return dashed(name, "api-key", .apiKey)
        case 9:
            if name.equals(lowercase: "forwarded") { return (.forwarded, false) }
            return dashed(name, "x-api-key", .xAPIKey)
        case 10:
            if name.equals(lowercase: "connection") { return (.connection, false) }
            let found = dashed(name, "keep-alive", .keepAlive)
            return found.0 == .other ? dashed(name, "set-cookie", .setCookie) : found
        case 11: 
            let found = dashed(name, "x-proxy-key", .xProxyKey)
            if found.0 != .other { return found }
            return dashed(name, "retry-after", .retryAfter)
        case 12:
            let found = dashed(name, "content-type", .contentType)
            if found.0 != .other { return found }
            return dashed(name, "x-request-id", .xRequestID)
        case 13: if name.equals(lowercase: "authorization") { return (.authorization, false) }
        case 14:
            let found = dashed(name, "content-length", .contentLength)
            if found.0 != .other { return found }
            let second = dashed(name, "x-should-retry", .xShouldRetry)
            if second.0 != .other { return second }
            let third = dashed(name, "x-goog-api-key", .xGoogAPIKey)
            if third.0 != .other { return third }
        case 16:
            let found = dashed(name, "proxy-connection", .proxyConnection)
            if found.0 != .other { return found }
            let second = dashed(name, "content-encoding", .contentEncoding)
            if second.0 != .other { return second }
        case 17:
            let found = dashed(name, "transfer-encoding", .transferEncoding)
            if found.0 != .other { return found }
            let second = dashed(name, "anthropic-version", .anthropicVersion)
            if second.0 != .other { return second }
        case 18:
            let found = dashed(name, "proxy-authenticate", .proxyAuthenticate)
            if found.0 != .other { return found }
        case 19:
            let found = dashed(name, "proxy-authorization", .proxyAuthorization)
            if found.0 != .other { return found }
        default: break
        }
        // `x-forwarded-…` and `x-rotator-…`
        guard name.count > 10, name[0] | 0x20 == 0x78, name[2] | 0x20 == 0x66 || name[2] | 0x20 == 0x72 else { return (.other, false) }
        let prefix = dashed(name[0..<min(12, name.count)], "x-forwarded-", .xForwarded)
        if prefix.0 != .other {
            return (.xForwarded, isAlias: prefix.isAlias)
        }
        return dashed(name[0..<10], "x-rotator-", .xRotator)
    }

    private static func dashed(_ name: ByteView, _ text: StaticString, _ field: KnownField) -> (KnownField, isAlias: Bool) {
        guard name.count == text.utf8CodeUnitCount else { return (.other, false) }
        var isAlias = false
        for index in 0..<name.count {
            let wanted = unsafe text.utf8Start[index]
            let octet = name[index].lowercasedASCII
            if octet != wanted {
                guard octet == 0x5F, wanted == 0x2D else { return (.other, false) }
                isAlias = true
            }
        }
        return (field, isAlias)
    }
}

/// Whether the names are equal without regard to case, `_` standing for `-` too.
func namesAlike(_ name: ByteView, _ other: ByteView) -> Bool {
    guard name.count == other.count else { return false }
    for index in 0..<name.count {
        var left = name[index].lowercasedASCII
        var right = other[index].lowercasedASCII
        if left == 0x5F { left = 0x2D }
        if right == 0x5F { right = 0x2D }
        if left != right { return false }
    }
    return true
}
