// SPDX-License-Identifier: MIT

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif
internal import Glibc

extension Environment {
    /// This process's environment over the `.env` file of its working directory. A file that exists but cannot be read is a problem.
    ///
    /// libpq reads its `PG*` variables itself, from the process: those of the file are put there. So this is for the main thread, before others run.
    static func ofThisProcess() -> Environment {
        let variables = ProcessInfo.processInfo.environment
        switch ConfigurationFile.read(".env", bytesMax: 1 << 20) {
        case .success(let octets):
            guard let text = String(validating: octets, as: UTF8.self) else {
                return Environment(variables: variables, problems: [ConfigurationProblem(subject: ".env", accepted: "a file in UTF-8")])
            }
            let file = DotEnvFile(text, path: ".env")
            for (name, value) in file.values where name.hasPrefix("PG") && variables[name] == nil { unsafe _ = setenv(name, value, 0) }
            return Environment(variables: variables, dotEnv: file)
        case .failure(let failure) where failure.errno == ENOENT:
            return Environment(variables: variables)
        case .failure(let failure):
            return Environment(variables: variables, problems: [ConfigurationProblem(subject: ".env", reason: failure.description)])
        }
    }
}
