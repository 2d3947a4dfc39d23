// SPDX-License-Identifier: MIT

/// How log lines look.
enum LogFormat: String, Sendable, Hashable, CaseIterable {
    /// `2026-11-22T22:41:05.123Z info rotator: message key=value`
    case text
    /// One JSON object a line.
    case json
}
