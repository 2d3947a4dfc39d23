// SPDX-License-Identifier: MIT

internal import RotatorCore

extension AdminAPI {
    func listWebhooks(_ query: AdminQuery) throws(AdminProblem) -> LocalResponse {
        let limit = try query.limit()
        let after = WebhookID(try query.after())
        let webhooks: [Webhook]
        do { webhooks = try administration.webhooks(after: after, limit: limit + 1) } catch { throw AdminProblem(error) }
        return .listing(webhooks, limit: limit, id: \.id.rawValue, write: WebhookDocument.write)
    }

    func showWebhook(_ id: WebhookID) throws(AdminProblem) -> LocalResponse { show(try webhook(id)) }

    func createWebhook(_ request: LocalRequest, by user: String) async throws(AdminProblem) -> LocalResponse {
        let webhook = try WebhookDocument.make(from: MemberReader(request.body, known: WebhookDocument.changeable))
        do {
            let added = try await administration.addWebhook(webhook, by: user)
            return show(added, status: 201, fields: [HeaderField("Location", "/admin/webhooks/\(added.id)")])
        } catch {
            throw AdminProblem(error)
        }
    }

    func patchWebhook(_ id: WebhookID, _ request: LocalRequest, by user: String) async throws(AdminProblem) -> LocalResponse {
        let present = try webhook(id)
        let document = try MemberReader(request.body, known: WebhookDocument.changeable)
        // Read twice: here for what is wrong in itself, below onto what the webhook is once the change's turn has come.
        _ = try WebhookDocument.revise(present, from: document)
        do {
            let changed = try await administration.changeWebhook(id, by: user) { present throws(AdministrationError) in
                do throws(AdminProblem) {
                    return try WebhookDocument.revise(present, from: document)
                } catch {
                    throw .invalid(member: "shape", reason: "was changed at the same time; read the webhook again")
                }
            }
            return show(changed)
        } catch {
            throw AdminProblem(error)
        }
    }

    func deleteWebhook(_ id: WebhookID, by user: String) async throws(AdminProblem) -> LocalResponse {
        do { try await administration.removeWebhook(id, by: user) } catch { throw AdminProblem(error) }
        return LocalResponse(status: 204)
    }

    func testWebhook(_ id: WebhookID) async throws(AdminProblem) -> LocalResponse {
        let result = await webhookSender.sendTest(to: try webhook(id))
        var json = JSONWriter()
        json.openObject()
        switch result {
        case .answered(let status, _):
            json.member("delivered", 200...299 ~= status)
            json.member("status", status)
            json.member("error", String?.none)
        case .failed(let reason):
            json.member("delivered", false)
            json.member("status", Int?.none)
            json.member("error", reason)
        }
        json.closeObject()
        return .json(json.octets)
    }

    func listDeliveries(to id: WebhookID) throws(AdminProblem) -> LocalResponse {
        _ = try webhook(id)
        let records = webhookSender.deliveries(to: id)
        return .listing(records, limit: records.count, id: { _ in 0 }, write: WebhookDocument.write)
    }

    private func webhook(_ id: WebhookID) throws(AdminProblem) -> Webhook {
        do { return try administration.webhook(id) } catch { throw AdminProblem(error) }
    }

    private func show(_ webhook: Webhook, status: Int = 200, fields: [HeaderField] = []) -> LocalResponse {
        var json = JSONWriter()
        WebhookDocument.write(webhook, to: &json)
        return .json(json.octets, status: status, fields: fields)
    }
}
