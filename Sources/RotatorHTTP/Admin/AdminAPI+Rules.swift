// SPDX-License-Identifier: MIT

internal import RotatorCore

extension AdminAPI {
    func showRules(of id: ServiceID) throws(AdminProblem) -> LocalResponse { showRules(of: try record(id)) }

    func replaceRules(of id: ServiceID, _ request: LocalRequest, by user: String) async throws(AdminProblem) -> LocalResponse {
        _ = try record(id)
        let document = try MemberReader(request.body, known: ["rules"])
        guard let rules = document.rules else { throw .missingMember("rules") }
        do {
            return showRules(of: try await administration.changeRules(of: id, to: rules, by: user))
        } catch {
            throw AdminProblem(error)
        }
    }

    func resetRules(of id: ServiceID, by user: String) async throws(AdminProblem) -> LocalResponse {
        do { _ = try await administration.changeRules(of: id, to: nil, by: user) } catch { throw AdminProblem(error) }
        return LocalResponse(status: 204)
    }

    func showRules(of format: APIFormat) -> LocalResponse {
        var json = JSONWriter()
        json.openObject()
        json.member("api_format", format.rawValue)
        json.name("rules")
        json.write(json: administration.rules(of: format).document)
        json.closeObject()
        return .json(json.octets)
    }

    func explainRules(_ request: LocalRequest) throws(AdminProblem) -> LocalResponse {
        let document = try MemberReader(request.body, known: ["status", "headers", "body", "service_id", "api_format", "model", "rules"])
        let answer = try PastedAnswer(document).answer
        var service: ServiceConfiguration
        var table: any AnswerRules
        switch (try document.integer("service_id"), try document.word("api_format", APIFormat.self)) {
        case (let id?, nil):
            guard id > 0 else { throw .invalidMember("service_id", "must be a positive integer") }
            let record = try record(ServiceID(Int64(id)))
            service = record.configuration
            table = administration.rules(of: record).table
        case (nil, let format?):
            // A service that has nothing but its format.
            service = ServiceConfiguration(name: "", slug: "", kind: format == .generic ? .generic : .llm, apiFormat: format, targetURL: "")
            table = administration.rules(of: format)
        case (nil, nil): throw .missingMember("api_format")
        case (_?, _?): throw .invalidMember("api_format", "does not go with “service_id”, which has a format already")
        }
        if let rules = document.rules {
            do { table = try administration.readRules(rules, of: service.apiFormat) } catch { throw AdminProblem(error) }
        }
        let model = document.isNull("model") ? nil : try document.string("model")
        if let model, !(1...512 ~= model.utf8.count) { throw .invalidMember("model", "must have 1 to 512 octets, or be null") }
        let explanation = RuleExplanation(of: answer, by: table, for: service, model: model, at: clock())
        var json = JSONWriter()
        explanation.write(to: &json)
        return .json(json.octets)
    }

    private func showRules(of record: ServiceRecord) -> LocalResponse {
        let (table, isDefault) = administration.rules(of: record)
        var json = JSONWriter()
        json.openObject()
        json.member("is_default", isDefault)
        json.name("rules")
        json.write(json: table.document)
        json.closeObject()
        return .json(json.octets)
    }
}

extension MemberReader {
    /// The member `rules` as a document of its own; nil where it is missing.
    fileprivate var rules: [UInt8]? {
        value("rules").map { rules in
            var json = JSONWriter()
            json.write(rules)
            return json.octets
        }
    }
}

/// An upstream answer as somebody has pasted it.
private struct PastedAnswer {
    private static let bodyOctetsMax = 65_536
    private static let fieldsMax = 200
    private static let valueOctetsMax = 16_384

    /// The answer, without a content coding: what can be pasted is decoded already.
    let answer: UpstreamAnswer

    init(_ document: MemberReader) throws(AdminProblem) {
        guard let status = try document.integer("status") else { throw .missingMember("status") }
        guard 200...599 ~= status else { throw .invalidMember("status", "must be from 200 to 599") }
        let body = try document.string("body") ?? ""
        guard body.utf8.count <= Self.bodyOctetsMax else { throw .invalidMember("body", "is longer than \(Self.bodyOctetsMax) octets") }
        let fields = try Self.fields(document.value("headers"))
        answer = UpstreamAnswer(
            status: status, fields: HeaderFields(fields.filter { !$0.name.utf8.elementsEqual(ignoringASCIICase: "content-encoding".utf8) }),
            bodyPrefix: Array(body.utf8))
    }

    private static func fields(_ value: JSONValue?) throws(AdminProblem) -> [HeaderField] {
        var pairs: [(name: JSONValue, value: JSONValue)] = []
        switch value {
        case nil: break
        case .object(let members)?: pairs = members.map { (.string($0.name), $0.value) }
        case .array(let elements)?:
            for element in elements {
                guard case .object(let members) = element, members.count == 2, let name = members.first(where: { $0.name == "name" }),
                    let value = members.first(where: { $0.name == "value" })
                else { throw .invalidMember("headers", "must hold objects with “name” and “value” alone") }
                pairs.append((name.value, value.value))
            }
        case let other?: throw .invalidMember("headers", "must be an object of strings or an array, not \(other.kind)")
        }
        guard pairs.count <= fieldsMax else { throw .invalidMember("headers", "has more than \(fieldsMax) fields") }
        return try pairs.map { pair throws(AdminProblem) in
            guard case .string(let name) = pair.name, FieldSyntax.isToken(name) else { throw .invalidMember("headers", "has a name that no field can have") }
            guard case .string(let text) = pair.value else { throw .invalidMember("headers.\(name.prefix(64))", "must be a string") }
            let isBlank = { (octet: UInt8) in octet == 0x20 || octet == 0x09 }
            let value = String(decoding: Array(text.utf8.drop(while: isBlank).reversed().drop(while: isBlank).reversed()), as: UTF8.self)
            guard FieldSyntax.isFieldValue(value), value.utf8.count <= valueOctetsMax else {
                throw .invalidMember("headers.\(name.prefix(64))", "is not the value of a header field")
            }
            return HeaderField(name, value)
        }
    }
}
