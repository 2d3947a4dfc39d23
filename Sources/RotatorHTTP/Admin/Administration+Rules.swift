// SPDX-License-Identifier: MIT

internal import RotatorCore

extension Administration {
    /// The table in force for a service, and whether it is its format's own.
    func rules(of record: ServiceRecord) -> (table: any AnswerRules, isDefault: Bool) {
        let (table, fault) = adapter(record.configuration.apiFormat).rules(of: record.configuration)
        return (table, record.configuration.rules == nil || fault != nil)
    }

    /// The table of a format.
    func rules(of format: APIFormat) -> any AnswerRules { adapter(format).rules }

    /// Reads a table for a format. A fault is ``AdministrationError/invalid(member:reason:)`` with its JSON pointer, behind that of the member `rules`.
    func readRules(_ document: [UInt8], of format: APIFormat) throws(AdministrationError) -> any AnswerRules {
        do {
            return try adapter(format).rules(from: document)
        } catch {
            throw .invalid(member: "/rules\(error.place)", reason: error.reason)
        }
    }

    /// Replaces a service's table by the one that `document` holds; nil: back to that of its format.
    func changeRules(of id: ServiceID, to document: [UInt8]?, by actor: String) async throws(AdministrationError) -> ServiceRecord {
        try await changeService(id, by: actor, as: "service.rules") { present throws(AdministrationError) in
            var changed = present
            if let document {
                // As the table itself is written, so that white space and order of members tell no two equal tables apart.
                changed.rules = try self.readRules(document, of: present.apiFormat).document
            } else {
                changed.rules = nil
            }
            return changed
        }
    }
}
