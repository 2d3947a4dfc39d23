// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Makes the connections of a store. Looking up a host's name blocks, so the steps run on a thread of their own, and a lookup that hangs holds up
/// neither the loop nor whoever waits for it longer than he wants to.
final class PostgreSQLConnector: Sendable {
    /// Names the server in messages, without credentials.
    let place: String
    private let parameters: [PostgreSQLLocation.Parameter]
    private let thread: WorkerThread<Void>

    init(to location: PostgreSQLLocation) async throws(StoreError) {
        if let uri = location.parameters.first(where: { $0.name == "dbname" })?.value, uri.contains("://"), !PostgreSQLConnection.isUnderstood(uri) {
            throw StoreError(.misconfigured, "the PostgreSQL location is not understood by libpq: postgres://[user[:password]@][host][:port][/database][?parameter=value]")
        }
        place = location.description
        // What comes before the location gives way to it. A dead peer is noticed by the system within half a minute, where no deadline notices before.
        let defaults = [
            ("fallback_application_name", "api-key-rotator"), ("keepalives_idle", "10"), ("keepalives_interval", "5"), ("keepalives_count", "3"),
            ("tcp_user_timeout", "15000"),
        ].map { PostgreSQLLocation.Parameter(name: $0.0, value: $0.1) }
        parameters = defaults + location.parameters + [PostgreSQLLocation.Parameter(name: "client_encoding", value: "UTF8")]
        thread = try await WorkerThread.start(waitingLimit: 64) { () throws(StoreError) in () }
    }

    /// Begins a connection and hands it to `body`; nil where that is not possible.
    func begin(_ body: @escaping @Sendable (PostgreSQLConnection?) -> Void) {
        perform({ [parameters] in PostgreSQLConnection(parameters) }, body)
    }

    /// Goes on with `connection` and says what is to be waited for.
    func advance(_ connection: PostgreSQLConnection, _ body: @escaping @Sendable (PostgreSQLConnection.Progress?) -> Void) {
        perform({ connection.advance() }, body)
    }

    private func perform<Value: Sendable>(_ step: @escaping @Sendable () -> Value?, _ body: @escaping @Sendable (Value?) -> Void) {
        Task { [thread] in body(try? await thread.run { _ throws(StoreError) in step() }) }
    }
}
