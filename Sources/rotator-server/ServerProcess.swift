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
        let (ends, told) = AsyncStream<End>.makeStream()
        ShutdownSignals.watch { told.yield(.signal($0)) }
        for notice in configuration.notices { logger.warning("\(notice)") }
        do throws(StartFailure) {
            let server = try await Wiring.assemble(configuration, log: log)
            log.announce("listening on \(server.address)")
            let failure = await withTaskGroup(returning: StartFailure?.self) { group in
                group.addTask {
                    if let failure = await server.work() { told.yield(.failure(failure)) }
                }
                var failure: StartFailure?
                for await end in ends {
                    switch end {
                    case .signal(let number): logger.notice("draining", metadata: ["signal": "\(number)", "grace": "\(configuration.shutdownGrace)"])
                    case .failure(let reason): failure = reason
                    }
                    break
                }
                await server.drain(failure == nil ? configuration.shutdownGrace : .zero)
                // The jobs write down what the last requests taught, then end.
                group.cancelAll()
                return failure
            }
            await server.close()
            if let failure { throw failure }
            logger.notice("ended")
            return .success
        } catch {
            log.announce(error.line, level: .critical)
            return error.status
        }
    }

    /// Why the process is to end.
    private enum End: Sendable {
        case signal(Int32)
        case failure(StartFailure)
    }

    private var logger: Logger { log.logger("rotator") }
}

/// Why the server does not start, as one line, and how the process then ends.
struct StartFailure: Error, Sendable, Hashable {
    /// Names the variable at fault; holds no credential.
    var line: String
    /// `configuration` where starting again cannot help.
    var status: ProcessExit
    /// Whether trying again soon may help.
    var mayPass = false

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
            mayPass = error.code == .unavailable
        }
    }

    /// A failure in words.
    init(line: String, status: ProcessExit) {
        self.line = line
        self.status = status
    }
}
