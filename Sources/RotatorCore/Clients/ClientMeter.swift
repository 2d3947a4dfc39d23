// SPDX-License-Identifier: MIT

internal import Synchronization

/// Counts what one client uses, over all threads of the process; where replicas share the count, its ``ClientDesk`` is asked.
///
/// Any thread may call any member. Only clients that have a limit have a meter, so nobody else's request takes its lock.
public final class ClientMeter: Sendable {
    /// What becomes of a request.
    public enum Admission: Sendable {
        case admitted
        case refused(ClientRefusal)
        /// The desk has been asked; it answers by the given closure.
        case asked
    }

    private struct State {
        var account: ClientAccount
        var inFlight: Int64 = 0
        /// Whether the account has changed since it was last handed out for writing down.
        var isUnrecorded = false
        /// Tokens that the desk has not been told of.
        var unchargedTokens: Int64 = 0
    }

    /// Whose meter it is.
    public let client: ClientID
    private let desk: (any ClientDesk)?
    private let state: Mutex<State>
    /// This process among those that share the count.
    public let holder: String

    /// A meter that has counted `account` so far. With a desk, what is decided here is decided there.
    public init(of client: ClientID, account: ClientAccount, holder: String, desk: (any ClientDesk)?) {
        self.client = client
        self.holder = holder
        self.desk = desk
        state = Mutex(State(account: account))
    }

    /// Asks for the admission of one request; each that is admitted is to be ended. `answer` is called once, on any thread, where the desk is asked.
    public func admit(at now: Moment, answer: @escaping @Sendable (ClientRefusal?) -> Void) -> Admission {
        if let desk {
            desk.ask(self, answer: answer)
            return .asked
        }
        return state.withLock { state in
            let (admitted, refusal) = state.account.admit(1, by: holder, at: now)
            guard admitted > 0 else {
                return .refused(refusal ?? ClientRefusal(.concurrentRequests, amount: 0, until: now + .seconds(1)))
            }
            state.inFlight += 1
            state.isUnrecorded = true
            return .admitted
        }
    }

    /// An admitted request has ended and used so many tokens; nil: unknown.
    public func ended(tokens: Int64?, at now: Moment) {
        state.withLock { state in
            state.inFlight -= 1
            state.isUnrecorded = true
            if desk != nil {
                state.unchargedTokens = state.unchargedTokens.addingCapped(tokens ?? 0)
            } else {
                state.account.charge(tokens ?? 0, at: now)
                state.account.hold(state.inFlight, by: holder, at: now)
            }
        }
        desk?.changed(self)
    }

    /// The policy is another from now on; what was used stays used.
    public func adopt(_ policy: ClientPolicy) { state.withLock { $0.account.adopt(policy) } }

    /// By what it decides.
    public var policy: ClientPolicy { state.withLock { $0.account.policy } }

    /// Whether requests are under way.
    public var isBusy: Bool { state.withLock { $0.inFlight > 0 } }

    /// What was last known of the account.
    public var account: ClientAccount { state.withLock { $0.account } }

    // MARK: For whoever writes accounts down

    /// The account as it is to be written down; nil where nothing has changed since the last call. Where writing fails, call ``markUnrecorded()``.
    public func takeUnrecorded() -> ClientAccount? {
        state.withLock { state in
            guard state.isUnrecorded else { return nil }
            state.isUnrecorded = false
            return state.account
        }
    }

    /// What was taken could not be written.
    public func markUnrecorded() { state.withLock { $0.isUnrecorded = true } }

    // MARK: For the desk

    /// What this process has to tell an account that it shares: takes the tokens that have not been charged.
    public func takeNews() -> (inFlight: Int64, tokens: Int64) {
        state.withLock { state in
            defer { state.unchargedTokens = 0 }
            state.isUnrecorded = false
            return (state.inFlight, state.unchargedTokens)
        }
    }

    /// The news could not be told.
    public func returnNews(tokens: Int64) {
        state.withLock { state in
            state.unchargedTokens = state.unchargedTokens.addingCapped(tokens)
            state.isUnrecorded = true
        }
    }

    /// The shared account is `account` now, and has admitted `count` more requests of this process.
    public func learn(_ account: ClientAccount, admitted count: Int) {
        state.withLock { state in
            state.account = account
            state.inFlight += Int64(count)
        }
    }

    /// Decides by what was last known, while the shared account cannot be reached: up to `count` requests.
    public func admitAlone(_ count: Int, at now: Moment) -> (admitted: Int, refusal: ClientRefusal?) {
        state.withLock { state in
            // What the others hold stays as it was last told, until it is too old.
            let answer = state.account.admit(count, by: holder, at: now)
            state.inFlight += Int64(answer.admitted)
            state.isUnrecorded = true
            return answer
        }
    }
}

/// Where meters ask whose account is shared with other replicas.
public protocol ClientDesk: AnyObject, Sendable {
    /// Asks for the admission of one request. `answer` is called once, on any thread, with nil when it is in.
    func ask(_ meter: ClientMeter, answer: @escaping @Sendable (ClientRefusal?) -> Void)

    /// A request has ended: the shared account is to be told soon.
    func changed(_ meter: ClientMeter)
}
