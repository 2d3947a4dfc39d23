// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Reads a message body from octets that come in any pieces, by the framing that its head told (RFC 9112 §6–§7).
struct BodyDecoder {
    /// One step over the octets at hand.
    enum Step: Equatable {
        /// `skip` octets of framing, then `count` octets of the body.
        case data(skip: Int, count: Int)
        /// `skip` octets of framing; more octets are needed.
        case needMore(skip: Int)
        /// `skip` octets of framing; the body is whole. What follows belongs to another message.
        case finished(skip: Int)
    }

    private enum State {
        case none
        case length(Int)
        case untilClose
        case chunkSize(Int, digits: Int)
        case chunkExtension(ChunkExtension)
        case chunkSizeEnd
        case chunkData(Int)
        case chunkDataEnd(Int)
        case trailerStart
        case trailerName
        case trailerValue
        case trailerEnd
        case finalLineFeed
        case finished
    }

    // Where the reader stands in `*( ";" chunk-ext-name [ "=" chunk-ext-val ] )` (RFC 9112 §7.1.1).
    private enum ChunkExtension { case nameStart, name, valueStart, token, quoted, quotedPair, quotedEnd }

    private var state: State
    private var chunkSize = 0
    private var extensionOctets = 0
    private var trailerLine = 0
    private var trailerOctets = 0
    private var trailerCount = 0

    /// No body.
    static let none = BodyDecoder(state: .none)
    /// Exactly `count` octets.
    static func length(_ count: Int) -> BodyDecoder { BodyDecoder(state: .length(count)) }
    /// The chunked coding.
    static let chunked = BodyDecoder(state: .chunkSize(0, digits: 0))
    /// All octets until the connection ends: responses only.
    static let untilClose = BodyDecoder(state: .untilClose)

    private init(state: State) { self.state = state }

    /// Whether the body is whole.
    var isFinished: Bool {
        switch state {
        case .none, .finished: true
        case .length(let rest): rest == 0
        case .untilClose, .chunkSize, .chunkExtension, .chunkSizeEnd, .chunkData, .chunkDataEnd, .trailerStart, .trailerName, .trailerValue, .trailerEnd, .finalLineFeed: false
        }
    }

    /// Whether the end of the connection is the body's end.
    var endsWithConnection: Bool { if case .untilClose = state { true } else { false } }

    /// Reads on in `bytes`, which follow directly on those of the step before. At most one run of body octets a step.
    mutating func step(_ bytes: ByteView) throws(HTTPFault) -> Step {
        switch state {
        case .none, .finished: return .finished(skip: 0)
        case .untilClose: return bytes.isEmpty ? .needMore(skip: 0) : .data(skip: 0, count: bytes.count)
        case .length(let rest):
            if rest == 0 {
                state = .finished
                return .finished(skip: 0)
            }
            if bytes.isEmpty { return .needMore(skip: 0) }
            let count = min(rest, bytes.count)
            state = .length(rest - count)
            return .data(skip: 0, count: count)
        case .chunkSize, .chunkExtension, .chunkSizeEnd, .chunkData, .chunkDataEnd, .trailerStart, .trailerName, .trailerValue, .trailerEnd, .finalLineFeed:
            return try chunkedStep(bytes)
        }
    }

