// SPDX-License-Identifier: MIT

internal import Crypto
public import RotatorCore

extension CatalogueDocument {
    /// Reads a document: for as long as scrypt takes, on a thread of its own.
    ///
    /// - Parameters:
    ///   - octets: the JSON text.
    ///   - passphrase: opens what is sealed; nil: a document in which something is sealed is refused.
    ///   - adapter: the dialect of each format, which reads the rules of services.
    ///   - variables: the value of an environment variable, for the references `${NAME}` in place of secrets. Nil: references are refused, so that
    ///     nobody learns a server's environment by way of a document.
    public static func reading(
        _ octets: [UInt8], passphrase: Secret?, adapter: @escaping @Sendable (APIFormat) -> any Adapter, variables: (@Sendable (String) -> String?)? = nil
    ) async throws(CatalogueFault) -> CatalogueDocument {
        do throws(AdminProblem) {
            return try await reading(octets, passphrase: passphrase, adapter: adapter, variables: variables, on: SealingQueue())
        } catch {
            throw CatalogueFault(problem: error)
        }
    }

    static func reading(
        _ octets: [UInt8], passphrase: Secret?, adapter: @escaping @Sendable (APIFormat) -> any Adapter, variables: (@Sendable (String) -> String?)?,
        on queue: SealingQueue
    ) async throws(AdminProblem) -> CatalogueDocument {
        let outcome: Result<CatalogueDocument, AdminProblem>
        do {
            outcome = try await queue.run {
                do throws(AdminProblem) {
                    return .success(try CatalogueDocument(octets, passphrase: passphrase, adapter: adapter, variables: variables))
                } catch {
                    return .failure(error)
                }
            }
        } catch {
            throw AdminProblem(.busy)
        }
        return try outcome.get()
    }

    /// Reads a document. Blocks for as long as scrypt takes.
    init(_ octets: [UInt8], passphrase: Secret?, adapter: (APIFormat) -> any Adapter, variables: ((String) -> String?)?) throws(AdminProblem) {
        let root = try MemberReader(octets, known: ["format", "version", "kdf", "services", "clients"], valuesMax: Self.valuesMax)
        guard let format = try root.string("format") else { throw .missingMember("format") }
        if format != Self.format { throw .invalidMember("format", "must be “\(Self.format)”") }
        guard let version = try root.integer("version") else { throw .missingMember("version") }
        if version != Self.version { throw .invalidMember("version", "must be \(Self.version), the one that this server reads") }
        var secrets = SecretReader(seal: .absent, variables: variables)
        if let kdf = root.value("kdf"), kdf != .null {
            secrets.seal = try Self.at("/kdf") { () throws(AdminProblem) in try Self.seal(kdf, passphrase) }
        }
        services = try Self.services(in: root, secrets, adapter)
        clients = try Self.clients(in: root, secrets)
    }

    /// Above a document with as many keys as it may have, each with a name: keeps 64 MiB of `[0,0,0…` from becoming gigabytes of values.
    private static let valuesMax = 6_000_000

    /// Says where it was that `read` found fault.
    private static func at<Value>(_ place: @autoclosure () -> String, _ read: () throws(AdminProblem) -> Value) throws(AdminProblem) -> Value {
        do {
            return try read()
        } catch {
            var placed = error
            // One JSON pointer, wherever it begins to be known.
            placed.detail = error.detail.hasPrefix("/") ? place() + error.detail : "\(place()): \(error.detail)"
            throw placed
        }
    }

    private static func members(of value: JSONValue) throws(AdminProblem) -> [JSONValue.Member] {
        guard case .object(let members) = value else { throw AdminProblem(code: .invalidMember, detail: "must be an object, not \(value.kind).") }
        return members
    }

    private static func elements(_ name: String, in document: MemberReader) throws(AdminProblem) -> [JSONValue]? {
        switch document.value(name) {
        case nil: return nil
        case .array(let elements)?: return elements
        case let other?: throw .invalidMember(name, "must be an array, not \(other.kind)")
        }
    }

    // MARK: What is sealed

    private static func seal(_ kdf: JSONValue, _ passphrase: Secret?) throws(AdminProblem) -> SecretReader.Seal {
        let document = try MemberReader(try members(of: kdf), known: ["name", "n", "r", "p", "salt", "check"])
        guard let name = try document.string("name") else { throw .missingMember("name") }
        if name != "scrypt" { throw .invalidMember("name", "must be “scrypt”") }
        guard let n = try document.integer("n") else { throw .missingMember("n") }
        guard let r = try document.integer("r") else { throw .missingMember("r") }
        guard let p = try document.integer("p") else { throw .missingMember("p") }
        guard let text = try document.string("salt") else { throw .missingMember("salt") }
        guard let salt = [UInt8](base64: text) else { throw .invalidMember("salt", "must be base64") }
        guard let check = try document.string("check") else { throw .missingMember("check") }
        var parameters = PassphraseSeal.Parameters(salt: salt, n: n)
        parameters.r = r
        parameters.p = p
        // Before they are used: a document must not have the server spend minutes or gigabytes on it.
        guard parameters.isBearable else {
            throw AdminProblem(code: .invalidMember, detail: "n, r, p and salt are not what this server writes, nor up to four times as costly.")
        }
        guard let passphrase else { return .locked }
        guard let seal = PassphraseSeal(passphrase, parameters) else { throw AdminProblem(code: .invalidMember, detail: "scrypt does not take n, r and p.") }
        guard seal.open(check, at: .check) != nil else {
            throw AdminProblem(code: .wrongPassphrase, detail: "The document was sealed under another passphrase.")
        }
        return .open(seal)
    }

