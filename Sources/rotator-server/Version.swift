// SPDX-License-Identifier: MIT

/// The one place where this program's version stands.
enum ServerVersion {
    /// The version of the server, of its libraries and of `GET /admin/app-config`.
    static let current = "0.4.0"
}
