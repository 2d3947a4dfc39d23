// SPDX-License-Identifier: MIT

internal import Glibc

/// What a command was asked for, apart from what it says on the way.
enum StandardOutput {
    /// Writes `text` and a line feed at once, so that it stands in order with what goes to standard error.
    static func writeNow(_ text: String) { StandardError.write(Array((text + "\n").utf8), to: STDOUT_FILENO) }
}