    /// Reads what is secret, in whichever of its forms.
    private struct SecretReader {
        /// What the document says of its seal.
        enum Seal {
            /// Nothing.
            case absent
            /// There is one, and no passphrase.
            case locked
            case open(PassphraseSeal)
        }

        var seal: Seal
        var variables: ((String) -> String?)?

        func open(_ text: String, at place: PassphraseSeal.Place) throws(AdminProblem) -> [UInt8] {
            switch seal {
            case .absent: throw .invalidMember("sealed", "cannot be opened: the document has no “kdf”")
            case .locked: throw AdminProblem(code: .invalidPassphrase, detail: "“sealed” needs the passphrase under which the document was exported.")
            case .open(let seal):
                guard let value = seal.open(text, at: place) else {
                    throw .invalidMember("sealed", "is not what was sealed for this place: it was changed, cut or moved")
                }
                return value
            }
        }

        /// A value that stands there as it is, or the one of the variable that it names.
        func plain(_ name: String, _ text: String) throws(AdminProblem) -> String {
            guard text.hasPrefix("${"), text.hasSuffix("}") else { return text }
            let variable = text.dropFirst(2).dropLast()
            guard let first = variable.utf8.first, !(0x30...0x39 ~= first), variable.utf8.allSatisfy({ 0x41...0x5A ~= $0 || 0x30...0x39 ~= $0 || $0 == 0x5F }) else {
                throw .invalidMember(name, "must name an environment variable by capital letters, digits and underscores between ${ and }")
            }
            guard let variables else {
                throw .invalidMember(name, "names an environment variable, which is possible in the file of ROTATOR_CATALOGUE alone")
            }
            guard let value = variables(String(variable)) else { throw .invalidMember(name, "names the environment variable \(variable), which is not set") }
            return value
        }
    }

    // MARK: Services

    private static func services(
        in root: MemberReader, _ secrets: SecretReader, _ adapter: (APIFormat) -> any Adapter
    ) throws(AdminProblem) -> [Service]? {
        guard let elements = try elements("services", in: root) else { return nil }
        var services: [Service] = []
        services.reserveCapacity(elements.count)
        var places: [String: Int] = [:]
        var keyCount = 0
        for (index, element) in elements.enumerated() {
            let service = try at("/services/\(index)") { () throws(AdminProblem) in try self.service(element, secrets, adapter) }
            if let other = places.updateValue(index, forKey: service.configuration.slug) {
                throw .invalidMember("/services/\(index)/slug", "is that of /services/\(other) too")
            }
            keyCount += service.keys?.count ?? 0
            if keyCount > keysMax { throw AdminProblem(code: .bodyTooLarge, detail: "A document has at most \(keysMax) keys.") }
            services.append(service)
        }
        return services
    }

    private static func service(
        _ value: JSONValue, _ secrets: SecretReader, _ adapter: (APIFormat) -> any Adapter
    ) throws(AdminProblem) -> Service {
        let members = try members(of: value)
        let document = try MemberReader(members, known: ServiceDocument.members.subtracting(["id"]).union(["keys", "rules"]))
        // Headers and keys have forms here that they do not have elsewhere.
        var service = Service(configuration: try ServiceDocument.configuration(from: document.without("extra_headers"), onto: nil))
        let slug = service.configuration.slug
        try readHeaders(in: document, secrets, into: &service)
        do {
            try service.configuration.validate()
        } catch {
            throw AdminProblem(error)
        }
        service.configuration.rules = try rules(in: document, adapter(service.configuration.apiFormat))
        if let elements = try elements("keys", in: document) {
            var keys: [Key] = []
            keys.reserveCapacity(elements.count)
            for (index, element) in elements.enumerated() {
                keys.append(try at("/keys/\(index)") { () throws(AdminProblem) in try key(element, of: slug, secrets) })
            }
            service.keys = keys
        }
        return service
    }

    /// The service's own table, as the table itself is written; nil: that of its format.
    private static func rules(in document: MemberReader, _ adapter: any Adapter) throws(AdminProblem) -> [UInt8]? {
        guard let value = document.value("rules"), value != .null else { return nil }
        var json = JSONWriter()
        json.write(value)
        do {
            return try adapter.rules(from: json.octets).document
        } catch {
            throw .invalidMember("/rules\(error.place)", error.reason)
        }
    }

