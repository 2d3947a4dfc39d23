// SPDX-License-Identifier: MIT

internal import Configuration

/// What the process was given: its environment variables, and below them those of a `.env` file.
///
/// A variable that is set to the empty string counts as unset. The outbound proxy variables are taken in both cases, as curl takes them: the
/// lower-case spelling wins within one source (curl itself reads `http_proxy` in lower case only; here `HTTP_PROXY` is read too).
struct Environment: Sendable {
    /// What is wrong with the `.env` file itself.
    let problems: [ConfigurationProblem]
    private let reader: ConfigReader

    /// The names that curl reads in lower case as well.
    static let namesInBothCases = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"]

    /// The environment `variables`, over those of a `.env` file where there is one.
    init(variables: [String: String], dotEnv: DotEnvFile? = nil, problems: [ConfigurationProblem] = []) {
        self.problems = problems + (dotEnv?.problems ?? [])
        reader = ConfigReader(providers: [
            EnvironmentVariablesProvider(environmentVariables: Self.folded(variables)),
            EnvironmentVariablesProvider(environmentVariables: Self.folded(dotEnv?.values ?? [:])),
        ])
    }

    /// The value of `name`; nil when it is unset or empty in both sources.
    func value(_ name: String) -> String? {
        // All values are read as secret: none of them shows in swift-configuration's own reports.
        reader.string(forKey: ConfigKey([name]), isSecret: true)
    }

    private static func folded(_ variables: [String: String]) -> [String: String] {
        var folded = variables.filter { !$0.value.isEmpty }
        for name in namesInBothCases {
            if let lower = folded.removeValue(forKey: name.lowercased()) { folded[name] = lower }
        }
        return folded
    }
}
