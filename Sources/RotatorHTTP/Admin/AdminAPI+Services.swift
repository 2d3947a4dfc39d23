// SPDX-License-Identifier: MIT

internal import RotatorCore

extension AdminAPI {
    func listServices(_ query: AdminQuery) throws(AdminProblem) -> LocalResponse {
        let limit = try query.limit()
        let after = try query.after()
        let services: [ServiceRecord]
        do { services = try administration.services() } catch { throw AdminProblem(error) }
        let page = services.lazy.filter { $0.id.rawValue > after }.prefix(limit + 1)
        return .listing(Array(page), limit: limit, id: \.id.rawValue, write: ServiceDocument.write)
    }

    func showService(_ id: ServiceID) throws(AdminProblem) -> LocalResponse { show(try record(id)) }

    /// The service, before a body is judged: what is not there is 404 whatever was sent.
    func record(_ id: ServiceID) throws(AdminProblem) -> ServiceRecord {
        do { return try administration.service(id) } catch { throw AdminProblem(error) }
    }

    func createService(_ request: LocalRequest, by user: String) async throws(AdminProblem) -> LocalResponse {
        let document = try MemberReader(request.body, known: ServiceDocument.members)
        try ServiceDocument.checkID(in: document, is: nil)
        let configuration = try ServiceDocument.configuration(from: document, onto: nil)
        do {
            let service = try await administration.addService(configuration, by: user)
            return show(service, status: 201, fields: [HeaderField("Location", "/admin/proxy-configs/\(service.id)")])
        } catch {
            throw AdminProblem(error)
        }
    }

    func replaceService(_ id: ServiceID, _ request: LocalRequest, by user: String) async throws(AdminProblem) -> LocalResponse {
        _ = try record(id)
        let document = try MemberReader(request.body, known: ServiceDocument.members)
        try ServiceDocument.checkID(in: document, is: id)
        let configuration = try ServiceDocument.configuration(from: document, onto: nil)
        do {
            let service = try await administration.changeService(id, by: user) { present in
                var replaced = configuration
                replaced.rules = present.rules
                return replaced
            }
            return show(service)
        } catch {
            throw AdminProblem(error)
        }
    }

    func patchService(_ id: ServiceID, _ request: LocalRequest, by user: String) async throws(AdminProblem) -> LocalResponse {
        let present = try record(id).configuration
        let document = try MemberReader(request.body, known: ServiceDocument.members)
        try ServiceDocument.checkID(in: document, is: id)
        // Read twice: here for what is wrong in itself, below onto what the service is once the change's turn has come.
        _ = try ServiceDocument.configuration(from: document, onto: present)
        do {
            let service = try await administration.changeService(id, by: user) { present throws(AdministrationError) in
                do throws(AdminProblem) {
                    return try ServiceDocument.configuration(from: document, onto: present)
                } catch {
                    throw .invalid(member: "config_type", reason: "was changed at the same time; read the service again")
                }
            }
            return show(service)
        } catch {
            throw AdminProblem(error)
        }
    }

    func switchService(_ id: ServiceID, _ request: LocalRequest, by user: String) async throws(AdminProblem) -> LocalResponse {
        _ = try record(id)
        let document = try MemberReader(request.body, known: ["is_active"])
        guard let isActive = try document.bool("is_active") else { throw .missingMember("is_active") }
        do {
            let service = try await administration.changeService(id, by: user) { present in
                var changed = present
                changed.isActive = isActive
                return changed
            }
            return show(service)
        } catch {
            throw AdminProblem(error)
        }
    }

    func deleteService(_ id: ServiceID, by user: String) async throws(AdminProblem) -> LocalResponse {
        do { try await administration.removeService(id, by: user) } catch { throw AdminProblem(error) }
        return LocalResponse(status: 204)
    }

    private func show(_ service: ServiceRecord, status: Int = 200, fields: [HeaderField] = []) -> LocalResponse {
        var json = JSONWriter()
        ServiceDocument.write(service, to: &json)
        return .json(json.octets, status: status, fields: fields)
    }
}
