// SPDX-License-Identifier: MIT

internal import ArgumentParser

/// Copies a catalogue into another store.
struct MigrateCommand: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "migrate", abstract: "Copy a catalogue into another store, or import one of another program.",
            discussion: """
                Copies services, keys with their standing and counts, settings, clients and what they have used, webhooks, jobs, history and the audit log, \
                sealed anew under the target's key, then compares both sides and prints a table. Nothing is deleted or changed in the source, nothing is deleted in the target: a service that is there \
                keeps its configuration, keys that are missing are added. Whatever breaks it off, run it again. Jobs stay behind where services or keys have \
                other numbers in the target than in the source.

                LOCATION is sqlite:PATH, postgres://… or redis://…, as in DATABASE_URL; --from takes also
                  sqlite:PATH of the original Go service (recognised by its tables)
                  mysql-dump:FILE, what mysqldump wrote of the Go service's database
                  gpt-load:FILE, keys as gpt-load exports them, one a line; with --service, and to make that service --target-base-url and --api-format

                The target's key is ENCRYPTION_KEY, for SQLite else DATA_DIR/master.key. The source's is SOURCE_ENCRYPTION_KEY, else master.key beside \
                the SQLite file, ENCRYPTION_KEY or DATA_DIR/master.key, whichever fits. A server that has a SQLite source or target open must be stopped.

                Exit status: 0 when everything of the source is in the target; 1 when not; 78 for a bad location or a wrong key.
                """
        )
    }

    @Option(help: ArgumentHelp("Where the catalogue is.", valueName: "location"))
    var from: String

    @Option(help: ArgumentHelp("Where it is to be as well.", valueName: "location"))
    var to: String

    @Flag(help: "Look at both sides and say what would be done; write nothing.")
    var dryRun = false

    @Flag(help: "Bring a source of an older version to this version's schema first. Older versions cannot open it afterwards.")
    var upgradeSource = false

    @Option(help: ArgumentHelp("The service that a list of keys belongs to.", valueName: "slug"))
    var service: String?

    @Option(help: ArgumentHelp("The target of that service, where it is to be made.", valueName: "url"))
    var targetBaseURL: String?

    @Option(help: ArgumentHelp("The format of that service, where it is to be made.", valueName: "format"))
    var apiFormat: String?

    func run() throws {
        ProcessHardening.apply()
        let configuration = try ServerConfiguration.ofThisProcess()
        let net = RedactionNet(configuration.secrets)
        let migration = Migration(
            configuration: configuration, from: from, to: to, isDryRun: dryRun, upgradesSource: upgradeSource, slug: service, targetURL: targetBaseURL,
            apiFormat: apiFormat, tell: { StandardError.writeNow(net.redacted($0)) }, conclude: { StandardOutput.writeNow(net.redacted($0)) }
        )
        throw ExitCode(Blocking.value { await migration.run() }.rawValue)
    }
}

extension ServerConfiguration {
    /// What the environment of this process says; prints what is wrong with it and ends the command otherwise.
    static func ofThisProcess() throws -> ServerConfiguration {
        do throws(ConfigurationProblems) {
            return try ServerConfiguration(reading: .ofThisProcess())
        } catch {
            for problem in error.problems { StandardError.writeNow(problem.description) }
            throw ExitCode(ProcessExit.configuration.rawValue)
        }
    }
}
