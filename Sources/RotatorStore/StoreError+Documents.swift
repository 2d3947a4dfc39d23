// SPDX-License-Identifier: MIT

internal import RotatorCore

extension StoreError {
    /// A document cannot have the name that was asked for.
    static func nameIsTaken(by kind: DocumentKind) -> StoreError { StoreError(.conflict, "the name is taken by another \(kind.rawValue)") }

    /// There is no document of this number.
    static func noDocument(_ id: Int64, of kind: DocumentKind) -> StoreError { StoreError(.notFound, "there is no \(kind.rawValue) \(id)") }

    /// A document is no longer of the revision that was expected.
    static func documentHasChanged(_ id: Int64, of kind: DocumentKind) -> StoreError {
        StoreError(.conflict, "\(kind.rawValue) \(id) has been changed meanwhile")
    }
}