    private static func readHeaders(in document: MemberReader, _ secrets: SecretReader, into service: inout Service) throws(AdminProblem) {
        guard let value = document.value("extra_headers") else { return }
        let headers = try at("/extra_headers") { () throws(AdminProblem) in try members(of: value) }
        for header in headers {
            let member = "extra_headers.\(header.name.prefix(64))"
            switch header.value {
            case .null: service.withheldHeaders.append(header.name)
            case .string(let text): service.configuration.extraHeaders[header.name] = try secrets.plain(member, text)
            case .object(let members):
                service.configuration.extraHeaders[header.name] = try at("/extra_headers/\(header.name.prefix(64))") { () throws(AdminProblem) in
                    guard let text = try MemberReader(members, known: ["sealed"]).string("sealed") else { throw .missingMember("sealed") }
                    let octets = try secrets.open(text, at: .header(header.name, service: service.configuration.slug))
                    guard let value = String(validating: octets, as: UTF8.self) else { throw .invalidMember("sealed", "is not text") }
                    return value
                }
            case let other: throw .invalidMember(member, "must be a string, an object with “sealed”, or null, not \(other.kind)")
            }
        }
    }

    private static let keyMembers = KeyDocument.attributeMembers.union(["sealed", "key_value", "name", "weight", "is_active"])

    private static func key(_ value: JSONValue, of slug: String, _ secrets: SecretReader) throws(AdminProblem) -> Key {
        let document = try MemberReader(try members(of: value), known: keyMembers)
        let secret: Secret
        switch (try document.string("sealed"), try document.string("key_value")) {
        case (let text?, nil): secret = Secret(try secrets.open(text, at: .key(service: slug)))
        case (nil, let text?): secret = Secret(try secrets.plain("key_value", text).utf8)
        case (nil, nil): throw .missingMember("key_value")
        case (_?, _?): throw .invalidMember("key_value", "stands there beside “sealed”")
        }
        var attributes = KeyAttributes()
        try KeyDocument.attributeChange(in: document)?(&attributes)
        let key = NewKey(
            secret: secret, name: document.isNull("name") ? "" : try document.string("name") ?? "", weight: try document.integer("weight") ?? 1,
            isActive: try document.bool("is_active") ?? true, attributes: attributes)
        if let fault = KeyRules.fault(ofValue: key.secret) { throw .invalidMember("key_value", fault) }
        if let fault = KeyRules.fault(ofName: key.name) { throw .invalidMember("name", fault) }
        if let fault = KeyRules.fault(ofWeight: key.weight) { throw .invalidMember("weight", fault) }
        if let (member, fault) = KeyRules.fault(of: attributes) { throw .invalidMember(member, fault) }
        return Key(key)
    }

    // MARK: Clients

    private static func clients(in root: MemberReader, _ secrets: SecretReader) throws(AdminProblem) -> [Client]? {
        guard let elements = try elements("clients", in: root) else { return nil }
        var clients: [Client] = []
        clients.reserveCapacity(elements.count)
        var names: [String: Int] = [:]
        var digests: [[UInt8]: Int] = [:]
        for (index, element) in elements.enumerated() {
            let client = try at("/clients/\(index)") { () throws(AdminProblem) in try self.client(element, secrets) }
            if let other = names.updateValue(index, forKey: client.name) { throw .invalidMember("/clients/\(index)/name", "is that of /clients/\(other) too") }
            if let other = digests.updateValue(index, forKey: client.digest) {
                throw .invalidMember("/clients/\(index)", "has the key of /clients/\(other)")
            }
            clients.append(client)
        }
        return clients
    }

    private static func client(_ value: JSONValue, _ secrets: SecretReader) throws(AdminProblem) -> Client {
        let document = try MemberReader(
            try members(of: value), known: ClientDocument.changeable.union(["sealed", "digest", "key_value", "key_masked"]))
        guard let name = try ClientDocument.name(in: document) else { throw .missingMember("name") }
        var masked = try document.string("key_masked")
        if let masked, masked.utf8.count > 64 || masked.unicodeScalars.contains(where: \.isControl) {
            throw .invalidMember("key_masked", "must be at most 64 octets without control characters")
        }
        let digest: [UInt8]
        switch (try document.string("sealed"), try document.string("digest"), try document.string("key_value")) {
        case (let text?, nil, nil): digest = try secrets.open(text, at: .client(name))
        case (nil, let text?, nil):
            guard let octets = text.hexadecimalOctets else { throw .invalidMember("digest", "must be hexadecimal") }
            digest = octets
        case (nil, nil, let text?):
            let secret = Secret(try secrets.plain("key_value", text).utf8)
            if let fault = KeyRules.fault(ofValue: secret) { throw .invalidMember("key_value", fault) }
            digest = Array(secret.sha256)
            masked = secret.masked
        case (nil, nil, nil): throw .missingMember("key_value")
        default: throw .invalidMember("key_value", "stands there beside “sealed” or “digest”")
        }
        guard digest.count == SHA256.byteCount else { throw .invalidMember("digest", "must be the SHA-256 of a key") }
        return Client(name: name, digest: digest, masked: masked, policy: try ClientDocument.revise(ClientPolicy(), from: document))
    }
}
