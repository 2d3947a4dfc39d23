// SPDX-License-Identifier: MIT

public import RotatorStore
internal import Foundation
internal import Synchronization

/// A PostgreSQL server of a test's own, on a socket in a directory of its own, from the installed package. Keeps nothing: it ends and takes its
/// directory with it when it is no longer referred to, and when the test's process ends, however that ends.
public final class PostgreSQLServer: Sendable {
    private let supervisor: ServerSupervisor
    private let databaseCount = Mutex(0)

    private static let sharedServer = Task { try await start() }

    /// The server that the tests of this process have in common, each in a database of its own.
    public static var shared: PostgreSQLServer {
        get async throws { try await sharedServer.value }
    }

    /// Where its socket, its data (`data`) and its log (`log`) are.
    public var directory: String { supervisor.directory }

    /// Starts a server with the given settings besides those that make it quick.
    public static func start(settings: [String: String] = [:]) async throws -> PostgreSQLServer {
        let server = try PostgreSQLServer()
        let settings = ["max_connections": "600", "shared_buffers": "32MB", "fsync": "off", "log_min_messages": "warning"].merging(settings) { $1 }
        let lines = settings.map { "\($0.key) = '\($0.value)'\n" }.joined()
        try await server.supervisor.tell("settings \(Data(lines.utf8).base64EncodedString())")
        try await server.supervisor.tell("start")
        return server
    }

    private init() throws {
        supervisor = try ServerSupervisor(of: "PostgreSQL", directoryPrefix: "rotator-pg", script: Self.script, arguments: [try Self.programs()])
    }

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
        try await ServerSupervisor.run("\(Self.programs())/psql", ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, location(of: database)])
    }

    /// What pg_dump writes of `database`.
    public func dump(of database: String) async throws -> String { try await ServerSupervisor.run("\(Self.programs())/pg_dump", ["--inserts", location(of: database)]) }

    /// What the server has logged.
    public var log: String { get throws { try supervisor.log } }

    /// Ends the server: its connections are cut, as by a crash.
    public func stop() async throws { try await supervisor.tell("stop") }

    /// Starts the server again, with the data that it had.
    public func restart() async throws { try await supervisor.tell("start") }

    /// Stops all of its processes where they are (SIGSTOP): connections stay, and nothing answers.
    public func freeze() async throws { try await supervisor.tell("freeze") }

    /// Lets them go on (SIGCONT).
    public func thaw() async throws { try await supervisor.tell("thaw") }

    /// The directory of the newest installed version's programs.
    private static func programs() throws -> String {
        let root = "/usr/lib/postgresql"
        let versions = ((try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []).compactMap(Int.init).sorted()
        guard let newest = versions.last else { throw ServerFailure(description: "PostgreSQL's server is not installed: apt-get install postgresql") }
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
