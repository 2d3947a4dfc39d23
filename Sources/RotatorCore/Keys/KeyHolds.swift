// SPDX-License-Identifier: MIT

/// What keeps a key from being chosen on this replica alone: its own limits, and quotas that the provider said are empty.
///
/// Few keys have any, so it stands apart from ``KeyEntry``. Guarded by the lock of the key's family.
final class KeyHolds {
    /// A model for which the provider said that nothing is left.
    struct EmptyModel {
        var model: String
        var until: Moment
        /// See ``KeyStanding/ModelStanding/slot``.
        var slot: Int?
    }

    /// Nil where the key has no limits of its own.
    var pacing: KeyPacing?
    /// The limit that is reached.
    private(set) var pace: KeyPacing.Hold?
    /// Until when nothing is left for any model.
    var emptyUntil: Moment?
    var emptyModels: [EmptyModel] = []

    /// Whether the key may not be chosen for any model.
    var isHeld: Bool { pace != nil || emptyUntil != nil }

    /// Whether the provider said of any model that nothing is left.
    var isEmpty: Bool { emptyUntil != nil || !emptyModels.isEmpty }

    /// When time alone changes something next.
    var nextChange: Moment? {
        var next = pace?.until
        if let until = emptyUntil { next = min(next ?? until, until) }
        for empty in emptyModels { next = min(next ?? empty.until, empty.until) }
        return next
    }

    /// When the key may be chosen for `model`. While an attempt must end first: within a second.
    func returnsAt(model: String?, now: Moment) -> Moment {
        var moment = max(now, emptyUntil ?? now)
        if let pace { moment = max(moment, pace.until ?? now + .seconds(1)) }
        if let model, let empty = emptyModels.first(where: { $0.model == model }) { moment = max(moment, empty.until) }
        return moment
    }

    /// Looks again at what holds the key back. Emptied models are left to whoever counts them.
    func update(inFlight: Int, at now: Moment) {
        pace = pacing?.hold(inFlight: inFlight, at: now)
        if let until = emptyUntil, until <= now { emptyUntil = nil }
    }

    /// Forgets what the provider said.
    func forgetEmpty() {
        emptyUntil = nil
        for index in emptyModels.indices { emptyModels[index].until = .distantPast }
    }

    /// The provider said until when nothing is left for `model` (nil: for any), or that something is (`until` nil). True when that is news.
    func noteEmpty(until: Moment?, model: String?) -> Bool {
        guard let model else {
            defer { emptyUntil = until }
            return emptyUntil != until
        }
        if let index = emptyModels.firstIndex(where: { $0.model == model }) {
            if emptyModels[index].until == until { return false }
            emptyModels[index].until = until ?? .distantPast
            return true
        }
        guard let until else { return false }
        emptyModels.append(EmptyModel(model: model, until: until))
        return true
    }
}
