// SPDX-License-Identifier: MIT

/// A small JSON object whose members are asked for by name. Copies; for single events and errors, not for bodies.
///
/// The last member of a name counts. What lies behind a flaw is not there.
struct JSONObject {
    /// The whole text of the object.
    let octets: [UInt8]
    private var values: [(name: String, value: Range<Int>)] = []

    /// The object that begins at `start` in `bytes`; nil where none does, or its end has not come. An array's first element stands for it, as Gemini wraps
    /// errors.
    init?(_ bytes: RawSpan, at start: Int = 0) {
        guard start < bytes.byteCount else { return nil }
        let start = bytes.octet(start) == 0x5B ? bytes.jsonWhiteSpaceEnd(from: start + 1) : start
        guard start < bytes.byteCount, bytes.octet(start) == 0x7B, let end = try? bytes.jsonValueEnd(from: start) else { return nil }
        let octets = bytes.copy(start..<end)
        var members = JSONMembers(open: 0)
        let copy = unsafe octets.span.bytes
        while let member = try? members.next(in: copy) {
            values.append((copy.jsonString(member.name.lowerBound - 1..<member.name.upperBound + 1) ?? "", member.value))
        }
        self.octets = octets
    }

    /// Each member: its name, and whether its value is anything but null, false, an empty text, an empty object or an empty array.
    var members: [(name: String, isFilled: Bool)] { values.map { ($0.name, isFilled($0.value)) } }

    /// Whether there is a member `name` that says something.
    func isFilled(_ name: String) -> Bool { value(name).map(isFilled) ?? false }

    /// The text of a member that is a string.
    func string(_ name: String) -> String? {
        value(name).flatMap { unsafe octets.span.bytes.jsonString($0) }
    }

    /// The whole number of a member that is one, or a string that spells one.
    func number(_ name: String) -> Int? {
        value(name).flatMap { value in
            let bytes = unsafe octets.span.bytes
            return Int(bytes.jsonString(value) ?? bytes.text(value))
        }
    }

    /// The object of a member.
    func object(_ name: String) -> JSONObject? {
        value(name).flatMap { value in octets[value.lowerBound] == 0x7B ? unsafe JSONObject(octets.span.bytes, at: value.lowerBound) : nil }
    }

    /// The objects of a member that is an array of objects; nil where it is not, or holds something else.
    func array(_ name: String) -> [JSONObject]? {
        guard let value = value(name), octets[value.lowerBound] == 0x5B else { return nil }
        let bytes = unsafe octets.span.bytes
        var objects: [JSONObject] = []
        var elements = JSONElements(open: value.lowerBound)
        while let element = elements.next(in: bytes) {
            guard bytes.octet(element.lowerBound) == 0x7B, let object = JSONObject(bytes, at: element.lowerBound) else { return nil }
            objects.append(object)
        }
        return objects
    }

    /// The object of a member that says of a failure; nil where it says nothing.
    func failure(_ name: String) -> JSONObject? { object(name).flatMap { $0.values.isEmpty ? nil : $0 } }

    /// An object with the member `name` alone, as it is here.
    func wrapped(_ name: String) -> [UInt8] {
        value(name).map { Array("{\"\(name)\":".utf8) + octets[$0] + [0x7D] } ?? octets
    }

    /// An object that has this one as its `error`.
    var asError: [UInt8] { Array(#"{"error":"#.utf8) + octets + [0x7D] }

    private func value(_ name: String) -> Range<Int>? { values.last { $0.name == name }?.value }

    private func isFilled(_ value: Range<Int>) -> Bool {
        let bytes = unsafe octets.span.bytes
        switch bytes.octet(value.lowerBound) {
        case 0x7B, 0x5B: return bytes.jsonWhiteSpaceEnd(from: value.lowerBound + 1) < value.upperBound - 1
        default: return !bytes.equals("null", in: value) && !bytes.equals("\"\"", in: value) && !bytes.equals("false", in: value)
        }
    }
}
