// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Finds the client's proxy key in the head of a request, and marks each position that holds a valid one as removed (contract §2).
struct CredentialScan {
    enum Result {
        /// The first credential present is valid; the query pairs hold valid ones too.
        case valid(client: Client, queryPairs: [Range<Int>])
        /// No position holds a credential.
        case none(queryPairs: [Range<Int>])
        /// The first one is not valid, or a position stands twice.
        case refused
    }

    let result: Result

    init(request: MessageHead, query: Range<Int>?, worker: Worker) {
        // In the order in which they decide.
        var found: (Int?, Int?, Int?, Int?, Int?) = (nil, nil, nil, nil, nil)
        var hasAlias = false
        for index in request.fields.indices {
            let line = request.fields[index]
            if line.isAlias {
                switch line.known {
                case .xProxyKey, .xAPIKey, .xGoogAPIKey, .apiKey: hasAlias = true
                default: break
                }
                continue
            }
            var isTwice = false
            switch line.known {
            case .xProxyKey: isTwice = CredentialScan.note(index, &found.0)
            case .authorization: isTwice = CredentialScan.note(index, &found.1)
            case .xAPIKey: isTwice = CredentialScan.note(index, &found.2)
            case .xGoogAPIKey: isTwice = CredentialScan.note(index, &found.3)
            case .apiKey: isTwice = CredentialScan.note(index, &found.4)
            default: break
            }
            if isTwice {
                result = .refused
                return
            }
        }
        var decided: Client??
        func consider(_ index: Int?, _ value: (ByteView) -> ByteView?) {
            guard let index, let credential = value(request.value(request.fields[index])) else { return }
            let client = worker.client(for: credential)
            if decided == nil { decided = .some(client) }
            if client != nil {
                let kind = request.fields[index].known
                request.markRemoved(index)
                // The same field in another spelling would reach servers that read `_` as `-`.
                for other in request.fields.indices where request.fields[other].isAlias && request.fields[other].known == kind { request.markRemoved(other) }
            }
        }
        consider(found.0) { $0 }
        consider(found.1, CredentialScan.bearer)
        consider(found.2) { $0 }
        consider(found.3) { $0 }
        consider(found.4) { $0 }
        if hasAlias {
            for index in request.fields.indices where request.fields[index].isAlias && worker.client(for: request.value(request.fields[index])) != nil {
                request.markRemoved(index)
            }
        }
        var pairs: [Range<Int>] = []
        if let query {
            let view = request.bytes.view
            let keys = QueryPairs.ranges(named: worker.queryKeyName, in: view, query)
            if keys.count > 1 {
                result = .refused
                return
            }
            if let pair = keys.first {
                let value = QueryPairs.value(of: pair, in: view)
                let client = unsafe value.withUnsafeBytes { unsafe worker.client(for: ByteView($0)) }
                if decided == nil { decided = .some(client) }
                if client != nil { pairs = [pair] }
            }
        }
        switch decided {
        case nil: result = .none(queryPairs: pairs)
        case .some(nil): result = .refused
        case .some(.some(let client)): result = .valid(client: client, queryPairs: pairs)
        }
    }

    private static func note(_ index: Int, _ place: inout Int?) -> Bool {
        if place != nil { return true }
        place = index
        return false
    }

    /// What follows `Bearer` and spaces (RFC 6750 §2.1); nil for another scheme.
    private static func bearer(_ value: ByteView) -> ByteView? {
        guard value.count >= 6, value[0..<6].equals(lowercase: "bearer") else { return nil }
        if value.count == 6 { return value.dropFirst(6) }
        guard value[6] == 0x20 else { return nil }
        return trimmed(value.dropFirst(6))
    }
}

/// The `name=value` pairs of a query, found without changing an octet of it.
enum QueryPairs {
    /// The ranges (of `view`) of all pairs whose decoded name is `name`.
    static func ranges(named name: ByteBuffer, in view: ByteView, _ query: Range<Int>) -> [Range<Int>] {
        var found: [Range<Int>] = []
        let octets = view[0..<query.upperBound]
        var start = query.lowerBound
        while start <= query.upperBound {
            let end = octets.firstIndex(of: 0x26, from: start) ?? query.upperBound
            let pair = octets[start..<end]
            let nameEnd = pair.firstIndex(of: 0x3D) ?? pair.count
            let own = pair[0..<nameEnd]
            if own.equals(name.view) {
                found.append(start..<end)
            } else if own.firstIndex(of: 0x25) != nil, percentDecoded(own.array) == name.view.array {
                found.append(start..<end)
            }
            start = end + 1
        }
        return found
    }

    /// The decoded value of a pair.
    static func value(of pair: Range<Int>, in view: ByteView) -> [UInt8] {
        let octets = view[pair]
        guard let equals = octets.firstIndex(of: 0x3D) else { return [] }
        return percentDecoded(octets.dropFirst(equals + 1).array)
    }

    /// Appends `octets`, everything but RFC 3986's unreserved characters percent-encoded.
    static func appendEncoded(_ octets: ByteView, to out: ByteBuffer) {
        for index in 0..<octets.count {
            let octet = octets[index]
            if isUnreserved(octet) {
                out.append(octet)
            } else {
                out.append(0x25)
                for digit in [octet >> 4, octet & 15] { out.append(digit < 10 ? 0x30 + digit : 0x37 + digit) }
            }
        }
    }
}
