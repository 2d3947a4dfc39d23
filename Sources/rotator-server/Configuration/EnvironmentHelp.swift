// SPDX-License-Identifier: MIT

/// The variables as `--help` shows them.
enum EnvironmentHelp {
    /// What stands between the abstract and the usage of `--help`.
    static var text: String {
        var lines = [
            "Configured by environment variables alone; a .env file in the working directory is read first, real variables win, an empty value counts as unset.",
            "",
            "VARIABLES:",
        ]
        for variable in Variables.all {
            lines.append("  \(variable.name) (default: \(variable.initial))")
            lines.append("      \(variable.meaning)")
        }
        lines.append("")
        lines.append("EXIT STATUS: 0 after a drain; 1 when the store is held by another process or not writable; 64 for bad usage; 78 for a bad variable, a wrong ENCRYPTION_KEY or a damaged store.")
        return lines.joined(separator: "\n")
    }
}
