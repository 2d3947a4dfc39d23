// SPDX-License-Identifier: MIT

internal import Synchronization

/// One key for one conversation, so that the provider's prompt cache hits: rendezvous hashing of conversation and key id, weights respected. What has
/// no conversation takes turns.
///
/// While the keys of a pool stay the same, a conversation has the same key on every replica and after a restart. When its key rests or was tried, the
/// next one in the conversation's own order is taken, and nobody else's key changes; when it comes back, so does the conversation. The rest of the
/// order is told in ``AffinityTree``. A few hundred nanoseconds under its own lock, whatever the number of keys.
public final class Affinity: RotationStrategy {
    private let tree: Mutex<AffinityTree>

    /// No key known.
    public init() { tree = Mutex(AffinityTree()) }

    private init(_ present: AffinityTree) { tree = Mutex(present) }

    public var followsConversations: Bool { true }
    public var followsTurns: Bool { true }
    public var observesMembers: Bool { true }

    public func next(among candidates: borrowing Candidates) -> Int? {
        guard let conversation = candidates.conversation else { return RoundRobin().next(among: candidates) }
        return tree.withLock { $0.first(among: candidates, for: conversation) }
    }

    public func copy() -> Affinity { Affinity(tree.withLock { $0 }) }

    public func membersChanged(to members: [RotationMember]) {
        tree.withLock { $0.setMembers(members) }
    }

    public func candidateJoined(_ position: Int, weight: Int, inFlight: Int) {
        tree.withLock { $0.join(position, weight: weight) }
    }

    public func candidateLeft(_ position: Int) {
        tree.withLock { $0.leave(position) }
    }
}

extension RotationStrategy where Self == Affinity {
    /// One key for one conversation.
    public static var affinity: Affinity { Affinity() }
}
