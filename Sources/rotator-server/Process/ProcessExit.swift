// SPDX-License-Identifier: MIT

/// How the process ends, in the numbers of sysexits.h.
enum ProcessExit: Int32, Sendable {
    /// Drained and done, or checked and found good.
    case success = 0
    /// Something outside this installation's configuration failed, such as a store that another process holds. Worth starting again.
    case failure = 1
    /// A variable, the encryption key or the store's content is wrong. Starting again will not help.
    case configuration = 78
}
