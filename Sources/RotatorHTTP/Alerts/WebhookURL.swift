// SPDX-License-Identifier: MIT

internal import RotatorCore

/// The URL of a webhook: an absolute http or https URL, which may have a query, without user information or fragment.
enum WebhookURL {
    static let octetsMax = 2_048

    /// Why this is not one, without repeating it; nil when it is one.
    static func fault(of text: String) -> String? {
        if text.utf8.count > octetsMax { return "is longer than \(octetsMax) octets" }
        let (base, query) = parts(of: text)
        if query.utf8.contains(where: { !(0x21...0x7E ~= $0) }) { return "holds white space, a control character or characters outside ASCII in its query" }
        if text.utf8.contains(UInt8(ascii: "#")) { return "must not have a fragment" }
        if let fault = TargetURL.fault(of: base) { return fault }
        return target(of: text) == nil ? "is not a URL that can be reached" : nil
    }

    /// Where it leads; nil for what is not such a URL.
    static func target(of text: String) -> UpstreamTarget? { UpstreamTarget(parts(of: text).base) }

    /// Scheme and host, which are no secret.
    static func masked(_ url: Secret) -> String {
        let text = unsafe url.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
        guard let target = target(of: text) else { return "…" }
        return "\(target.isTLS ? "https" : "http")://\(target.authority)/…"
    }

    private static func parts(of text: String) -> (base: String, query: Substring) {
        guard let mark = text.firstIndex(of: "?") else { return (text, "") }
        return (String(text[..<mark]), text[text.index(after: mark)...])
    }
}
