// SPDX-License-Identifier: MIT

internal import ArgumentParser
internal import Dispatch
internal import Glibc
internal import Logging
internal import RotatorCore

/// `rotator-server`: serves when no other command is named.
@main
struct RotatorServer: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "rotator-server",
            abstract: "A proxy that carries every API call with the next key of a pool.",
            discussion: EnvironmentHelp.text,
            version: "rotator-server \(ServerVersion.current)\n\(Wiring.libcurlVersion)",
            subcommands: [Serve.self, HealthcheckCommand.self, Check.self, MigrateCommand.self, RekeyCommand.self],
            defaultSubcommand: Serve.self
        )
    }
}

/// Serves in the foreground until SIGTERM or SIGINT.
struct Serve: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(commandName: "serve", abstract: "Serve in the foreground until SIGTERM or SIGINT. This is what happens without a command.")
    }

    func run() throws {
        // In this order: no secret is read before dumps are off, no thread is started before the signals are held back.
        ProcessHardening.apply()
        ShutdownSignals.hold()
        let configuration: ServerConfiguration
        do throws(ConfigurationProblems) {
            configuration = try ServerConfiguration(reading: .ofThisProcess())
        } catch {
            for problem in error.problems { StandardError.writeNow(problem.description) }
            throw ExitCode(ProcessExit.configuration.rawValue)
        }
        let net = RedactionNet(configuration.secrets)
        let log = ServerLog(level: configuration.logLevel, format: configuration.logFormat, net: net, output: LogOutput(format: configuration.logFormat))
        // Libraries that make a logger of their own write through the same net.
        LoggingSystem.bootstrap { RotatorLogHandler(label: $0, log: log) }
        let status = Blocking.value { await ServerProcess(configuration: configuration, log: log).run() }
        log.flush()
        throw ExitCode(status.rawValue)
    }
}

/// Says by its exit status whether the local server is ready.
struct HealthcheckCommand: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(commandName: "healthcheck", abstract: "Exit 0 when /readyz of the server at BACKEND_HOST:BACKEND_PORT answers 200, else 1.")
    }

    func run() throws {
        // Two variables are enough: a bad value elsewhere is the server's to report.
        var reading = EnvironmentReading(.ofThisProcess())
        let host = reading.value(of: Variables.backendHost) ?? "127.0.0.1"
        let port = reading.value(of: Variables.backendPort) ?? 8_000
        do throws(Healthcheck.Failure) {
            try Healthcheck(host: host, port: port).run()
        } catch {
            StandardError.writeNow("not ready: \(error)")
            throw ExitCode(ProcessExit.failure.rawValue)
        }
    }
}

/// Validates the environment and reaches the store.
struct Check: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(commandName: "check", abstract: "Validate the environment and open the store; print everything that is wrong and exit 1, else 0.")
    }

    func run() throws {
        ProcessHardening.apply()
        let environment = Environment.ofThisProcess()
        let findings = Blocking.value { await Preflight.findings(in: environment) }
        for problem in findings.problems { StandardError.writeNow(problem) }
        for notice in findings.notices { StandardError.writeNow("note: \(notice)") }
        guard findings.problems.isEmpty else { throw ExitCode(ProcessExit.failure.rawValue) }
        print("everything is in order")
    }
}

/// Runs asynchronous work from the main thread, which is nobody's executor here.
enum Blocking {
    /// The value that `body` gives, waiting for it.
    static func value<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) -> Value {
        let done = DispatchSemaphore(value: 0)
        let result = Result<Value>()
        Task {
            let value = await body()
            result.value.withLock { $0 = value }
            done.signal()
        }
        done.wait()
        guard let value = result.value.withLock({ $0 }) else { preconditionFailure("the work has ended") }
        return value
    }

    private final class Result<Value: Sendable>: Sendable {
        let value = OutOfLineMutex<Value?>(nil)
    }
}
