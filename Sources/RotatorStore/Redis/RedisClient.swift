// SPDX-License-Identifier: MIT

internal import RotatorCore

/// The connections to one Redis database, by purpose, with the thread that they live on.
final class RedisClient: Sendable {
    /// The prefix of all names.
    let prefix: String
    let condition = RedisCondition()
    let news = StoreNews()
    private let rotation: RedisSession
    private let bulk: RedisSession
    private let listener: RedisSession
    private let watcher: RedisSession
    private let loop: StoreLoop
    private let calls = CallCount()
    private let tasks = OutOfLineMutex<[Task<Void, Never>]>([])

    /// Nothing is connected yet.
    init(_ location: RedisLocation, prefix: String) throws(StoreError) {
        self.prefix = prefix
        let loop = try StoreLoop.start()
        let session = { [condition] in RedisSession(loop: loop, location: location, condition: condition) }
        (rotation, bulk, listener, watcher) = (session(), session(), session(), session())
        self.loop = loop
    }

    /// Names the database in messages.
    var place: String { rotation.place }

    /// Listens for news from now on, and tries to reach the server while it is away; it is back when it runs `probe`.
    func start(probe: RedisScript) {
        tasks.withLock { tasks in
            tasks = [Task { [listener, news, prefix] in await listener.listen(to: prefix + "news", news) }, Task { [watcher, prefix] in await watcher.watchOver(probe, prefix: prefix) }]
        }
    }

    /// Runs a script. What may be long has a connection of its own, so that no lease waits behind it.
    func run(_ script: RedisScript, _ arguments: [[UInt8]] = [], within limit: Duration = RedisSession.Limit.short) async throws(StoreError) -> RedisReply {
        try await noting { () async throws(RedisError) in
            try await (limit > RedisSession.Limit.short ? self.bulk : self.rotation).run(script, prefix: self.prefix, arguments, within: limit)
        }
    }

    /// Sends a command.
    func command(_ words: String..., within limit: Duration = RedisSession.Limit.short) async throws(StoreError) -> RedisReply {
        let arguments = words.map { Array($0.utf8) }
        return try await noting { () async throws(RedisError) in try await self.rotation.command(arguments, within: limit) }
    }

    /// Does `body` as a call of the store, and notes how it ended.
    func noting<Value: Sendable>(_ body: @Sendable () async throws(RedisError) -> Value) async throws(StoreError) -> Value {
        try await calls.during { () async throws(StoreError) in
            do throws(RedisError) {
                let value = try await body()
                condition.callEnded(nil)
                return value
            } catch {
                condition.callEnded(error.storeError)
                throw error.storeError
            }
        }
    }

    /// Waits for what is under way, then gives everything back.
    func close() async {
        await calls.close {
            condition.close()
            for task in tasks.withLock({ $0 }) { await task.value }
            for session in [rotation, bulk, listener, watcher] { await session.disconnect() }
            loop.stop()
            news.close()
            condition.hasClosed()
        }
    }
}

extension [UInt8] {
    /// The octets of a text.
    init(text: String) { self = Array(text.utf8) }

    /// A number in decimal.
    init(number: Int64) { self = Array(String(number).utf8) }
}
