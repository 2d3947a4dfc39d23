// SPDX-License-Identifier: MIT

internal import RotatorCore

extension AdminAPI {
    func exportCatalogue(_ request: LocalRequest, _ query: AdminQuery, by user: String) async throws(AdminProblem) -> LocalResponse {
        let includesKeys = try query.flag("keys") ?? true
        let salt = try salt(in: query)
        let passphrase = try passphrase(of: request)
        if includesKeys, passphrase == nil {
            throw AdminProblem(
                code: .invalidPassphrase, detail: "“X-Passphrase” is required: the keys are sealed under it. Without it, “keys=false” leaves them out.")
        }
        var seal: PassphraseSeal?
        if let passphrase {
            let parameters = PassphraseSeal.Parameters(salt: salt)
            do { seal = try await administration.sealingQueue.run { PassphraseSeal(passphrase, parameters) } } catch { throw AdminProblem(.busy) }
            if seal == nil { throw AdminProblem(code: .internalError, detail: "The passphrase could not be turned into a key.") }
        }
        do {
            return LocalResponse(
                status: 200,
                fields: [
                    HeaderField("Content-Type", "application/json"), HeaderField("Content-Disposition", "attachment; filename=\"catalogue.json\""),
                ],
                body: try await administration.exportCatalogue(seal: seal, includesKeys: includesKeys, by: user))
        } catch {
            throw AdminProblem(error)
        }
    }

    func importCatalogue(_ request: LocalRequest, _ query: AdminQuery, by user: String) async throws(AdminProblem) -> LocalResponse {
        let isDryRun = try query.flag("dry_run") ?? false
        var mode = ImportMode.merge
        if let word = query["mode"] {
            guard let known = ImportMode(rawValue: word) else { throw .invalidParameter("mode", "must be “merge” or “replace”") }
            mode = known
        }
        let document = try await CatalogueDocument.reading(
            request.body, passphrase: try passphrase(of: request), adapter: administration.adapter, variables: nil, on: administration.sealingQueue)
        do {
            let report = try await administration.importCatalogue(document, mode: mode, isDryRun: isDryRun, by: user)
            var json = JSONWriter()
            report.write(to: &json)
            return .json(json.octets)
        } catch {
            throw AdminProblem(error)
        }
    }

    /// The passphrase of a request; nil where it has none.
    private func passphrase(of request: LocalRequest) throws(AdminProblem) -> Secret? {
        let given = request.fields.lines.filter { $0.name.utf8.elementsEqual(ignoringASCIICase: "X-Passphrase".utf8) }
        guard let text = given.first?.value else { return nil }
        // What was no UTF-8 has lost a part of itself on the way here.
        let fault = given.count > 1 ? "stands there twice" : text.unicodeScalars.contains("\u{FFFD}") ? "is not UTF-8" : Passphrase.fault(of: text)
        if let fault { throw AdminProblem(code: .invalidPassphrase, detail: "“X-Passphrase” \(fault).") }
        return Secret(text.utf8)
    }

    private func salt(in query: AdminQuery) throws(AdminProblem) -> [UInt8]? {
        guard let text = query["salt"] else { return nil }
        guard let salt = [UInt8](base64: text), salt.count == PassphraseSeal.Parameters.saltOctets else {
            throw .invalidParameter("salt", "must be the “salt” of an earlier document, percent-encoded")
        }
        return salt
    }
}
