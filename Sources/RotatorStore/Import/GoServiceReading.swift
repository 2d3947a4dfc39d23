// SPDX-License-Identifier: MIT

internal import RotatorCore

/// One row of `proxy_configs` as it is turned into a service of ours: what becomes of it, and what there is to say about it.
struct GoServiceReading {
    let id: Int64
    let row: ForeignRow
    /// What was changed on the way.
    private(set) var notes: [String] = []
    /// Why the row makes no service; nil when it does.
    private(set) var fault: String?
    /// What the Go service put before every key of this service, where ours would not by itself.
    private(set) var keyPrefix: String?
    /// Whether ours would put `Bearer ` before the keys, and the Go service put nothing.
    private(set) var sendsBareKeys = false

    init(id: Int64, row: ForeignRow) {
        self.id = id
        self.row = row
    }

    /// The configuration, nil when ``fault`` says why there is none.
    mutating func configuration(slugs: inout ImportedSlugs) -> ServiceConfiguration? {
        guard let kind = kind(), let target = target(of: kind), let isActive = row.boolean("is_active", initial: true) else {
            fault = fault ?? "neither active nor inactive"
            return nil
        }
        let given = row.text("slug") ?? ""
        let slug = slugs.make(from: given, number: id)
        if slug != given { note("its slug is not of our grammar: it became \(slug), and its clients have to call that") }
        var made = ServiceConfiguration(name: name(slug: slug), slug: slug, kind: kind, apiFormat: .generic, targetURL: target)
        made.isActive = isActive
        if kind == .llm {
            made.apiFormat = word("api_format", initial: .openAICompatible)
            made.outputFormat = word("output_format", initial: .none)
        } else {
            made.method = row.text("method")?.uppercased()
            if made.method == nil { note("without a method the Go service refused every request: here any method is taken") }
        }
        place(&made)
        return made
    }

    private mutating func kind() -> ServiceKind? {
        let text = row.text("config_type")
        if let kind = text.flatMap({ ServiceKind(rawValue: $0.uppercased()) }) { return kind }
        let hasBase = row.text("target_base_url") != nil
        guard hasBase || row.text("target_url") != nil else {
            fault = "its config_type is not known, and it has no target"
            return nil
        }
        let kind: ServiceKind = hasBase ? .llm : .generic
        note("its config_type is not known: by its target it became \(kind.rawValue)")
        return kind
    }

    private mutating func target(of kind: ServiceKind) -> String? {
        let column = kind == .llm ? "target_base_url" : "target_url"
        guard var target = row.text(column) else {
            fault = "without \(column)"
            return nil
        }
        if let end = target.firstIndex(where: { $0 == "?" || $0 == "#" }) {
            // Not repeated: a query may hold a credential.
            note("\(column) had a query: it was cut off, and clients have to send it themselves")
            target = String(target[..<end])
        }
        return target
    }

    private mutating func name(slug: String) -> String {
        guard let text = row.text("name") else {
            note("without a name: it is named \(slug)")
            return slug
        }
        let plain = String(String.UnicodeScalarView(text.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F }.prefix(200)))
        if plain != text { note("its name held control characters or was longer than 200: it was mended") }
        return plain
    }

    private mutating func word<Word: RawRepresentable<String>>(_ column: String, initial: Word) -> Word {
        guard let text = row.text(column) else { return initial }
        if let word = Word(rawValue: text.lowercased()) { return word }
        note("its \(column) is not known: it became \(initial.rawValue)")
        return initial
    }

    /// Where the key goes. The Go service put `Bearer ` before the keys of OpenAI-compatible services in whatever header, and nothing before others.
    private mutating func place(_ made: inout ServiceConfiguration) {
        let location = row.text("api_key_location")
        let name = row.text("api_key_name")
        made.apiKeyName = name
        made.apiKeyLocation = location.flatMap { CredentialPlacement.Location(rawValue: $0.lowercased()) }
        if location != nil, made.apiKeyLocation == nil { note("its api_key_location is not known: the key goes where the format puts it") }
        if made.kind == .generic, location == nil || name == nil {
            note("without api_key_location or api_key_name the Go service sent no key: here it goes out as Authorization: Bearer until they are set")
            made.apiKeyLocation = nil
            made.apiKeyName = nil
            return
        }
        guard made.apiKeyLocation != .query else { return }
        let isAuthorization = name.map { $0.lowercased() == "authorization" } ?? true
        switch made.apiFormat {
        case .openAICompatible: keyPrefix = isAuthorization ? nil : "Bearer "
        case .generic: sendsBareKeys = isAuthorization
        case .anthropicNative, .geminiNative, .azureOpenAI: break
        }
    }

    private mutating func note(_ text: String) { notes.append("proxy_configs \(id): \(text)") }
}
