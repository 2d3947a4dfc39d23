// SPDX-License-Identifier: MIT

extension ProviderRules {
    /// Any REST API: what RFC 9110 and RFC 6585 say of the status, and the words for money and suspension that everybody uses.
    static let generic = ProviderRules(sharedGeneric)
}
