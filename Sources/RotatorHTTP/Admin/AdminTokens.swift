// SPDX-License-Identifier: MIT

internal import JWTKit
internal import RotatorCore

/// Makes and checks the admin API's bearer tokens: JWTs signed with HMAC-SHA-256.
struct AdminTokens: Sendable {
    private struct Claims: JWTPayload {
        var iss: String
        var sub: String
        var iat: Int64
        var exp: Int64

        // Checked by the caller against the process's clock, not against the one that the library would read.
        func verify(using _: some JWTAlgorithm) async throws {}
    }

    private static let issuer = "api-key-rotator"

    private let keys: JWTKeyCollection
    private let clock: @Sendable () -> Moment
    /// How long a token is good for, in seconds.
    let lifetimeSeconds: Int64

    init(secret: [UInt8], lifetime: Duration, clock: @escaping @Sendable () -> Moment) async {
        keys = JWTKeyCollection()
        lifetimeSeconds = max(1, lifetime.components.seconds)
        self.clock = clock
        // HMAC pads short keys with zeros to its block (RFC 2104 §2), so this is the same key for every verifier; the library insists on the
        // digest's length.
        let padded = secret + Array(repeating: 0, count: max(0, 32 - secret.count))
        await keys.add(hmac: HMACKey(from: padded), digestAlgorithm: .sha256)
    }

    /// A token for `user`.
    func issue(to user: String) async throws -> String {
        let now = clock().milliseconds / 1_000
        return try await keys.sign(Claims(iss: Self.issuer, sub: user, iat: now, exp: now + lifetimeSeconds))
    }

    /// Whose a token is, and until when.
    struct Holder: Sendable, Hashable {
        var user: String
        var end: Moment
    }

    /// The user whom `token` names; nil when it is not one of ours or is no longer good.
    func holder(of token: String) async -> Holder? {
        // 32 octets leave two bits of the last character unused. Only the canonical one passes, so that no second spelling of a token exists.
        guard let last = token.last, "AEIMQUYcgkosw048".contains(last) else { return nil }
        guard let claims = try? await keys.verify(token, as: Claims.self) else { return nil }
        guard claims.iss == Self.issuer, clock().milliseconds / 1_000 < claims.exp else { return nil }
        return Holder(user: claims.sub, end: Moment(seconds: claims.exp))
    }
}
