// SPDX-License-Identifier: MIT

internal import Crypto
internal import RotatorCore

/// A connection to a Redis server that is made when it is first needed and again when it was lost.
///
/// Lives on the loop of its store. Commands are sent as they come and answered in their order; none waits beyond its deadline, and one that meets it
/// ends the connection, because its answer would be taken for the next one's.
actor RedisSession {
    typealias Instant = ContinuousClock.Instant

    /// How long a call may take in all, the connection included.
    enum Limit {
        /// For what a rotation waits for.
        static let quick = Duration.seconds(2)
        /// For what changes or reads a little.
        static let short = Duration.seconds(10)
        /// For what loads or imports a pool.
        static let long = Duration.seconds(120)
        /// For making a connection, AUTH and SELECT included.
        static let connecting = Duration.seconds(3)
    }

    static let waitingLimit = 1024

    nonisolated let loop: StoreLoop
    nonisolated let location: RedisLocation
    nonisolated let condition: RedisCondition
    nonisolated var place: String { location.description }
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    private var connection: RedisConnection?
    /// How often the server had come back when the connection was made.
    private var madeAfter = 0
    private var isConnecting = false
    private var waiters: [CheckedContinuation<Void, Never>] = []
    private var underWay = 0
    private var backoff = ReconnectionBackoff()
    private var lastFailure: (error: RedisError, nextAttempt: Instant, recoveries: Int)?

    init(loop: StoreLoop, location: RedisLocation, condition: RedisCondition) {
        self.loop = loop
        self.location = location
        self.condition = condition
    }

    // MARK: Commands

    /// Sends a command and returns what it was answered. Throws what a refusal means; `unavailable` at once while the server is known to be away.
    func command(_ arguments: [[UInt8]], within limit: Duration) async throws(RedisError) -> RedisReply {
        if let outage = condition.outage { throw RedisError(outage.code, outage.message, meansOutage: true) }
        guard underWay < Self.waitingLimit else { throw RedisError(.unavailable, "\(Self.waitingLimit) calls wait for the store already") }
        underWay += 1
        defer { underWay -= 1 }
        let deadline = Instant.now + limit
        try await connect(until: min(deadline, .now + Limit.connecting))
        let reply = try await exchange(arguments, until: deadline)
        guard case .refusal(let word) = reply else { return reply }
        let error = RedisError(refusal: word, at: place)
        if error.meansOutage { lose(error) }
        throw error
    }

    /// Runs a script with one key, the prefix of all names that it touches.
    func run(_ script: RedisScript, prefix: String, _ arguments: [[UInt8]] = [], within limit: Duration) async throws(RedisError) -> RedisReply {
        let tail = [Array("1".utf8), Array(prefix.utf8)] + arguments
        if let outage = condition.outage { throw RedisError(outage.code, outage.message, meansOutage: true) }
        let deadline = Instant.now + limit
        try await connect(until: min(deadline, .now + Limit.connecting))
        let reply = try await exchange([Array("EVALSHA".utf8), script.digest] + tail, until: deadline)
        guard case .refusal("NOSCRIPT") = reply else {
            guard case .refusal(let word) = reply else { return reply }
            let error = RedisError(refusal: word, at: place)
            if error.meansOutage { lose(error) }
            throw error
        }
        return try await command([Array("EVAL".utf8), Array(script.text.utf8)] + tail, within: Instant.now.duration(to: deadline))
    }

    /// Subscribes to a channel and calls `body` with each message, until the connection is lost, the server has come back from an outage that this
    /// connection may not have noticed, or the store is closed.
    func listen(to channel: String, _ news: StoreNews) async {
        while !condition.isClosing {
            do throws(RedisError) {
                if let outage = condition.outage { throw RedisError(outage.code, outage.message) }
                try await connect(until: .now + Limit.connecting)
                let recoveries = condition.recoveries
                connection?.subscribe(to: Array(channel.utf8)) { _ in news.publish() }
                news.setConnected(true)
                while connection?.isOpen == true, !condition.isClosing, condition.recoveries == recoveries {
                    await loop.sleep(until: .now + .milliseconds(100))
                }
            } catch {
                await loop.sleep(until: .now + .milliseconds(100))
            }
            news.setConnected(false)
            disconnect()
        }
    }

    /// While the server is away, tries to reach it and has it run `probe`; until the store is closed.
    func watchOver(_ probe: RedisScript, prefix: String) async {
        var pauses = ReconnectionBackoff()
        while !condition.isClosing {
            guard condition.outage != nil else {
                pauses.reset()
                await loop.sleep(until: .now + .milliseconds(50))
                continue
            }
            do throws(RedisError) {
                disconnect()
                lastFailure = nil
                try await connect(until: .now + Limit.connecting)
                let words = [Array("EVAL".utf8), Array(probe.text.utf8), Array("1".utf8), Array(prefix.utf8)]
                if case .refusal(let word) = try await exchange(words, until: .now + Limit.quick) { throw RedisError(refusal: word, at: place) }
                condition.serverIsThere()
            } catch where error.storeError.code == .misconfigured {
                condition.serverIsThere(refusing: error.storeError)
            } catch {
                condition.serverIsAway(error.storeError)
                await loop.sleep(until: .now + max(.milliseconds(10), pauses.next()))
            }
        }
    }

    /// Ends the connection. It is made again by whoever needs it.
    func disconnect() {
        connection?.whenEnded = nil
        connection?.close()
        connection = nil
    }

    private func exchange(_ arguments: [[UInt8]], until deadline: Instant) async throws(RedisError) -> RedisReply {
        guard let connection else { throw lost() }
        let answer: RedisReply?? = await withCheckedContinuation { (continuation: CheckedContinuation<RedisReply??, Never>) in
            let first = FirstOutcome(continuation)
            let timer = loop.schedule(at: deadline) { first.resume(nil) }
            connection.send(arguments) { reply in
                timer.cancel()
                first.resume(.some(reply))
            }
        }
        guard let answer else { throw lose(RedisError(.unavailable, "\(place): the server did not answer in time", meansOutage: true)) }
        guard let reply = answer else { throw lost() }
        return reply
    }

    private func lost() -> RedisError { lose(RedisError(.unavailable, "\(place): the connection was lost", meansOutage: true)) }

    @discardableResult
    private func lose(_ error: RedisError) -> RedisError {
        disconnect()
        condition.serverIsAway(error.storeError)
        return error
    }

    // MARK: The connection

    private func connect(until deadline: Instant) async throws(RedisError) {
        while isConnecting { await withCheckedContinuation { waiters.append($0) } }
        // One that was made before an outage may be dead without knowing it.
        if connection?.isOpen == true, madeAfter == condition.recoveries { return }
        if let last = lastFailure, last.recoveries == condition.recoveries, Instant.now < last.nextAttempt { throw last.error }
        isConnecting = true
        defer {
            isConnecting = false
            let waiting = waiters
            waiters = []
            for waiter in waiting { waiter.resume() }
        }
        do throws(RedisError) {
            try await connectAnew(until: deadline)
            backoff.reset()
            lastFailure = nil
        } catch {
            disconnect()
            condition.serverIsAway(error.storeError)
            lastFailure = (error, .now + backoff.next(), condition.recoveries)
            throw error
        }
    }

    private func connectAnew(until deadline: Instant) async throws(RedisError) {
        disconnect()
        madeAfter = condition.recoveries
        let isMade: Bool = await withCheckedContinuation { (continuation: CheckedContinuation<Bool, Never>) in
            let first = FirstOutcome(continuation)
            let timer = loop.schedule(at: deadline) { first.resume(false) }
            connection = RedisConnection(location.endpoint, on: loop) { isMade in
                timer.cancel()
                first.resume(isMade)
            }
            if connection == nil {
                timer.cancel()
                first.resume(false)
            }
        }
        guard isMade, let connection else { throw RedisError(.unavailable, "\(place): no connection can be made", meansOutage: true) }
        // A server that goes away is told to everybody, also while nobody calls.
        connection.whenEnded = { [condition, place] in
            if !condition.isClosing { condition.serverIsAway(StoreError(.unavailable, "\(place): the connection was lost")) }
        }
        if let password = location.password {
            try accept(try await exchange([Array("AUTH".utf8)] + (location.user.map { [Array($0.utf8)] } ?? []) + [Array(password.utf8)], until: deadline))
        }
        if location.database != 0 { try accept(try await exchange([Array("SELECT".utf8), Array(String(location.database).utf8)], until: deadline)) }
        if location.password == nil, location.database == 0 { try accept(try await exchange([Array("PING".utf8)], until: deadline)) }
    }

    private func accept(_ reply: RedisReply) throws(RedisError) {
        guard case .refusal(let word) = reply else { return }
        var error = RedisError(refusal: word, at: place)
        error.meansOutage = true
        throw error
    }
}

/// A script that the server runs as one step.
struct RedisScript: Sendable {
    /// The script.
    let text: String
    /// What the server knows it by once it has run: SHA-1 in hexadecimal.
    let digest: [UInt8]

    init(_ text: String) {
        self.text = text
        let digits = Array("0123456789abcdef".utf8)
        digest = Insecure.SHA1.hash(data: Array(text.utf8)).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    }
}
