// SPDX-License-Identifier: MIT

internal import ArgumentParser
internal import Synchronization

/// Seals a store anew after its master key was changed.
struct RekeyCommand: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "rekey", abstract: "Seal every value of the store anew under ENCRYPTION_KEY.",
            discussion: """
                The store is the one that DATABASE_URL names. Older keys, which open what they have sealed and seal nothing any more, stand in \
                ENCRYPTION_KEYS_ACCEPTED. Works in batches; SIGINT ends it between two of them, and after any end it can be run again.

                PostgreSQL and Redis, with the servers running:
                  1. restart each server with the new ENCRYPTION_KEY and the old one in ENCRYPTION_KEYS_ACCEPTED. Before, give every server the new key
                     in ENCRYPTION_KEYS_ACCEPTED in a first round of restarts, where what one writes must be read by others at any time
                  2. rotator-server rekey, with the same two variables
                  3. restart each server without ENCRYPTION_KEYS_ACCEPTED

                The embedded store, with its server stopped: an embedded store serves one process.
                  With ENCRYPTION_KEY: steps 2 and 3. With DATA_DIR/master.key:
                  1. mv data/master.key data/master.key.old; (umask 077; openssl rand -hex 32 > data/master.key)
                  2. ENCRYPTION_KEYS_ACCEPTED=$(cat data/master.key.old) rotator-server rekey
                  3. start the server; keep master.key.old as long as backups from before are kept

                Exit status: 0 when none is left; 1 when it was interrupted or the store is away or held by its server; 78 when a value was sealed under \
                a key that is not known.
                """
        )
    }

    func run() throws {
        ProcessHardening.apply()
        ShutdownSignals.hold()
        let configuration = try ServerConfiguration.ofThisProcess()
        let net = RedactionNet(configuration.secrets)
        let interruption = Interruption()
        ShutdownSignals.watch { _ in interruption.hasCome.store(true, ordering: .relaxed) }
        let rekeying = Rekeying(
            configuration: configuration, tell: { StandardOutput.writeNow(net.redacted($0)) }, isInterrupted: { interruption.hasCome.load(ordering: .relaxed) })
        throw ExitCode(Blocking.value { await rekeying.run() }.rawValue)
    }

    /// Whether somebody has asked for the end.
    private final class Interruption: Sendable {
        let hasCome = Atomic(false)
    }
}
