// SPDX-License-Identifier: MIT

internal import RotatorCore

/// A connection to the server that is made when it is first needed and again when it was lost, and what seals the values that go through it.
///
/// Lives on the loop of its store. One call at a time has the connection; the others wait for their turn, and no call waits beyond its deadline.
actor PostgreSQLSession {
    typealias Instant = ContinuousClock.Instant

    /// How long a call may take in all, its turn and the connection included.
    enum Limit {
        /// For what a rotation waits for.
        static let quick = Duration.seconds(2)
        /// For what changes or reads a few rows.
        static let short = Duration.seconds(10)
        /// For what loads or imports a pool.
        static let long = Duration.seconds(120)
        /// For one statement of many.
        static let statement = Duration.seconds(30)
        /// For making a connection.
        static let connecting = Duration.seconds(3)
    }

    /// How a transaction sees and touches the database.
    enum Mode {
        case reading, writing

        fileprivate var beginning: StaticString {
            switch self {
            case .reading: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
            case .writing: "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
            }
        }
    }

    static let waitingLimit = 1024
    private static let attemptLimit = 5

    nonisolated let loop: StoreLoop
    nonisolated let sealer: Sealer
    /// Tells the changes of this store from those of others.
    nonisolated let storeID: String
    nonisolated let connector: PostgreSQLConnector
    nonisolated let condition: PostgreSQLCondition
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    private var connection: PostgreSQLConnection?
    /// How often the server had come back when the connection was made.
    private var madeAfter = 0
    private var statements: [String: String] = [:]
    private var deadline = Instant.now
    private var isListener = false
    private var isTaken = false
    private var queue: [(number: Int, turn: FirstOutcome<Bool>)] = []
    private var nextNumber = 0
    /// The deadlines of all waits, and the socket that the one whose turn it is waits for. Kept here because they belong to the loop.
    private var alarms: [Int: StoreLoop.Timer] = [:]
    private var watch: StoreLoop.Watch?
    private var backoff = ReconnectionBackoff()
    private var lastRefusal: (error: PostgreSQLError, nextAttempt: Instant, admissions: Int)?

    init(loop: StoreLoop, connector: PostgreSQLConnector, condition: PostgreSQLCondition, sealer: Sealer, storeID: String) {
        self.loop = loop
        self.connector = connector
        self.condition = condition
        self.sealer = sealer
        self.storeID = storeID
    }

    // MARK: Calls

    /// Does `body` with the connection, when its turn has come. Throws `unavailable` at once while the server is known to be away.
    func call<Value: Sendable>(
        within limit: Duration, _ body: @Sendable (isolated PostgreSQLSession) async throws(PostgreSQLError) -> Value
    ) async throws(StoreError) -> Value {
        do throws(PostgreSQLError) {
            if let outage = condition.outage { throw PostgreSQLError(outage) }
            let deadline = Instant.now + limit
            try await takeTurn(until: deadline)
            defer { passTurn() }
            self.deadline = deadline
            try await connect()
            return try await body(self)
        } catch {
            throw error.storeError
        }
    }

    /// Does `body` in a transaction: all of it, or nothing when it throws. What other writers stood in the way of is tried again.
    func transaction<Value: Sendable>(
        _ mode: Mode = .writing, within limit: Duration, _ body: @Sendable (isolated PostgreSQLSession) async throws(PostgreSQLError) -> Value
    ) async throws(StoreError) -> Value {
        try await call(within: limit) { session throws(PostgreSQLError) in
            var attempt = 1
            while true {
                do throws(PostgreSQLError) {
                    return try await session.carryOut(mode, body)
                } catch {
                    guard error.isRetryable, attempt < Self.attemptLimit, Instant.now < session.deadline else { throw error }
                    await session.loop.sleep(until: min(session.deadline, .now + .milliseconds(Int.random(in: 1...10 << attempt))))
                    attempt += 1
                }
            }
        }
    }

    private func carryOut<Value: Sendable>(
        _ mode: Mode, _ body: @Sendable (isolated PostgreSQLSession) async throws(PostgreSQLError) -> Value
    ) async throws(PostgreSQLError) -> Value {
        _ = try await run(mode.beginning)
        do throws(PostgreSQLError) {
            let value = try await body(self)
            // What was not carried out is answered by another word, not by an error.
            guard try await run("COMMIT").command == "COMMIT" else { throw PostgreSQLError(.unavailable, "\(connector.place): the server took the transaction back") }
            return value
        } catch {
            if let connection, connection.isInTransaction {
                do throws(PostgreSQLError) { _ = try await run("ROLLBACK") } catch { disconnect() }
            }
            throw error
        }
    }

    /// Gives the connection back. It is made again by whoever needs it.
    func disconnect() {
        connection = nil
        statements = [:]
    }

    // MARK: Statements

    /// Runs a statement that is prepared the first time and remembered. `sql` is ours alone: values are bound, never written into it.
    func run(_ sql: StaticString, _ parameters: PostgreSQLValue...) async throws(PostgreSQLError) -> PostgreSQLResult {
        let text = "\(sql)"
        if let name = statements[text] { return try await exchange { $0.send(parameters, to: name) } }
        let name = "s\(statements.count)"
        _ = try await exchange { $0.sendPreparation(text, as: name, types: parameters.map(\.type)) }
        statements[text] = name
        return try await exchange { $0.send(parameters, to: name) }
    }

    /// Runs statements without parameters, separated by semicolons, outside of those that are remembered.
    func runAll(_ sql: String) async throws(PostgreSQLError) { _ = try await exchange { $0.send(sql) } }

    /// Sends with `send`, and takes in the whole answer.
    private func exchange(_ send: (PostgreSQLConnection) -> Bool) async throws(PostgreSQLError) -> PostgreSQLResult {
        guard let connection else { throw PostgreSQLError(.unavailable, "\(connector.place): the connection was lost") }
        let deadline = min(deadline, .now + Limit.statement)
        guard send(connection) else { throw lost() }
        sending: while true {
            switch connection.flush() {
            case .sent: break sending
            case .failed: throw lost()
            case .waiting:
                let ready = await wait(for: [.input, .output], of: connection.socket, until: deadline)
                if ready.isEmpty { throw missedDeadline() }
                if ready.contains(.input), !connection.takeInput() { throw lost() }
            }
        }
        var answer: PostgreSQLResult?
        while true {
            while connection.isAwaitingInput {
                if await wait(for: .input, of: connection.socket, until: deadline).isEmpty { throw missedDeadline() }
                if !connection.takeInput() { throw lost(saying: connection) }
            }
            guard let result = connection.nextResult() else { break }
            // The first refusal counts: what follows it only says that the rest was not carried out.
            if answer?.isSuccess ?? true { answer = consume result }
        }
        guard let answer else { throw lost() }
        if answer.isSuccess { return answer }
        guard let sqlState = answer.sqlState else { throw lost() }
        let error = PostgreSQLError(sqlState: sqlState, at: connector.place)
        // The server ends the connection after these, or no longer knows what was prepared on it.
        if error.meansOutage || ["25P03", "26000"].contains(sqlState) || !connection.isSound { disconnect() }
        if error.meansOutage { condition.serverIsAway(error.storeError) }
        throw error
    }

    /// The connection has broken. An answer that came before the end may say why.
    private func lost(saying connection: PostgreSQLConnection? = nil) -> PostgreSQLError {
        var sqlState: String?
        while let result = connection?.nextResult() { sqlState = sqlState ?? result.sqlState }
        disconnect()
        let error = sqlState.map { PostgreSQLError(sqlState: $0, at: connector.place) }
            ?? PostgreSQLError(.unavailable, "\(connector.place): the connection was lost")
        condition.serverIsAway(error.storeError)
        return error
    }

    private func missedDeadline() -> PostgreSQLError {
        disconnect()
        let error = PostgreSQLError(.unavailable, "\(connector.place): the server did not answer in time")
        condition.serverIsAway(error.storeError)
        return error
    }

    // MARK: Turns

    private func takeTurn(until deadline: Instant) async throws(PostgreSQLError) {
        guard isTaken else {
            isTaken = true
            return
        }
        guard queue.count < Self.waitingLimit else { throw PostgreSQLError(.unavailable, "\(Self.waitingLimit) calls wait for the store already") }
        nextNumber += 1
        let number = nextNumber
        if await outcome(until: deadline, late: false, { queue.append((number, $0)) }) { return }
        queue.removeAll { $0.number == number }
        throw PostgreSQLError(.unavailable, "\(connector.place): the store was busy with other calls until the deadline")
    }

    private func passTurn() {
        while !queue.isEmpty {
            // Whoever has met his deadline already does not take it.
            if queue.removeFirst().turn.resume(true) { return }
        }
        isTaken = false
    }

    // MARK: The connection

    /// Sees to it that there is a connection: the one that is there unless it has broken meanwhile, or a new one.
    private func connect() async throws(PostgreSQLError) {
        if let connection {
            // One that was made before an outage may be dead without knowing it. Twice, because a server that ends a connection says so first, and the
            // end itself is read after what it said.
            if madeAfter == condition.recoveries, connection.takeInput(), connection.takeInput() { return }
            disconnect()
        }
        let admissions = condition.admissions
        // What one session was refused for is over for all once another has been let in.
        if let last = lastRefusal, last.admissions == admissions, Instant.now < last.nextAttempt { throw last.error }
        do throws(PostgreSQLError) {
            try await connectAnew(until: min(deadline, .now + Limit.connecting))
            condition.sessionIsAdmitted()
            backoff.reset()
            lastRefusal = nil
        } catch {
            disconnect()
            lastRefusal = (error, .now + backoff.next(), admissions)
            throw error
        }
    }

    private func connectAnew(until deadline: Instant) async throws(PostgreSQLError) {
        let late = PostgreSQLError(.unavailable, "\(connector.place): no connection could be made in time")
        func isLate(_ error: PostgreSQLError) -> PostgreSQLError {
            condition.serverIsAway(error.storeError)
            return error
        }
        madeAfter = condition.recoveries
        guard let connection = await step(until: deadline, { [connector] in connector.begin($0) }) else { throw isLate(late) }
        var progress = PostgreSQLConnection.Progress.needsOutput
        while progress != .made {
            if progress == .failed || connection.socket < 0 { throw refused(connection) }
            if await wait(for: progress == .needsInput ? .input : .output, of: connection.socket, until: deadline).isEmpty { throw isLate(late) }
            guard let next = await step(until: deadline, { [connector] in connector.advance(connection, $0) }) else { throw isLate(late) }
            progress = next
        }
        self.connection = connection
        try await setUp()
    }

    /// Does one step of connecting on the connector's thread; nil at the deadline.
    private func step<Value: Sendable>(until deadline: Instant, _ begin: (@escaping @Sendable (Value?) -> Void) -> Void) async -> Value? {
        await outcome(until: deadline, late: nil) { first in begin { first.resume($0) } }
    }

    private func refused(_ connection: PostgreSQLConnection) -> PostgreSQLError {
        let words = connection.refusal
        // With the verbosity that is set, the server's own refusal is a severity and five characters.
        let parts = words.split(separator: " ").suffix(2)
        if let severity = parts.first, ["FATAL:", "ERROR:"].contains(severity), let sqlState = parts.last, sqlState.utf8.count == 5 {
            let error = PostgreSQLError(sqlState: String(sqlState), at: connector.place)
            if error.meansOutage { condition.serverIsAway(error.storeError) }
            // Whatever the server refuses here, trying again may help.
            return PostgreSQLError(sqlState: error.sqlState, storeError: StoreError(.unavailable, error.storeError.message))
        }
        let error = PostgreSQLError(.unavailable, "\(connector.place): \(words)")
        condition.serverIsAway(error.storeError)
        return error
    }

    /// What a fresh connection is told once: a transaction whose replica is gone or frozen gives its locks back, no lock is waited for without
    /// end, a commit waits for the disk whatever the user's default is.
    private func setUp() async throws(PostgreSQLError) {
        let found = try await run(
            """
            SELECT pg_is_in_recovery(), current_setting('server_encoding'), current_schema() IS NULL,
                set_config('idle_in_transaction_session_timeout', '10000', false), set_config('lock_timeout', '5000', false),
                set_config('statement_timeout', '120000', false), set_config('default_transaction_isolation', 'read committed', false),
                set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)
            """)
        if found.boolean(0, 0) { throw PostgreSQLError(sqlState: "25006", at: connector.place) }
        guard ["UTF8", "SQL_ASCII"].contains(found.text(0, 1)) else { throw PostgreSQLError(sqlState: "22P05", at: connector.place) }
        if found.boolean(0, 2) { throw PostgreSQLError(.misconfigured, "\(connector.place): no schema of the search_path exists") }
    }

    // MARK: Waiting

    /// Returns when `fd` is ready, or at `deadline` with nothing. The listening session also returns with nothing when the store is being closed, and
    /// where it wishes so when somebody wants to know whether the server is there.
    private func wait(
        for readiness: StoreLoop.Readiness, of fd: CInt?, until deadline: Instant, orCheck endsForChecks: Bool = false
    ) async -> StoreLoop.Readiness {
        let ready = await outcome(until: deadline, late: StoreLoop.Readiness()) { first in
            if let fd {
                let watch = loop.watch(fd) { first.resume($0) }
                loop.setReadiness(readiness, of: watch)
                self.watch = watch
            }
            if isListener { condition.listenerWaits(first, orCheck: endsForChecks) }
        }
        if let watch { loop.cancel(watch) }
        watch = nil
        return ready
    }

    /// What `begin` leads to, or `late` at `deadline`.
    private func outcome<Value: Sendable>(until deadline: Instant, late: Value, _ begin: (FirstOutcome<Value>) -> Void) async -> Value {
        nextNumber += 1
        let number = nextNumber
        let value = await withCheckedContinuation { (continuation: CheckedContinuation<Value, Never>) in
            let first = FirstOutcome(continuation)
            alarms[number] = loop.schedule(at: deadline) { first.resume(late) }
            begin(first)
        }
        alarms.removeValue(forKey: number)?.cancel()
        return value
    }
}

