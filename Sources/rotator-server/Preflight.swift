// SPDX-License-Identifier: MIT

internal import Glibc
internal import RotatorCore
internal import RotatorStore

/// What `rotator-server check` looks at: the environment and the stores. Makes nothing and changes nothing.
enum Preflight {
    /// What was found.
    struct Findings: Sendable, Hashable {
        /// What is wrong, one line each.
        var problems: [String] = []
        /// What is worth knowing, one line each.
        var notices: [String] = []
    }

    /// Everything that is wrong with `environment` and the store that it names.
    static func findings(in environment: Environment) async -> Findings {
        let configuration: ServerConfiguration
        do throws(ConfigurationProblems) {
            configuration = try ServerConfiguration(reading: environment)
        } catch {
            return Findings(problems: error.problems.map(\.description))
        }
        var findings = Findings(notices: configuration.notices)
        do throws(StartFailure) { _ = try await CatalogueFile.read(configuration) } catch { findings.problems.append(error.line) }
        if configuration.storeURL.isShareable {
            await checkSharedStore(of: configuration, into: &findings)
        } else {
            await checkStore(of: configuration, into: &findings)
        }
        return findings
    }

    /// Reaches a store that other servers may be working with, and leaves it as it is.
    private static func checkSharedStore(of configuration: ServerConfiguration, into findings: inout Findings) async {
        do throws(StoreError) {
            let store = try await openStore(configuration.storeURL, sealing: try MasterKeyRing.of(configuration))
            await store.close()
        } catch {
            findings.problems.append(StartFailure(error, of: configuration.storeVariable).line)
        }
    }

    private static func checkStore(of configuration: ServerConfiguration, into findings: inout Findings) async {
        let keys: MasterKeyRing?
        do throws(StoreError) {
            keys = try MasterKeyRing.existing(in: configuration)
        } catch {
            findings.problems.append(StartFailure(error, of: Variables.dataDirectory.name).line)
            return
        }
        if keys == nil, let reason = obstacle(toMaking: configuration.masterKeyPath) {
            findings.problems.append("\(Variables.dataDirectory.name): \(reason)")
        }
        guard case .sqlite(let path) = configuration.storeURL.place else { return }
        guard let keys, ConfigurationFile.byteCount(of: path) != nil else {
            if let reason = obstacle(toMaking: path) { findings.problems.append("\(configuration.storeVariable): \(reason)") }
            if findings.problems.isEmpty { findings.notices.append("there is no store at \(path) yet; the first start makes it") }
            return
        }
        do throws(StoreError) {
            let store = try await openStore(configuration.storeURL, sealing: keys)
            await store.close()
        } catch where error.code == .locked {
            // The usual case of an operator who checks a new environment while the old server still runs.
            findings.notices.append("\(configuration.storeVariable): \(error.message), so its content was not checked")
        } catch {
            findings.problems.append(StartFailure(error, of: configuration.storeVariable).line)
        }
    }

    /// Why a file could not be made at `path`; nil when it could. Looks at the closest directory above it that exists.
    private static func obstacle(toMaking path: String) -> String? {
        var directory = path
        repeat {
            if let slash = directory.lastIndex(of: "/") {
                directory = slash == directory.startIndex ? "/" : String(directory[..<slash])
            } else {
                directory = "."
            }
        } while ConfigurationFile.byteCount(of: directory) == nil && directory != "/" && directory != "."
        if unsafe access(directory, W_OK | X_OK) == 0 { return nil }
        return "\(path) cannot be made: \(directory): \(FileFailure(errno: errno))"
    }
}
