// SPDX-License-Identifier: MIT

internal import RotatorCore

/// A value of a JSON document, and the pointer by which a fault names it.
struct JSONPlace {
    /// The value's octets, quotes and brackets included.
    var range: Range<Int>
    /// Where it stands in its document.
    var pointer: String

    /// That the value is not what is asked for.
    func fault(_ reason: String) -> RuleFault { RuleFault(place: pointer, reason: reason) }
}

// Documents that people write, read to the letter: whatever is not as asked for is a fault that names its place.
extension RawSpan {
    /// The array that the octets hold, and nothing else.
    func arrayDocument() throws(RuleFault) -> JSONPlace {
        let start = jsonStart()
        let whole = JSONPlace(range: start..<byteCount, pointer: "")
        guard start < byteCount, octet(start) == 0x5B else { throw whole.fault("must be an array") }
        let end: Int
        do { end = try jsonValueEnd(from: start) } catch { throw whole.fault("is not valid JSON") }
        guard jsonWhiteSpaceEnd(from: end) == byteCount else { throw whole.fault("is followed by something") }
        return JSONPlace(range: start..<end, pointer: "")
    }

    /// The elements of an array, in order.
    func elements(of array: JSONPlace) throws(RuleFault) -> [JSONPlace] {
        guard octet(array.range.lowerBound) == 0x5B else { throw array.fault("must be an array") }
        var elements: [JSONPlace] = []
        var index = jsonWhiteSpaceEnd(from: array.range.lowerBound + 1)
        // An array that was found whole ends with its bracket, so there is an octet at every index that is asked for here.
        if octet(index) == 0x5D { return elements }
        while true {
            let start = index
            do { index = try jsonValueEnd(from: start) } catch { throw array.fault("is not valid JSON") }
            elements.append(JSONPlace(range: start..<index, pointer: "\(array.pointer)/\(elements.count)"))
            index = jsonWhiteSpaceEnd(from: index)
            guard index < array.range.upperBound else { throw array.fault("is not valid JSON") }
            switch octet(index) {
            case 0x2C: index = jsonWhiteSpaceEnd(from: index + 1)
            case 0x5D where index + 1 == array.range.upperBound: return elements
            default: throw array.fault("is not valid JSON")
            }
        }
    }

    /// The members of an object by their names, each of which is among `known`.
    func members(of object: JSONPlace, known: Set<String>) throws(RuleFault) -> [String: JSONPlace] {
        guard octet(object.range.lowerBound) == 0x7B else { throw object.fault("must be an object") }
        var found: [String: JSONPlace] = [:]
        var members = JSONMembers(open: object.range.lowerBound)
        while let member = try next(of: &members, in: object) {
            let name = jsonString(member.name.lowerBound - 1..<member.name.upperBound + 1) ?? ""
            let place = JSONPlace(range: member.value, pointer: "\(object.pointer)/\(JSONPointer.token(String(name.prefix(64))))")
            guard known.contains(name) else { throw place.fault("is unknown here") }
            guard found.updateValue(place, forKey: name) == nil else { throw place.fault("stands there twice") }
        }
        return found
    }

    private func next(of members: inout JSONMembers, in object: JSONPlace) throws(RuleFault) -> JSONMembers.Member? {
        do { return try members.next(in: self) } catch { throw object.fault("is not valid JSON") }
    }

    /// A string of 1 to `octetsMax` octets.
    func string(_ place: JSONPlace, octetsMax: Int) throws(RuleFault) -> String {
        guard let text = jsonString(place.range) else { throw place.fault("must be a string") }
        guard 1...octetsMax ~= text.utf8.count else { throw place.fault("must have 1 to \(octetsMax) octets") }
        return text
    }

    /// A whole number; nil for every other value.
    func wholeNumber(_ place: JSONPlace) -> Int? { Int(text(place.range)) }
}
