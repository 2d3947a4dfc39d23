// SPDX-License-Identifier: MIT

internal import Logging
internal import RotatorCore
internal import RotatorStore

/// One life of the server: read → wire → run → drain.
struct ServerProcess: Sendable {
    /// What the environment says.
    let configuration: ServerConfiguration
    /// Where everything that happens is told.
    let log: ServerLog

    /// Runs until a signal asks for the end or the start fails.
    func run() async -> ProcessExit {
        let (signals, told) = AsyncStream<Int32>.makeStream()
        ShutdownSignals.watch { told.yield($0) }
        for notice in configuration.notices { logger.warning("\(notice)") }
        do throws(StartFailure) {
            let server = try await Wiring.assemble(configuration, log: log)
            log.announce("listening on \(server.address)")
            await withTaskGroup { group in
                for job in server.jobs { group.addTask { await job() } }
                for await number in signals {
                    logger.notice("draining", metadata: ["signal": "\(number)", "grace": "\(configuration.shutdownGrace)"])
                    break
                }
                await server.drain(configuration.shutdownGrace)
                // The jobs write down what the last requests taught, then end.
                group.cancelAll()
            }
            await server.close()
            logger.notice("ended")
            return .success
        } catch {
            log.announce(error.line, level: .critical)
            return error.status
        }
    }

    private var logger: Logger { log.logger("rotator") }
}

/// Why the server does not start, as one line, and how the process then ends.
struct StartFailure: Error, Sendable, Hashable {
    /// Names the variable at fault; holds no credential.
    var line: String
    /// `configuration` where starting again cannot help.
    var status: ProcessExit

    /// What `error` of the store means for the start; `variable` names what chose the store, or the directory of its key.
    init(_ error: StoreError, of variable: String) {
        switch error.code {
        case .wrongEncryptionKey:
            line = "\(Variables.encryptionKey.name): \(error.message)"
            status = .configuration
        // A directory that cannot be written is as much a mistake of the configuration: starting again does not mend it.
        case .damaged, .misconfigured, .notWritable:
            line = "\(variable): \(error.message)"
            status = .configuration
        case .locked, .unavailable, .conflict, .notFound:
            line = "\(variable): \(error.message)"
            status = .failure
        }
    }

    /// A failure in words.
    init(line: String, status: ProcessExit) {
        self.line = line
        self.status = status
    }
}
