// SPDX-License-Identifier: MIT

public import RotatorCore

/// Webhooks, which are told of what somebody has to look at.
extension Administration {
    /// More webhooks than this are not kept.
    static let webhooksMax = 100

    /// Webhooks with a number above `after`, by number, at most `limit`.
    public func webhooks(after: WebhookID?, limit: Int) throws(AdministrationError) -> [Webhook] {
        _ = try loadedEntries()
        return state.withLock(\.webhooks).values.filter { $0.id > (after ?? WebhookID(0)) }.sorted { $0.id < $1.id }.prefix(limit).map { $0 }
    }

    /// One webhook.
    public func webhook(_ id: WebhookID) throws(AdministrationError) -> Webhook {
        _ = try loadedEntries()
        guard let webhook = state.withLock({ $0.webhooks[id] }) else { throw .webhookNotFound(id) }
        return webhook
    }

    /// A webhook as it was last known, whether the store answers or not; nil where it is gone or switched off.
    public func activeWebhook(_ id: WebhookID) -> Webhook? { state.withLock { $0.webhooks[id] }.flatMap { $0.isActive ? $0 : nil } }

    /// All webhooks as they were last known, by number.
    var knownWebhooks: [Webhook] { state.withLock(\.webhooks).values.sorted { $0.id < $1.id } }

    /// Adds a webhook; it gets a number.
    public func addWebhook(_ webhook: Webhook, by actor: String) async throws(AdministrationError) -> Webhook {
        try await change { () async throws(AdministrationError) in
            guard self.state.withLock(\.webhooks.count) < Self.webhooksMax else { throw .tooManyWebhooks(limit: Self.webhooksMax) }
            let document = try await self.write(conflict: .webhookNameTaken(webhook.name)) { () async throws(StoreError) in
                try await self.store.insertDocument(.webhook, named: webhook.name, body: WebhookDocument.body(of: webhook))
            }
            var added = webhook
            added.id = WebhookID(document.id)
            self.state.withLock { [added] in $0.webhooks[added.id] = added }
            await self.audit("webhook.create", "webhook \(added.id)", by: actor)
            return added
        }
    }

    /// Changes a webhook.
    public func changeWebhook(
        _ id: WebhookID, by actor: String, _ revise: @escaping @Sendable (Webhook) throws(AdministrationError) -> Webhook
    ) async throws(AdministrationError) -> Webhook {
        try await change { () async throws(AdministrationError) in
            guard let present = self.state.withLock({ $0.webhooks[id] }) else { throw .webhookNotFound(id) }
            let changed = try revise(present)
            _ = try await self.write(notFound: .webhookNotFound(id), conflict: .webhookNameTaken(changed.name)) { () async throws(StoreError) in
                try await self.store.replaceDocument(.webhook, id.rawValue, named: changed.name, body: WebhookDocument.body(of: changed), expecting: nil)
            }
            self.state.withLock { $0.webhooks[id] = changed }
            await self.audit("webhook.update", "webhook \(id)", by: actor)
            return changed
        }
    }

    /// Removes a webhook: what waits to be sent to it is not sent any more.
    public func removeWebhook(_ id: WebhookID, by actor: String) async throws(AdministrationError) {
        try await change { () async throws(AdministrationError) in
            guard self.state.withLock({ $0.webhooks[id] }) != nil else { throw .webhookNotFound(id) }
            try await self.write(notFound: .webhookNotFound(id)) { () async throws(StoreError) in try await self.store.deleteDocument(.webhook, id.rawValue) }
            self.state.withLock { $0.webhooks[id] = nil }
            await self.audit("webhook.delete", "webhook \(id)", by: actor)
        }
    }

    /// Reads all webhooks. Called inside the gate only.
    func reconcileWebhooks() async throws(AdministrationError) {
        var webhooks: [WebhookID: Webhook] = [:]
        do throws(StoreError) {
            for document in try await store.documents(.webhook, after: 0, limit: 1_000) {
                guard let webhook = WebhookDocument.webhook(document) else { throw StoreError(.damaged, "webhook \(document.id) cannot be read") }
                webhooks[webhook.id] = webhook
            }
        } catch {
            throw .store(error)
        }
        state.withLock { [webhooks] in $0.webhooks = webhooks }
    }
}
