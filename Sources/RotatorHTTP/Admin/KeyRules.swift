// SPDX-License-Identifier: MIT

internal import RotatorCore

/// What a key's members may hold. Each answer says what is wrong without repeating the value.
enum KeyRules {
    static let octetsMax = 8_192
    static let weights = 1...1_000_000
    static let nameCharactersMax = 200

    /// Why this is not a key's value; nil when it is one.
    static func fault(ofValue value: Secret) -> String? {
        if value.count == 0 { return "is empty" }
        if value.count > octetsMax { return "is longer than \(octetsMax) octets" }
        let isVisible = unsafe value.withUnsafeBytes { octets in
            unsafe octets.allSatisfy { 0x21...0x7E ~= $0 }
        }
        return isVisible ? nil : "holds something other than visible ASCII characters"
    }

    /// Why this cannot be added to a pool; nil when it can.
    static func fault(of key: NewKey) -> String? {
        fault(ofValue: key.secret) ?? fault(ofName: key.name) ?? fault(ofWeight: key.weight) ?? fault(of: key.attributes)?.reason
    }

    static func fault(ofWeight weight: Int) -> String? {
        weights.contains(weight) ? nil : "must be from 1 to 1000000"
    }

    /// Why this is not a name for people; nil when it is one.
    static func fault(ofName name: String) -> String? {
        if name.unicodeScalars.count > nameCharactersMax { return "is longer than \(nameCharactersMax) characters" }
        return name.unicodeScalars.contains(where: \.isControl) ? "holds a control character" : nil
    }
}

extension Unicode.Scalar {
    /// C0 and DEL.
    var isControl: Bool { value < 0x20 || value == 0x7F }
}
