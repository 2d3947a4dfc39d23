// SPDX-License-Identifier: MIT

public import RotatorStore
internal import Foundation
internal import Synchronization

/// A Redis server of a test's own, on a socket in a directory of its own, from the installed package. Keeps nothing: it ends and takes its directory
/// with it when it is no longer referred to, and when the test's process ends, however that ends.
public final class RedisServer: Sendable {
    private let supervisor: ServerSupervisor
    private let databaseCount = Mutex(0)

    private static let sharedServer = Task { try await start() }

    /// The server that the tests of this process have in common, each in a database of its own.
    public static var shared: RedisServer {
        get async throws { try await sharedServer.value }
    }

    /// Where its socket (`s`), its data and its log (`log`) are.
    public var directory: String { supervisor.directory }

    /// Starts a server that keeps nothing on disk, unless `settings` say otherwise.
    public static func start(settings: [String] = ["--save", "", "--appendonly", "no"]) async throws -> RedisServer {
        let server = try RedisServer(settings)
        try await server.supervisor.tell("start")
        return server
    }

    private init(_ settings: [String]) throws {
        supervisor = try ServerSupervisor(of: "Redis", directoryPrefix: "rotator-redis", script: Self.script, arguments: settings)
    }

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
        try await ServerSupervisor.run("/usr/bin/redis-cli", ["-s", "\(directory)/s", "-n", String(place.database)] + words)
    }

    /// Ends the server as by a crash: what it kept in memory alone is lost.
    public func kill() async throws { try await supervisor.tell("kill") }

    /// Starts the server again, with what it kept on disk.
    public func restart() async throws { try await supervisor.tell("start") }

    /// Stops the process where it is (SIGSTOP): connections stay, and nothing answers.
    public func freeze() async throws { try await supervisor.tell("freeze") }

    /// Lets it go on (SIGCONT).
    public func thaw() async throws { try await supervisor.tell("thaw") }

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
