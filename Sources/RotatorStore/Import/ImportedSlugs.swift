// SPDX-License-Identifier: MIT

/// Makes slugs of our grammar from another program's, the same ones each time it is given the same.
struct ImportedSlugs {
    private static let octetsMax = 63
    private var taken: Set<String>

    /// `slugs` are all that the source has: those of our grammar stay with their services, whatever the order.
    init(_ slugs: [String]) { taken = Set(slugs.filter(Self.isSlug)) }

    /// `slug` itself where it is one, else lower case with dashes in place of everything else, with a number at its end where that is taken.
    mutating func make(from slug: String, number: Int64) -> String {
        if Self.isSlug(slug) { return slug }
        var words: [Substring] = []
        let lowered = String(decoding: slug.utf8.map { 0x41...0x5A ~= $0 ? $0 | 0x20 : $0 }, as: UTF8.self)
        for word in lowered.split(whereSeparator: { !$0.utf8.allSatisfy(Self.isAlphanumeric) }) { words.append(word) }
        var base = String(words.joined(separator: "-").utf8.prefix(Self.octetsMax)) ?? ""
        while base.hasSuffix("-") { base.removeLast() }
        if base.isEmpty { base = "service-\(number)" }
        var candidate = base
        var count = 1
        while !taken.insert(candidate).inserted {
            count += 1
            let ending = "-\(count)"
            candidate = String(base.prefix(Self.octetsMax - ending.utf8.count)) + ending
        }
        return candidate
    }

    private static func isSlug(_ text: String) -> Bool {
        guard let first = text.utf8.first, isAlphanumeric(first), text.utf8.count <= octetsMax else { return false }
        return text.utf8.allSatisfy { isAlphanumeric($0) || $0 == 0x2D }
    }

    private static func isAlphanumeric(_ octet: UInt8) -> Bool { 0x61...0x7A ~= octet || 0x30...0x39 ~= octet }
}
