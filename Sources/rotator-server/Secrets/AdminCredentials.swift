// SPDX-License-Identifier: MIT

internal import RotatorCore
internal import RotatorStore

/// The one administrator's login.
struct AdminCredentials: Sendable {
    /// The name.
    let username: Secret
    /// What the password was hashed to.
    let passwordHash: PasswordHash
    /// Where passwords are hashed.
    let passwords: PasswordChecker

    /// Whether both are right. Takes the same time whichever is wrong; false as well while too many logins wait.
    func verify(user: String, password: String) async -> Bool {
        let given = Array(user.utf8)
        let isUser = unsafe given.withUnsafeBytes { unsafe username.isEqual(inConstantTime: RawSpan(_unsafeBytes: $0)) }
        let isPassword = (try? await passwords.verify(Secret(password.utf8), against: passwordHash)) ?? false
        return isUser && isPassword
    }
}