/// The session that listens.
extension PostgreSQLSession {
    /// How long a connection that only listens may be silent before it is asked whether it lives.
    private static let silence = Duration.seconds(10)

    /// Keeps a connection that listens, passes on the news that comes over it, and tells whether the server is there. Ends when the store is closed.
    func listen(_ news: StoreNews) async {
        isListener = true
        while !condition.isClosing {
            do throws(PostgreSQLError) {
                _ = condition.takeCheck()
                deadline = .now + Limit.connecting
                try await connect()
                try await beginListening()
                condition.serverIsThere()
                news.setConnected(true)
                try await passOn(news)
            } catch {
                if error.meansOutage {
                    condition.serverIsAway(error.storeError, isFromListener: true)
                } else {
                    condition.serverIsThere(refusing: error.storeError)
                }
            }
            news.setConnected(false)
            disconnect()
            if let last = lastRefusal, !condition.isClosing { _ = await wait(for: [], of: nil, until: last.nextAttempt, orCheck: true) }
        }
    }

    private func beginListening() async throws(PostgreSQLError) {
        let channel = try await run("SELECT 'rotator_news_' || md5(current_schema())").text(0, 0)
        try await runAll("LISTEN \(channel)")
    }

    /// Passes on news until the connection is lost or the store is closed.
    private func passOn(_ news: StoreNews) async throws(PostgreSQLError) {
        while let connection, !condition.isClosing {
            let hasArrived = !(await wait(for: .input, of: connection.socket, until: .now + Self.silence, orCheck: true)).isEmpty
            if condition.isClosing { return }
            if hasArrived {
                if !connection.takeInput() { throw lost(saying: connection) }
            } else {
                _ = condition.takeCheck()
                deadline = .now + Limit.quick
                _ = try await run("SELECT 1")
                condition.serverIsThere()
            }
            if connection.takeNotifications() > 0 { news.publish() }
        }
    }
}
