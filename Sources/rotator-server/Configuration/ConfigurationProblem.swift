// SPDX-License-Identifier: MIT

/// One thing that is wrong with the environment, as one line.
struct ConfigurationProblem: Error, Sendable, Hashable, CustomStringConvertible {
    /// The variable, or the file and line, at fault.
    var subject: String
    /// What was read, masked; nil where nothing was.
    var read: String?
    /// What is wrong in particular.
    var reason: String?
    /// What is accepted.
    var accepted: String?

    /// A problem with its parts.
    init(subject: String, read: String? = nil, reason: String? = nil, accepted: String? = nil) {
        self.subject = subject
        self.read = read
        self.reason = reason
        self.accepted = accepted
    }

    var description: String {
        var parts: [String] = []
        if let read { parts.append("read \(read)") }
        if let reason { parts.append(reason) }
        if let accepted { parts.append("accepted: \(accepted)") }
        return "\(subject): " + parts.joined(separator: "; ")
    }
}

/// Everything that is wrong with the environment, found in one pass.
struct ConfigurationProblems: Error, Sendable {
    /// At least one.
    var problems: [ConfigurationProblem]
}
