// SPDX-License-Identifier: MIT

internal import RotatorCore
#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// A key's standing as one text, for stores without columns.
///
/// It begins with 40 digits, the number of resets and the time of the decision, so that of two texts the one that is not older is not smaller by its
/// first 40 characters. A JSON object follows.
struct StandingDocument: Codable {
    private struct Rest: Codable {
        var model: String
        var until_ns: Int64
        var reason: String
        var level: Int
    }

    private var state: String
    private var until_ns: Int64?
    private var reason: String
    private var models: [Rest]
    private var rejections: Int
    private var rate_limit_level: Int
    private var exhaustion_level: Int
    private var forbidden_level: Int
    private var upstream_failures: Int
    private var circuit_level: Int
    private var circuit_until_ns: Int64?

    /// How many characters tell the age.
    static let ageLength = 40

    private init(_ record: StandingRecord) {
        state = record.state.rawValue
        until_ns = record.until?.nanoseconds
        reason = record.reason
        models = record.models.map { Rest(model: $0.model, until_ns: $0.until.nanoseconds, reason: $0.reason, level: $0.level) }
        rejections = record.rejections
        rate_limit_level = record.rateLimitLevel
        exhaustion_level = record.exhaustionLevel
        forbidden_level = record.forbiddenLevel
        upstream_failures = record.upstreamFailures
        circuit_level = record.circuitLevel
        circuit_until_ns = record.circuitUntil?.nanoseconds
    }

    /// The text of `record`.
    static func encode(_ record: StandingRecord) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(StandingDocument(record)) else { preconditionFailure("strings and integers are always JSON") }
        return Array((padded(record.resetCount) + padded(record.decidedAt.nanoseconds)).utf8) + data
    }

    /// The record that `text` was made from; nil for anything else.
    static func decode(_ text: [UInt8]) -> StandingRecord? {
        guard text.count > ageLength, let resets = Int64(String(decoding: text[..<20], as: UTF8.self)),
            let decided = Int64(String(decoding: text[20..<ageLength], as: UTF8.self)),
            let read = try? JSONDecoder().decode(StandingDocument.self, from: Data(text[ageLength...])), let state = StandingRecord.State(rawValue: read.state)
        else { return nil }
        var record = StandingRecord()
        record.state = state
        record.until = read.until_ns.map { Moment(nanoseconds: $0) }
        record.reason = read.reason
        record.models = read.models.map {
            StandingRecord.ModelRest(model: $0.model, until: Moment(nanoseconds: $0.until_ns), reason: $0.reason, level: $0.level)
        }
        record.rejections = read.rejections
        record.rateLimitLevel = read.rate_limit_level
        record.exhaustionLevel = read.exhaustion_level
        record.forbiddenLevel = read.forbidden_level
        record.upstreamFailures = read.upstream_failures
        record.circuitLevel = read.circuit_level
        record.circuitUntil = read.circuit_until_ns.map { Moment(nanoseconds: $0) }
        record.decidedAt = Moment(nanoseconds: decided)
        record.resetCount = resets
        return record
    }

    /// A number, 0 or more, in 20 digits: the order of texts is the order of numbers.
    static func padded(_ number: Int64) -> String {
        let digits = String(max(0, number))
        return String(repeating: "0", count: 20 - digits.utf8.count) + digits
    }
}
