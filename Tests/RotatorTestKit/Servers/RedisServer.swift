// SPDX-License-Identifier: MIT

public import RotatorStore
internal import Dispatch
internal import Foundation
internal import Synchronization

/// A Redis server of a test's own, on a socket in a directory of its own, from the installed package. Keeps nothing: it ends and takes its directory
/// with it when it is no longer referred to, and when the test's process ends, however that ends.
///
/// A shell supervises it: it carries out what is written to it line by line, and takes everything down at the end of its input.
public final class RedisServer: Sendable {
    /// What cannot be done with the server, in its own words.
    public struct Failure: Error, CustomStringConvertible {
        /// What was said.
        public let description: String
    }

    /// Where its socket (`s`), its data and its log (`log`) are.
    public let directory: String
    private let supervisor: Process
    private let input: FileHandle
    private let output: FileHandle
    private let queue = DispatchQueue(label: "RedisServer")
    private let databaseCount = Mutex(0)

    private static let sharedServer = Task { try await start() }

    /// The server that the tests of this process have in common, each in a database of its own.
    public static var shared: RedisServer {
        get async throws { try await sharedServer.value }
    }

    /// Starts a server that keeps nothing on disk, unless `settings` say otherwise.
    public static func start(settings: [String] = ["--save", "", "--appendonly", "no"]) async throws -> RedisServer {
        let server = try RedisServer(settings)
        try await server.tell("start")
        return server
    }

    private init(_ settings: [String]) throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("rotator-redis-\(UInt32.random(in: 0 ... .max))").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        supervisor = Process()
        supervisor.executableURL = URL(fileURLWithPath: "/bin/sh")
        supervisor.arguments = ["-c", Self.script, "sh", directory] + settings
        let input = Pipe()
        let output = Pipe()
        supervisor.standardInput = input
        supervisor.standardOutput = output
        self.input = input.fileHandleForWriting
        self.output = output.fileHandleForReading
        try supervisor.run()
    }

    deinit { try? input.close() }

    /// A location in an empty database of the server.
    public func newPlace() throws -> RedisLocation {
        let number = databaseCount.withLock { count in
            count += 1
            return count
        }
        return RedisLocation(.unix(path: "\(directory)/s"), database: number)
    }

    /// Sends a command by redis-cli to the database of `place` and returns what it prints.
    @discardableResult
    public func command(_ words: String..., at place: RedisLocation) async throws -> String {
        let arguments = ["-s", "\(directory)/s", "-n", String(place.database)] + words
        let result: Result<String, any Error> = await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                let process = Process()
                process.executableURL = URL(fileURLWithPath: "/usr/bin/redis-cli")
                process.arguments = arguments
                let output = Pipe()
                process.standardOutput = output
                do {
                    try process.run()
                    let said = output.fileHandleForReading.readDataToEndOfFile()
                    process.waitUntilExit()
                    continuation.resume(returning: .success(String(decoding: said, as: UTF8.self).trimmingCharacters(in: .newlines)))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }

    /// Ends the server as by a crash: what it kept in memory alone is lost.
    public func kill() async throws { try await tell("kill") }

    /// Starts the server again, with what it kept on disk.
    public func restart() async throws { try await tell("start") }

    /// Stops the process where it is (SIGSTOP): connections stay, and nothing answers.
    public func freeze() async throws { try await tell("freeze") }

    /// Lets it go on (SIGCONT).
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
        guard answer == "done\n" else { throw Failure(description: "Redis: \(command): \(answer) (is redis-server installed?)") }
    }

    /// Arguments: the directory, then settings.
    private static let script = """
        directory=$1
        shift
        trap '' INT TERM HUP
        cd "$directory"
        while read -r command; do
            case $command in
            start)
                redis-server --port 0 --unixsocket "$directory/s" --dir "$directory" --databases 4096 --logfile "$directory/log" "$@" </dev/null >/dev/null 2>&1 &
                server=$!
                tries=0
                # One that wants a password first is there as well.
                until redis-cli -s "$directory/s" PING 2>/dev/null | grep -qE '^(PONG|NOAUTH)' || [ $tries = 200 ]; do
                    tries=$((tries + 1))
                    sleep 0.02
                done
                [ $tries -lt 200 ] ;;
            kill) kill -KILL $server; wait $server 2>/dev/null; rm -f "$directory/s" ;;
            freeze) kill -STOP $server ;;
            thaw) kill -CONT $server ;;
            esac
            if [ $? = 0 ]; then echo done; else tail -n 2 "$directory/log" 2>/dev/null | tr '\\n' ' '; echo; fi
        done
        kill -KILL $server 2>/dev/null
        rm -rf "$directory"
        """
}
