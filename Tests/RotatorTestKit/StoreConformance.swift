// SPDX-License-Identifier: MIT

internal import RotatorCore
public import RotatorStore

/// What every store promises, each promise as one check. Run them all against a new backend:
///
/// ```swift
/// @Test(arguments: StoreConformance.promises)
/// func `MyStore keeps`(_ promise: StoreConformance.Promise) async throws {
///     try await promise.check(StorePlace(isDurable: true) { try await MyStore.open(url, sealing: key) })
/// }
/// ```
///
/// A check throws ``StoreConformance/Broken`` with a sentence and the line that found it, so it serves any test library.
public enum StoreConformance {
    /// One thing that every store promises.
    public struct Promise: Sendable, CustomStringConvertible {
        /// The promise as a sentence.
        public let description: String
        private let body: @Sendable (StorePlace) async throws -> Void

        init(_ description: String, _ body: @escaping @Sendable (StorePlace) async throws -> Void) {
            self.description = description
            self.body = body
        }

        /// Holds the store at `place` to it. The place must be empty: each check wants one of its own.
        public func check(_ place: StorePlace) async throws { try await body(place) }
    }

    /// A promise that was not kept.
    public struct Broken: Error, CustomStringConvertible {
        /// What was expected, and where.
        public let description: String
    }

    /// All promises.
    public static var promises: [Promise] {
        servicePromises + keyPromises + changePromises + standingPromises + settingPromises + auditPromises + documentPromises + historyPromises + lifePromises
            + replicaPromises
    }
}

/// Where a store under test lives.
public struct StorePlace: Sendable {
    /// Whether ``open()`` after a close shows what was written before.
    public let isDurable: Bool
    /// Whether two stores may be open there at once.
    public let isShareable: Bool
    private let opening: @Sendable () async throws -> any Store

    /// An empty place for a store; `open` is called again after a close where the store is durable.
    public init(isDurable: Bool, isShareable: Bool = true, open: @escaping @Sendable () async throws -> any Store) {
        self.isDurable = isDurable
        self.isShareable = isShareable
        self.opening = open
    }

    /// Opens the store that is there.
    public func open() async throws -> any Store { try await opening() }

    /// Opens the store, migrates it, hands it to `body` and closes it.
    public func withStore(_ body: (any Store) async throws -> Void) async throws {
        let store = try await open()
        do {
            try await store.migrate()
            try await body(store)
        } catch {
            await store.close()
            throw error
        }
        await store.close()
    }
}

extension StoreConformance {
    /// Throws ``Broken`` unless `condition` holds.
    static func expect(_ condition: Bool, _ sentence: @autoclosure () -> String, file: StaticString = #fileID, line: Int = #line) throws {
        if !condition { throw Broken(description: "\(sentence()) (\(file):\(line))") }
    }

    /// Throws ``Broken`` unless both are equal.
    static func expect<Value: Equatable>(
        _ found: Value, equals expected: Value, _ what: @autoclosure () -> String, file: StaticString = #fileID, line: Int = #line
    ) throws {
        try expect(found == expected, "\(what()): expected \(expected), found \(found)", file: file, line: line)
    }

    /// Throws ``Broken`` unless `body` throws a ``StoreError`` of this code.
    static func expect(
        _ code: StoreError.Code, file: StaticString = #fileID, line: Int = #line, from body: () async throws(StoreError) -> Void
    ) async throws {
        do throws(StoreError) {
            try await body()
        } catch {
            try expect(error.code, equals: code, "the error's code", file: file, line: line)
            try expect(!error.message.isEmpty && !error.message.contains("\n"), "an error has one line for the operator", file: file, line: line)
            return
        }
        throw Broken(description: "expected \(code), found success (\(file):\(line))")
    }

    static func service(_ slug: String) -> ServiceConfiguration {
        ServiceConfiguration(name: "Service \(slug)", slug: slug, kind: .llm, apiFormat: .openAICompatible, targetURL: "https://upstream.example/v1")
    }

    static func newKey(_ value: String, name: String = "", weight: Int = 1, isActive: Bool = true) -> NewKey {
        NewKey(secret: Secret(value.utf8), name: name, weight: weight, isActive: isActive)
    }

    static func value(_ secret: Secret) -> String { unsafe secret.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) } }

    /// Adds keys of which none is there yet.
    static func insert(
        _ values: [String], into service: ServiceID, of store: any Store, file: StaticString = #fileID, line: Int = #line
    ) async throws -> [KeyRecord] {
        try await store.insertKeys(values.map { newKey($0) }, into: service).map { insertion in
            guard case .inserted(let record) = insertion else { throw Broken(description: "a new value is inserted (\(file):\(line))") }
            return record
        }
    }
}
