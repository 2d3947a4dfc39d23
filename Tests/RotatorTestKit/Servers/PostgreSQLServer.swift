// SPDX-License-Identifier: MIT

public import RotatorStore
internal import Dispatch
internal import Foundation
internal import Synchronization

/// A PostgreSQL server of a test's own, on a socket in a directory of its own, from the installed package. Keeps nothing: it ends and takes its
/// directory with it when it is no longer referred to, and when the test's process ends, however that ends.
///
/// A shell supervises it: it carries out what is written to it line by line, and takes everything down at the end of its input.
public final class PostgreSQLServer: Sendable {
    /// What cannot be done with the server, in its own words.
    public struct Failure: Error, CustomStringConvertible {
        /// What was said.
        public let description: String
    }

    /// Where its socket, its data (`data`) and its log (`log`) are.
    public let directory: String
    private let supervisor: Process
    private let input: FileHandle
    private let output: FileHandle
    private let queue = DispatchQueue(label: "PostgreSQLServer")
    private let databaseCount = Mutex(0)

    private static let sharedServer = Task { try await start() }

    /// The server that the tests of this process have in common, each in a database of its own.
    public static var shared: PostgreSQLServer {
        get async throws { try await sharedServer.value }
    }

    /// Starts a server with the given settings besides those that make it quick.
    public static func start(settings: [String: String] = [:]) async throws -> PostgreSQLServer {
        let server = try PostgreSQLServer()
        let settings = ["max_connections": "300", "shared_buffers": "32MB", "fsync": "off", "log_min_messages": "warning"].merging(settings) { $1 }
        let lines = settings.map { "\($0.key) = '\($0.value)'\n" }.joined()
        try await server.tell("settings \(Data(lines.utf8).base64EncodedString())")
        try await server.tell("start")
        return server
    }

    private init() throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("rotator-pg-\(UInt64.random(in: 0 ... .max))").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        let bin = try Self.programs()
        supervisor = Process()
        supervisor.executableURL = URL(fileURLWithPath: "/bin/sh")
        supervisor.arguments = ["-c", Self.script, "sh", directory, bin]
        let input = Pipe()
        let output = Pipe()
        supervisor.standardInput = input
        supervisor.standardOutput = output
        self.input = input.fileHandleForWriting
        self.output = output.fileHandleForReading
        try supervisor.run()
    }

    deinit { try? input.close() }

    /// A location in a new, empty database.
    public func newPlace() async throws -> StoreURL { try StoreURL(location(of: try await newDatabase())) }

    /// The name of a new, empty database.
    public func newDatabase() async throws -> String {
        let name = databaseCount.withLock { count in
            count += 1
            return "place\(count)"
        }
        _ = try await query("CREATE DATABASE \(name)", in: "postgres")
        return name
    }

    /// Where `database` is, for libpq.
    public func location(of database: String, user: String = "postgres") -> String { "postgres:///\(database)?host=\(directory)&user=\(user)" }

    /// Runs statements by psql and returns the rows, one a line, with `|` between columns.
    public func query(_ sql: String, in database: String) async throws -> String {
        try await run("psql", ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, location(of: database)])
    }

    /// What pg_dump writes of `database`.
    public func dump(of database: String) async throws -> String { try await run("pg_dump", ["--inserts", location(of: database)]) }

    /// What the server has logged.
    public var log: String { get throws { String(decoding: try Data(contentsOf: URL(fileURLWithPath: "\(directory)/log")), as: UTF8.self) } }

    /// Ends the server: its connections are cut, as by a crash.
    public func stop() async throws { try await tell("stop") }

    /// Starts the server again, with the data that it had.
    public func restart() async throws { try await tell("start") }

    /// Stops all of its processes where they are (SIGSTOP): connections stay, and nothing answers.
    public func freeze() async throws { try await tell("freeze") }

    /// Lets them go on (SIGCONT).
    public func thaw() async throws { try await tell("thaw") }

    private func tell(_ command: String) async throws {
        let answer: String = await withCheckedContinuation { continuation in
            queue.async { [input, output] in
                do { try input.write(contentsOf: Data("\(command)\n".utf8)) } catch { return continuation.resume(returning: "\(error)") }
                var answer = Data()
                while answer.last != 0x0A {
                    let octets = output.availableData
                    if octets.isEmpty { break }
                    answer += octets
                }
                continuation.resume(returning: String(decoding: answer, as: UTF8.self))
            }
        }
        guard answer == "done\n" else { throw Failure(description: "PostgreSQL: \(command.prefix { $0 != " " }): \(answer)\((try? log) ?? "")") }
    }

    private func run(_ program: String, _ arguments: [String]) async throws -> String {
        let bin = try Self.programs()
        let result: Result<String, any Error> = await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                let process = Process()
                process.executableURL = URL(fileURLWithPath: "\(bin)/\(program)")
                process.arguments = arguments
                let output = Pipe()
                let errors = Pipe()
                process.standardOutput = output
                process.standardError = errors
                do {
                    try process.run()
                    let said = output.fileHandleForReading.readDataToEndOfFile()
                    let complaint = errors.fileHandleForReading.readDataToEndOfFile()
                    process.waitUntilExit()
                    guard process.terminationStatus == 0 else { throw Failure(description: "\(program): \(String(decoding: complaint, as: UTF8.self))") }
                    continuation.resume(returning: .success(String(decoding: said, as: UTF8.self).trimmingCharacters(in: .newlines)))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }

    /// The directory of the newest installed version's programs.
    private static func programs() throws -> String {
        let root = "/usr/lib/postgresql"
        let versions = ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).compactMap(Int.init).sorted()
        guard let newest = versions.last else { throw Failure(description: "PostgreSQL's server is not installed: apt-get install postgresql") }
        return "\(root)/\(newest)/bin"
    }

    /// Arguments: the directory and that of the programs. The server refuses to run as root, so it then runs as the package's own user.
    private static let script = """
        directory=$1 bin=$2 user=
        trap '' INT TERM HUP
        if [ "$(id -u)" = 0 ]; then
            chown postgres "$directory"
            user="setpriv --reuid=postgres --regid=postgres --init-groups"
        fi
        cd "$directory"
        server() { $user "$bin/pg_ctl" -D "$directory/data" -s -w -t 60 "$@" </dev/null >>"$directory/supervisor" 2>&1; }
        signal_all() {
            master=$(head -n 1 "$directory/data/postmaster.pid")
            kill "-$1" "$master" && for child in $(cat "/proc/$master/task/$master/children"); do kill "-$1" "$child"; done
        }
        while read -r command argument; do
            case $command in
            settings)
                $user "$bin/initdb" -D "$directory/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$directory/supervisor" 2>&1 &&
                { echo "$argument" | base64 -d; echo "listen_addresses = ''"; echo "unix_socket_directories = '$directory'"; } \\
                    >>"$directory/data/postgresql.conf" ;;
            start) server -l "$directory/log" start ;;
            stop) server -m immediate stop ;;
            freeze) signal_all STOP ;;
            thaw) signal_all CONT ;;
            esac
            if [ $? = 0 ]; then echo done; else tail -n 3 "$directory/supervisor" | tr '\\n' ' '; echo; fi
        done
        signal_all CONT 2>/dev/null
        server -m immediate stop
        rm -rf "$directory"
        """
}
