// SPDX-License-Identifier: MIT

internal import RotatorCore

/// What one reactor keeps of a service: its origin's connections, and the octets that are the same in each request. Confined to one reactor.
final class UpstreamRuntime {
    /// A field that is sent only where the client sent none of that name.
    struct DefaultField {
        let name: ByteBuffer
        let line: ByteView
        fileprivate let storage: ByteBuffer
    }

    let upstream: Upstream
    let slug: ByteBuffer
    let isLLM: Bool
    let readsCredentialFromBody: Bool
    let target: UpstreamTarget
    let origin: Origin
    let metrics: ServiceMetrics
    let hostLine: ByteView
    let allowedMethod: ByteBuffer
    let placesKeyInHeader: Bool
    /// The name of the field or of the query parameter, as it is written.
    let keyName: ByteBuffer
    /// `Name: prefix`.
    let keyFieldStart: ByteView
    /// `name=`, the name percent-encoded, and the encoded prefix.
    let keyQueryStart: ByteView
    /// The field by which clients name their conversation.
    let affinityField: ByteBuffer
    let extraNames: [ByteBuffer]
    let extraLines: ByteView
    let defaultFields: [DefaultField]
    private var storage: [ByteBuffer] = []
    private let followsHeadroom: Bool
    // Which key's account was last read here and when, in nanoseconds since the Unix epoch; a place for each remainder of the keys' numbers. Keys that share a
    // place are read a little more often than they need be.
    private var accountsRead = [(key: Int64, at: Int64)](repeating: (0, 0), count: 256)
    /// So often the account of one key is read where nothing depends on its last digit.
    private static let accountPause: Int64 = 50_000_000

    init?(upstream: Upstream, origin: Origin, metrics: ServiceMetrics) {
        guard let target = upstream.target else { return nil }
        self.upstream = upstream
        self.target = target
        self.origin = origin
        self.metrics = metrics
        followsHeadroom = upstream.record.configuration.rotationStrategy == .headroom
        var kept: [ByteBuffer] = []
        func octets(_ fill: (ByteBuffer) -> Void) -> ByteBuffer {
            let buffer = ByteBuffer(capacity: 64)
            fill(buffer)
            kept.append(buffer)
            return buffer
        }
        let configuration = upstream.record.configuration
        slug = octets { $0.append(text: configuration.slug) }
        isLLM = configuration.kind == .llm
        readsCredentialFromBody = upstream.adapter.readsCredentialFromBody
        hostLine = octets { $0.append(text: "Host: \(target.authority)\r\n") }.view
        allowedMethod = octets { $0.append(text: configuration.method ?? "") }
        let placement = upstream.placement
        placesKeyInHeader = placement.location == .header
        keyName = octets { $0.append(text: placement.name) }
        keyFieldStart = octets { $0.append(text: "\(placement.name): \(placement.prefix)") }.view
        keyQueryStart = octets { buffer in
            for (index, text) in [placement.name, placement.prefix].enumerated() {
                let plain = ByteBuffer(capacity: 64)
                plain.append(text: text)
                QueryPairs.appendEncoded(plain.view, to: buffer)
                if index == 0 { buffer.append(0x3D) }
            }
        }.view
        affinityField = octets { $0.append(text: configuration.affinityHeader ?? ServiceConfiguration.affinityHeaderDefault) }
        let extras = configuration.extraHeaders.sorted { $0.key < $1.key }
        extraNames = extras.map { extra in octets { $0.append(text: extra.key) } }
        extraLines = octets { buffer in for extra in extras { buffer.append(text: "\(extra.key): \(extra.value)\r\n") } }.view
        defaultFields = upstream.adapter.defaultFields.filter { field in
            !extras.contains { $0.key.utf8.elementsEqual(ignoringASCIICase: field.name.utf8) }
        }.map { field in
            let line = octets { $0.append(text: "\(field.name): \(field.value)\r\n") }
            return DefaultField(name: octets { $0.append(text: field.name) }, line: line.view, storage: line)
        }
        storage = kept
    }
}

extension UpstreamRuntime {
    /// Whether the pool is to be told again that something is left of this key's account.
    func wantsAccount(of key: KeyID, at now: Moment) -> Bool {
        if followsHeadroom { return true }
        let last = accountsRead[Int(truncatingIfNeeded: key.rawValue & 255)]
        return last.key != key.rawValue || now.nanoseconds - last.at >= Self.accountPause
    }

    /// Notes that the pool was told.
    func accountRead(of key: KeyID, at now: Moment) {
        if !followsHeadroom { accountsRead[Int(truncatingIfNeeded: key.rawValue & 255)] = (key.rawValue, now.nanoseconds) }
    }
}

extension ByteView {
    func equals(_ buffer: ByteBuffer) -> Bool { equals(buffer.view) }
}

/// What one reactor counts of one service; summed over the reactors when somebody reads it.
final class ServiceMetrics {
    private var counts = [Int](repeating: 0, count: 600)
    /// By status; those without any are left out.
    var requests: [Int: Int] {
        var requests: [Int: Int] = [:]
        for (status, count) in counts.enumerated() where count > 0 { requests[status] = count }
        return requests
    }
    var attempts = 0
    var duration = Histogram()
    var firstByte = Histogram()

    /// Counts an exchange; times in nanoseconds.
    func count(status: Int, duration: Int64, firstByte: Int64?) {
        // What a server sends, and 499 for a client that left.
        counts[min(max(status, 0), counts.count - 1)] += 1
        self.duration.observe(duration)
        if let firstByte { self.firstByte.observe(firstByte) }
    }
}

/// A Prometheus histogram with fixed bounds.
struct Histogram: Sendable {
    /// Upper bounds in seconds.
    static let bounds: [Double] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600]
    private static let nanosecondBounds: [Int64] = bounds.map { Int64($0 * 1e9) }

    private(set) var buckets = [Int](repeating: 0, count: Histogram.bounds.count + 1)
    private(set) var sum: Int64 = 0
    private(set) var count = 0

    mutating func observe(_ nanoseconds: Int64) {
        // Asked for once: each look at a global asks whether it has been made.
        let bounds = Histogram.nanosecondBounds
        var index = 0
        while index < bounds.count, nanoseconds > bounds[index] { index += 1 }
        buckets[index] += 1
        sum &+= nanoseconds
        count += 1
    }

    mutating func add(_ other: Histogram) {
        for index in buckets.indices { buckets[index] += other.buckets[index] }
        sum &+= other.sum
        count += other.count
    }
}
