// SPDX-License-Identifier: MIT

internal import RotatorCore

/// The last net under the rule that no secret is ever logged: replaces known secrets in whatever is about to be written.
///
/// Nothing may lean on it; it is there for the day that something goes wrong. It knows this installation's own credentials. Secrets of fewer
/// than ``octetsMin`` octets are not caught: replacing them would mangle ordinary words.
final class RedactionNet: Sendable {
    /// The shortest secret that is caught.
    static let octetsMin = 4
    /// What stands in a secret's place.
    static let placeholder = "‹redacted›"

    private let patterns = OutOfLineMutex(Patterns(secrets: []))

    /// A net that knows `secrets`.
    init(_ secrets: [Secret] = []) { add(secrets) }

    /// Catches `secrets` as well from now on.
    func add(_ secrets: [Secret]) {
        let copies = secrets.map { secret in unsafe secret.withUnsafeBytes { unsafe Array($0) } }
        patterns.withLock { $0 = Patterns(secrets: $0.secrets + copies) }
    }

    /// `text` with each known secret replaced.
    func redacted(_ text: String) -> String {
        let patterns = patterns.withLock { $0 }
        guard !patterns.secrets.isEmpty else { return text }
        let octets = Array(text.utf8)
        var kept: [UInt8] = []
        var index = 0
        var keptUpTo = 0
        while index + Self.octetsMin <= octets.count {
            guard let length = patterns.matchLength(in: octets, at: index) else {
                index += 1
                continue
            }
            kept += octets[keptUpTo..<index]
            kept += Self.placeholder.utf8
            index += length
            keptUpTo = index
        }
        if keptUpTo == 0 { return text }
        kept += octets[keptUpTo...]
        return String(decoding: kept, as: UTF8.self)
    }

    /// The secrets, found by their first two octets. Immutable: an addition makes another.
    private final class Patterns: Sendable {
        let secrets: [[UInt8]]
        private let byPrefix: [UInt16: [[UInt8]]]
        /// One bit per possible first two octets, so that nearly every position costs one look.
        private let mayBegin: [UInt64]

        init(secrets: [[UInt8]]) {
            self.secrets = secrets
            // The longest first: a secret that begins with another is replaced whole.
            let caught = secrets.filter { $0.count >= RedactionNet.octetsMin }.sorted { $0.count > $1.count }
            byPrefix = Dictionary(grouping: caught) { UInt16($0[0]) << 8 | UInt16($0[1]) }
            var bits = [UInt64](repeating: 0, count: 1_024)
            for prefix in byPrefix.keys { bits[Int(prefix >> 6)] |= 1 << UInt64(prefix & 63) }
            mayBegin = bits
        }

        func matchLength(in octets: [UInt8], at index: Int) -> Int? {
            let prefix = UInt16(octets[index]) << 8 | UInt16(octets[index + 1])
            guard mayBegin[Int(prefix >> 6)] & 1 << UInt64(prefix & 63) != 0, let candidates = byPrefix[prefix] else { return nil }
            return candidates.first { octets[index...].starts(with: $0) }?.count
        }
    }
}
