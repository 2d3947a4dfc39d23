// SPDX-License-Identifier: MIT

internal import RotatorCore

/// What a job found out about one key, as one word.
enum ProbeVerdict: String, Sendable, Hashable, CaseIterable {
    /// The provider accepts the key.
    case ok
    /// The provider refused the key, twice.
    case rejected
    /// The key is out of money or quota: the provider knows it.
    case exhausted
    /// The key is over a limit: the provider knows it.
    case rateLimited = "rate_limited"
    /// The provider knows the key and does not let it make this call.
    case forbidden
    /// Nothing is known: the provider or the way to it failed.
    case upstreamFailed = "upstream_failed"
    /// Not probed: switched off by an administrator, or gone.
    case skipped

    /// What an outcome says; nil where nothing was learned.
    init?(_ outcome: AttemptOutcome) {
        switch outcome {
        case .success: self = .ok
        case .rateLimited: self = .rateLimited
        case .exhausted: self = .exhausted
        case .keyRejected: self = .rejected
        case .forbidden: self = .forbidden
        case .upstreamFailed: self = .upstreamFailed
        case .abandoned: return nil
        }
    }

    /// Whether the provider has shown that it tells this key from one that it does not know.
    var isRecognised: Bool {
        switch self {
        case .ok, .exhausted, .rateLimited: true
        case .rejected, .forbidden, .upstreamFailed, .skipped: false
        }
    }

    /// Whether asking once more tells more: a rejection is confirmed before it counts, and a failure may be over.
    var wantsConfirmation: Bool { self == .rejected || self == .upstreamFailed }
}

/// Whether a call tells good keys from bad ones, as its answer to a made-up key shows.
enum ProbeProof: Sendable, Hashable {
    /// The made-up key was refused.
    case proves
    /// It was answered like a good one: the call proves nothing.
    case provesNothing
    /// The provider did not judge the key at all; perhaps later.
    case unclear

    /// What the outcome for a made-up key shows.
    init(_ outcome: AttemptOutcome) {
        switch outcome {
        case .keyRejected, .forbidden: self = .proves
        case .success: self = .provesNothing
        case .rateLimited, .exhausted, .upstreamFailed, .abandoned: self = .unclear
        }
    }
}

/// Keeps probes to a rate. A value: time is handed in.
struct ProbePace: Sendable {
    private let interval: Duration
    private var next = Moment.distantPast
    /// What a caller that was late may catch up with.
    private static let arrearsMax = Duration.milliseconds(100)

    /// At most `rate` probes in any second, and those of a tenth of a second more after a delay of ours.
    init(perSecond rate: Int) { interval = .seconds(1) / max(1, rate) }

    /// Takes the next turn: when the probe is to be sent, now or later.
    mutating func take(at now: Moment) -> Moment {
        let earliest = now.advanced(byNanoseconds: -Self.arrearsMax.wholeNanoseconds)
        let turn = next == .distantPast ? now : max(next, earliest)
        next = turn + interval
        return turn
    }
}

extension Secret {
    /// A key of the same shape that nobody has: what stands before its last separator near the beginning stays, and so do separators; every other
    /// letter and digit is drawn anew, and short ones are made longer.
    func madeUpSibling(using random: inout some RandomNumberGenerator) -> Secret {
        let octets = unsafe withUnsafeBytes { unsafe Array($0) }
        let separator = octets.prefix(16).lastIndex { $0 == 0x2D || $0 == 0x5F || $0 == 0x2E }
        let kept = separator.map { $0 + 1 } ?? min(4, octets.count / 4)
        var made = Array(octets.prefix(kept))
        var drawn = 0
        for octet in octets.dropFirst(kept) {
            let range: ClosedRange<UInt8>? =
                switch octet {
                case 0x30...0x39: 0x30...0x39
                case 0x41...0x5A: 0x41...0x5A
                case 0x61...0x7A: 0x61...0x7A
                default: nil
                }
            made.append(range.map { UInt8.random(in: $0, using: &random) } ?? octet)
            if range != nil { drawn += 1 }
        }
        while drawn < 16 {
            made.append(UInt8.random(in: 0x61...0x7A, using: &random))
            drawn += 1
        }
        return Secret(made)
    }
}
