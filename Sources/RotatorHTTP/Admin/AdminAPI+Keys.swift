// SPDX-License-Identifier: MIT

internal import RotatorCore

extension AdminAPI {
    func listKeys(of service: ServiceID, _ query: AdminQuery) async throws(AdminProblem) -> LocalResponse {
        let limit = try query.limit()
        guard let search = KeySearch({ query[$0] }) else { throw .invalidParameter("state", KeySearch.stateFault) }
        if query["sort"] != nil || query["offset"] != nil { return try await listKeys(of: service, where: search, limit: limit, byPosition: query) }
        let after = KeyID(try query.after())
        let keys: [KeyView]
        do {
            keys = try await administration.presentKeys(of: service, after: after, limit: limit + 1, where: search.matches)
        } catch {
            throw AdminProblem(error)
        }
        return .listing(keys, limit: limit, id: \.id.rawValue, write: KeyDocument.write)
    }

    /// A page by its position in any order: for whoever looks at a place in the middle. Such pages have no successor, but say how many keys there are.
    private func listKeys(of service: ServiceID, where search: KeySearch, limit: Int, byPosition query: AdminQuery) async throws(AdminProblem) -> LocalResponse {
        if query["after"] != nil { throw .invalidParameter("after", "does not go with “sort” and “offset”") }
        guard let order = KeyOrder(word: query["sort"] ?? "id") else { throw .invalidParameter("sort", KeyOrder.fault) }
        guard let offset = AdminQuery.number(query["offset"] ?? "0") else { throw .invalidParameter("offset", "must be an integer, 0 or more") }
        var isWanted: ((KeyView) -> Bool)?
        if !search.isUnrestricted { isWanted = search.matches }
        let page: (views: [KeyView], total: Int)
        do throws(AdministrationError) {
            page = try await administration.presentKeys(of: service, order, offset: Int(offset), limit: limit, where: isWanted)
        } catch {
            throw AdminProblem(error)
        }
        var json = JSONWriter()
        json.openObject()
        json.name("items")
        json.openArray()
        for key in page.views { KeyDocument.write(key, to: &json) }
        json.closeArray()
        json.member("next", Int64?.none)
        json.member("total", page.total)
        json.closeObject()
        return .json(json.octets)
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

    func importKeys(into service: ServiceID, _ request: LocalRequest, _ query: AdminQuery, by user: String) async throws(AdminProblem) -> LocalResponse {
        _ = try record(service)
        let isDryRun = try query.flag("dry_run") ?? false
        let (positions, keys) = try KeyBatch.keys(from: request.body, contentType: request.fields["Content-Type"])
        let additions: [KeyAddition]
        do {
            additions = isDryRun ? try administration.previewKeys(keys, in: service) : try await administration.addKeys(keys, to: service, by: user)
        } catch {
            throw AdminProblem(error)
        }
        var (added, skipped) = (0, 0)
        var failed: [(index: Int, reason: String)] = []
        for (position, addition) in zip(positions, additions) {
            switch addition {
            case .added, .acceptable: added += 1
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

    func exportKeys(of service: ServiceID, _ query: AdminQuery, by user: String) async throws(AdminProblem) -> LocalResponse {
        guard let search = KeySearch({ query[$0] }) else { throw .invalidParameter("state", KeySearch.stateFault) }
        var ids: Set<KeyID>?
        if let text = query["ids"] {
            let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map { AdminQuery.number(String($0)) }
            guard numbers.count <= Self.exportedIDsMax, numbers.allSatisfy({ ($0 ?? 0) > 0 }) else {
                throw .invalidParameter("ids", "must be up to \(Self.exportedIDsMax) ids, separated by commas")
            }
            ids = Set(numbers.compactMap { $0.map { KeyID($0) } })
        }
        var isWanted: (@Sendable (KeyView) -> Bool)?
        if ids != nil || !search.isUnrestricted {
            isWanted = { [ids] key in (ids?.contains(key.id) ?? true) && search.matches(key) }
        }
        let secrets: [Secret]
        do { secrets = try await administration.exportKeys(of: service, where: isWanted, by: user) } catch { throw AdminProblem(error) }
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

    /// A target with more of them would not be taken by every server in between.
    private static let exportedIDsMax = 1_000

    private func show(_ key: KeyView, status: Int = 200, fields: [HeaderField] = []) -> LocalResponse {
        var json = JSONWriter()
        KeyDocument.write(key, to: &json)
        return .json(json.octets, status: status, fields: fields)
    }
}

extension KeyOrder {
    private static let words: [(word: String, member: Member)] = [
        ("id", .id), ("name", .name), ("state", .state), ("weight", .weight), ("last_used_at", .lastUse), ("success_count", .successes), ("failure_count", .failures),
    ]

    /// The order that a parameter names: a member of the key, after a hyphen for descending; nil where it is none.
    fileprivate init?(word: String) {
        let isDescending = word.hasPrefix("-")
        guard let member = Self.words.first(where: { $0.word == word.dropFirst(isDescending ? 1 : 0) })?.member else { return nil }
        self.init(by: member, isDescending: isDescending)
    }

    /// What is wrong with a parameter that names no order.
    fileprivate static let fault = "must be one of \(words.map { "“\($0.word)”" }.joined(separator: ", ")), with “-” in front for descending"
}