    private mutating func chunkedStep(_ bytes: ByteView) throws(HTTPFault) -> Step {
        var index = 0
        while index < bytes.count {
            let octet = bytes[index]
            switch state {
            case .chunkData(let rest):
                let count = min(rest, bytes.count - index)
                state = rest == count ? .chunkDataEnd(0) : .chunkData(rest - count)
                return .data(skip: index, count: count)
            case .chunkSize(let size, let digits):
                if isHexDigit(octet) {
                    // 15 digits reach 2^60: enough for any body, and no overflow.
                    guard digits < 15 || (size == 0 && digits < 1024) else { throw .malformed("chunk size") }
                    let digit = octet &- 0x30 < 10 ? Int(octet &- 0x30) : Int(octet | 0x20) - 0x57
                    state = .chunkSize(size << 4 | digit, digits: digits + 1)
                } else {
                    guard digits > 0 else { throw .malformed("chunk size") }
                    chunkSize = size
                    switch octet {
                    case 0x0D: state = .chunkSizeEnd
                    case 0x3B: state = .chunkExtension(.nameStart)
                    default: throw .malformed("chunk size")
                    }
                }
            case .chunkExtension(let place):
                extensionOctets += 1
                if extensionOctets > HTTPLimits.chunkExtensions { throw .malformed("chunk extensions too long") }
                state = try chunkExtension(place, octet)
            case .chunkSizeEnd:
                guard octet == 0x0A else { throw .malformed("chunk size line") }
                state = chunkSize == 0 ? .trailerStart : .chunkData(chunkSize)
            case .chunkDataEnd(let matched):
                guard octet == (matched == 0 ? 0x0D : 0x0A) else { throw .malformed("chunk end") }
                state = matched == 0 ? .chunkDataEnd(1) : .chunkSize(0, digits: 0)
            case .trailerStart:
                if octet == 0x0D {
                    state = .finalLineFeed
                } else {
                    guard isToken(octet) else { throw .malformed("trailer") }
                    trailerCount += 1
                    trailerLine = 0
                    try countTrailer()
                    state = .trailerName
                }
            case .trailerName:
                try countTrailer()
                if octet == 0x3A { state = .trailerValue } else if !isToken(octet) { throw .malformed("trailer") }
            case .trailerValue:
                try countTrailer()
                if octet == 0x0D { state = .trailerEnd } else if !isFieldText(octet) { throw .malformed("trailer") }
            case .trailerEnd:
                guard octet == 0x0A else { throw .malformed("trailer") }
                state = .trailerStart
            case .finalLineFeed:
                guard octet == 0x0A else { throw .malformed("chunked body's end") }
                state = .finished
                return .finished(skip: index + 1)
            case .none, .length, .untilClose, .finished:
                preconditionFailure("chunkedStep is for the chunked coding")
            }
            index += 1
        }
        return .needMore(skip: index)
    }

    private func chunkExtension(_ place: ChunkExtension, _ octet: UInt8) throws(HTTPFault) -> State {
        switch place {
        case .nameStart:
            if isToken(octet) { return .chunkExtension(.name) }
        case .name:
            if isToken(octet) { return .chunkExtension(.name) }
            if octet == 0x3D { return .chunkExtension(.valueStart) }
            if octet == 0x3B { return .chunkExtension(.nameStart) }
            if octet == 0x0D { return .chunkSizeEnd }
        case .valueStart:
            if octet == 0x22 { return .chunkExtension(.quoted) }
            if isToken(octet) { return .chunkExtension(.token) }
        case .token:
            if isToken(octet) { return .chunkExtension(.token) }
            if octet == 0x3B { return .chunkExtension(.nameStart) }
            if octet == 0x0D { return .chunkSizeEnd }
        case .quoted:
            if octet == 0x22 { return .chunkExtension(.quotedEnd) }
            if octet == 0x5C { return .chunkExtension(.quotedPair) }
            if isFieldText(octet) { return .chunkExtension(.quoted) }
        case .quotedPair:
            if isFieldText(octet) { return .chunkExtension(.quoted) }
        case .quotedEnd:
            if octet == 0x3B { return .chunkExtension(.nameStart) }
            if octet == 0x0D { return .chunkSizeEnd }
        }
        throw .malformed("chunk extension")
    }

    private mutating func countTrailer() throws(HTTPFault) {
        trailerLine += 1
        trailerOctets += 1
        if trailerLine > HTTPLimits.fieldLine || trailerOctets > HTTPLimits.fields || trailerCount > HTTPLimits.fieldCount { throw .fieldsTooLarge }
    }
}
