// SPDX-License-Identifier: MIT

internal import RotatorCore

extension AdminAPI {
    func listClients(_ query: AdminQuery) throws(AdminProblem) -> LocalResponse {
        let limit = try query.limit()
        let after = ClientID(try query.after())
        let clients: [ClientView]
        do { clients = try administration.clients(after: after, limit: limit + 1) } catch { throw AdminProblem(error) }
        return .listing(clients, limit: limit, id: \.record.id.rawValue) { client, json in ClientDocument.write(client, to: &json) }
    }

    func showClient(_ id: ClientID) throws(AdminProblem) -> LocalResponse {
        do { return show(try administration.client(id)) } catch { throw AdminProblem(error) }
    }

    func createClient(_ request: LocalRequest, by user: String) async throws(AdminProblem) -> LocalResponse {
        let document = try MemberReader(request.body, known: ClientDocument.changeable)
        guard let name = try ClientDocument.name(in: document) else { throw .missingMember("name") }
        let policy = try ClientDocument.revise(ClientPolicy(), from: document)
        do {
            let made = try await administration.addClient(named: name, policy, by: user)
            return show(made.client, value: made.key, status: 201, fields: [HeaderField("Location", "/admin/client-keys/\(made.client.record.id)")])
        } catch {
            throw AdminProblem(error)
        }
    }

    func patchClient(_ id: ClientID, _ request: LocalRequest, by user: String) async throws(AdminProblem) -> LocalResponse {
        let present: ClientPolicy
        do { present = try administration.client(id).record.policy } catch { throw AdminProblem(error) }
        let document = try MemberReader(request.body, known: ClientDocument.changeable)
        let name = try ClientDocument.name(in: document)
        // Read twice: here for what is wrong in itself, below onto what the client is once the change's turn has come.
        _ = try ClientDocument.revise(present, from: document)
        do {
            let changed = try await administration.changeClient(id, name: name, by: user) { present throws(AdministrationError) in
                do throws(AdminProblem) {
                    return try ClientDocument.revise(present, from: document)
                } catch {
                    throw .invalid(member: "name", reason: "could not be read again")
                }
            }
            return show(changed)
        } catch {
            throw AdminProblem(error)
        }
    }

    func deleteClient(_ id: ClientID, by user: String) async throws(AdminProblem) -> LocalResponse {
        do { try await administration.removeClient(id, by: user) } catch { throw AdminProblem(error) }
        return LocalResponse(status: 204)
    }

    private func show(_ client: ClientView, value: String? = nil, status: Int = 200, fields: [HeaderField] = []) -> LocalResponse {
        var json = JSONWriter()
        ClientDocument.write(client, value: value, to: &json)
        return .json(json.octets, status: status, fields: fields)
    }
}
