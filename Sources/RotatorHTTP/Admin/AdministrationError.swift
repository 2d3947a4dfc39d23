// SPDX-License-Identifier: MIT

public import RotatorCore

/// Why ``Administration`` did not do what it was asked. Never holds a credential.
public enum AdministrationError: Error, Sendable, Hashable {
    /// A member of the configuration or of a key has a value that is not accepted.
    case invalid(member: String, reason: String)
    /// There is no service with this number.
    case serviceNotFound(ServiceID)
    /// There is no key with this number.
    case keyNotFound(KeyID)
    /// There is no client key with this number.
    case clientNotFound(ClientID)
    /// Another client key has this name.
    case clientNameTaken(String)
    /// There is no webhook with this number.
    case webhookNotFound(WebhookID)
    /// Another webhook has this name.
    case webhookNameTaken(String)
    /// There are as many webhooks as are kept.
    case tooManyWebhooks(limit: Int)
    /// Another service has this slug.
    case slugTaken(String)
    /// The service has a key with this value already.
    case keyExists
    /// Too many changes wait for their turn.
    case busy
    /// The store could not do it; nothing has changed in memory.
    case store(StoreError)
}
