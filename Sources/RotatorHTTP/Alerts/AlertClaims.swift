// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Lets one of several replicas that have seen the same send the alert: whoever writes it down first. A claim lasts for a time, over a restart too.
struct AlertClaims: Sendable {
    /// Where claims are written down.
    let documents: any DocumentStore

    /// Replicas see the same within a moment of each other: no claim is shorter.
    static let shortest = Duration.seconds(5)
    private static let sweptAtOnceMax = 1_000
    private static let keptAfterEnd = Duration.seconds(86_400)

    /// Whether what goes by `name` is the caller's to send. From then on it is nobody's until `until`.
    func claim(_ name: String, until: Moment, at now: Moment) async throws(StoreError) -> Bool {
        let body = Array(String(until.nanoseconds).utf8)
        do {
            _ = try await documents.insertDocument(.alertClaim, named: name, body: body)
            return true
        } catch where error.code == .conflict {
            guard let present = try await documents.document(.alertClaim, named: name) else { return try await claimAgain(name, body) }
            guard Self.end(of: present) <= now else { return false }
            do {
                _ = try await documents.replaceDocument(.alertClaim, present.id, named: name, body: body, expecting: present.revision)
                return true
            } catch where error.code == .conflict || error.code == .notFound {
                // Another replica was faster.
                return false
            }
        }
    }

    // It was swept between the two calls: whoever inserts now has it.
    private func claimAgain(_ name: String, _ body: [UInt8]) async throws(StoreError) -> Bool {
        do {
            _ = try await documents.insertDocument(.alertClaim, named: name, body: body)
            return true
        } catch where error.code == .conflict {
            return false
        }
    }

    /// Removes claims that ended a day ago: those among the next thousand after `after`. Where to go on; 0: from the beginning.
    func sweep(after: Int64, at now: Moment) async throws(StoreError) -> Int64 {
        let page = try await documents.documents(.alertClaim, after: after, limit: Self.sweptAtOnceMax)
        for document in page where Self.end(of: document) + Self.keptAfterEnd < now {
            do {
                try await documents.deleteDocument(.alertClaim, document.id)
            } catch where error.code == .notFound {
                // Another replica sweeps too.
            }
        }
        return page.count < Self.sweptAtOnceMax ? 0 : page[page.count - 1].id
    }

    // A claim that cannot be read binds nobody.
    private static func end(of document: StoredDocument) -> Moment {
        Moment(nanoseconds: Int64(String(decoding: document.body, as: UTF8.self)) ?? 0)
    }
}
