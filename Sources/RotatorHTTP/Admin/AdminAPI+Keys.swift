// SPDX-License-Identifier: MIT

internal import RotatorCore

extension AdminAPI {
    func listKeys(of service: ServiceID, _ query: AdminQuery) async throws(AdminProblem) -> LocalResponse {
        let limit = try query.limit()
        let after = KeyID(try query.after())
        guard let search = KeySearch({ query[$0] }) else { throw .invalidParameter("state", KeySearch.stateFault) }
        let keys: [KeyView]
        do {
            keys = try await administration.presentKeys(of: service, after: after, limit: limit + 1, where: search.matches)
        } catch {
            throw AdminProblem(error)
        }
        return .listing(keys, limit: limit, id: \.id.rawValue, write: KeyDocument.write)
    }

    func showKey(_ id: KeyID) async throws(AdminProblem) -> LocalResponse {
        do { return show(try await administration.presentKey(id)) } catch { throw AdminProblem(error) }
    }

    func createKey(in service: ServiceID, _ request: LocalRequest, by user: String) async throws(AdminProblem) -> LocalResponse {
        _ = try record(service)
        let key = try KeyDocument.newKey(from: request.body)
        do {
            let made = try await administration.addKey(key, to: service, by: user)
            return show(made, status: 201, fields: [HeaderField("Location", "/admin/keys/\(made.id)")])
        } catch {
            throw AdminProblem(error)
        }
    }

    func patchKey(_ id: KeyID, _ request: LocalRequest, by user: String) async throws(AdminProblem) -> LocalResponse {
        do { _ = try administration.key(id) } catch { throw AdminProblem(error) }
        let change = try KeyDocument.change(from: request.body)
        do { return show(try await administration.changeKey(id, change, by: user)) } catch { throw AdminProblem(error) }
    }

    func resetKey(_ id: KeyID, by user: String) async throws(AdminProblem) -> LocalResponse {
        do { return show(try await administration.resetKey(id, by: user)) } catch { throw AdminProblem(error) }
    }

    func deleteKey(_ id: KeyID, by user: String) async throws(AdminProblem) -> LocalResponse {
        do { try await administration.removeKey(id, by: user) } catch { throw AdminProblem(error) }
        return LocalResponse(status: 204)
    }

    func clearKeys(of service: ServiceID, by user: String) async throws(AdminProblem) -> LocalResponse {
        let count: Int
        do { count = try await administration.removeKeys(of: service, by: user) } catch { throw AdminProblem(error) }
        var json = JSONWriter()
        json.openObject()
        json.member("deleted_count", count)
        json.closeObject()
        return .json(json.octets)
    }

    func importKeys(into service: ServiceID, _ request: LocalRequest, by user: String) async throws(AdminProblem) -> LocalResponse {
        _ = try record(service)
        let (positions, keys) = try KeyBatch.keys(from: request.body, contentType: request.fields["Content-Type"])
        let additions: [KeyAddition]
        do { additions = try await administration.addKeys(keys, to: service, by: user) } catch { throw AdminProblem(error) }
        var (added, skipped) = (0, 0)
        var failed: [(index: Int, reason: String)] = []
        for (position, addition) in zip(positions, additions) {
            switch addition {
            case .added: added += 1
            case .duplicate: skipped += 1
            case .refused(let reason): failed.append((position, reason))
            }
        }
        var json = JSONWriter()
        json.openObject()
        json.member("success_count", added)
        json.member("skipped_count", skipped)
        json.member("failed_count", failed.count)
        json.name("failed_keys")
        json.openArray()
        for failure in failed {
            json.openObject()
            json.member("index", failure.index)
            json.member("reason", failure.reason)
            json.closeObject()
        }
        json.closeArray()
        json.closeObject()
        return .json(json.octets)
    }

    func exportKeys(of service: ServiceID, by user: String) async throws(AdminProblem) -> LocalResponse {
        let secrets: [Secret]
        do { secrets = try await administration.exportKeys(of: service, by: user) } catch { throw AdminProblem(error) }
        var body: [UInt8] = []
        body.reserveCapacity(secrets.reduce(0) { $0 + $1.count + 1 })
        for secret in secrets {
            unsafe secret.withUnsafeBytes { unsafe body.append(contentsOf: $0) }
            body.append(0x0A)
        }
        return LocalResponse(
            status: 200,
            fields: [
                HeaderField("Content-Type", "text/plain; charset=utf-8"),
                HeaderField("Content-Disposition", "attachment; filename=\"keys-\(service).txt\""),
            ],
            body: body)
    }

    private func show(_ key: KeyView, status: Int = 200, fields: [HeaderField] = []) -> LocalResponse {
        var json = JSONWriter()
        KeyDocument.write(key, to: &json)
        return .json(json.octets, status: status, fields: fields)
    }
}
