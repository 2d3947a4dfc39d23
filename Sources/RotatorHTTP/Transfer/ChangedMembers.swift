// SPDX-License-Identifier: MIT

internal import RotatorCore

extension ServiceDocument {
    /// The names of the members in which two configurations differ, in the order of the document.
    static func members(of one: ServiceConfiguration, thatDifferFrom other: ServiceConfiguration) -> [String] {
        let members = differing { json in write(ServiceRecord(id: ServiceID(0), configuration: one), to: &json) } from: { json in
            write(ServiceRecord(id: ServiceID(0), configuration: other), to: &json)
        }
        return members + (one.rules == other.rules ? [] : ["rules"])
    }
}

extension ClientDocument {
    /// The names of the members in which two clients differ, as a catalogue document calls them.
    static func members(of one: ClientRecord, thatDifferFrom other: ClientRecord) -> [String] {
        var names: [String] = []
        if one.name != other.name { names.append("name") }
        if one.digest != other.digest { names.append("digest") }
        if one.masked != other.masked { names.append("key_masked") }
        func write(_ policy: ClientPolicy, to json: inout JSONWriter) {
            json.openObject()
            ClientDocument.write(policy, to: &json)
            json.closeObject()
        }
        return names + differing { json in write(one.policy, to: &json) } from: { json in write(other.policy, to: &json) }
    }
}

/// The names of the members in which two JSON objects differ that have the same ones. By what is written, so that no member can be forgotten here.
private func differing(_ one: (inout JSONWriter) -> Void, from other: (inout JSONWriter) -> Void) -> [String] {
    zip(members(one), members(other)).filter { $0 != $1 }.map(\.0.name)
}

private func members(_ write: (inout JSONWriter) -> Void) -> [JSONValue.Member] {
    var json = JSONWriter()
    write(&json)
    guard case .object(let members)? = try? JSONParser.parse(json.octets) else { preconditionFailure("what was written can be read") }
    return members
}
