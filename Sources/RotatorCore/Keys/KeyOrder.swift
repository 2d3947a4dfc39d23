// SPDX-License-Identifier: MIT

/// What a listing of keys is sorted by; keys that are equal in it follow by their numbers.
public struct KeyOrder: Sendable, Hashable {
    /// What is compared.
    public enum Member: Sendable, Hashable, CaseIterable {
        /// Its number: the order in which keys were added.
        case id
        /// Its name, by code points; keys without one come before all others.
        case name
        /// Its state: active, cooling, exhausted, invalid, disabled.
        case state
        /// Its share of the requests.
        case weight
        /// When it was last used; keys that never were come before all others.
        case lastUse
        /// How many of its attempts succeeded.
        case successes
        /// How many of its attempts failed.
        case failures
    }

    /// What is compared.
    public var member: Member
    /// Whether the largest comes first.
    public var isDescending: Bool

    /// An order.
    public init(by member: Member = .id, isDescending: Bool = false) {
        self.member = member
        self.isDescending = isDescending
    }

    /// The values by which keys are compared; a listing holds no more of a key than this while it sorts.
    enum Value: Comparable {
        case number(Int64)
        case text(String)
    }

    func value(of key: KeyView) -> Value {
        switch member {
        case .id: .number(key.id.rawValue)
        case .name: .text(key.name)
        case .state: .number(Int64(KeyState.allCases.firstIndex(of: key.state) ?? 0))
        case .weight: .number(Int64(key.weight))
        // Keys that were never used come before all others.
        case .lastUse: .number(key.lastUsedAt?.nanoseconds ?? .min)
        case .successes: .number(key.successCount)
        case .failures: .number(key.failureCount)
        }
    }
}

extension RotatingKeyPool {
    /// A page of a listing, by position.
    ///
    /// Costs a look at each key, and a sort of those that are wanted; by number and without a condition, only the keys of the page are looked at.
    ///
    /// - Parameters:
    ///   - offset: how many keys stand before the page, 0 or more.
    ///   - limit: how many keys the page has at most.
    ///   - isWanted: which keys the listing has; nil: all.
    /// - Returns: the page, and how many keys the whole listing has.
    public func page(
        _ order: KeyOrder, offset: Int, limit: Int, at now: Moment, where isWanted: ((KeyView) -> Bool)?
    ) -> (views: [KeyView], total: Int) {
        let members = board.members
        func positions(of count: Int) -> Range<Int> {
            let end = offset.addingReportingOverflow(limit)
            return min(offset, count)..<min(count, end.overflow ? count : end.partialValue)
        }
        guard isWanted != nil || order.member != .id else {
            let count = members.count, page = positions(of: count)
            if !order.isDescending { return (members[page].map { view(of: $0, at: now) }, count) }
            return (members[count - page.upperBound..<count - page.lowerBound].reversed().map { view(of: $0, at: now) }, count)
        }
        var found: [(value: KeyOrder.Value, position: Int)] = []
        for (position, entry) in members.enumerated() {
            let view = view(of: entry, at: now)
            if isWanted?(view) ?? true { found.append((order.value(of: view), position)) }
        }
        // By number they are sorted already.
        if order.member != .id {
            found.sort { one, other in
                if one.value == other.value { return one.position < other.position }
                return order.isDescending ? other.value < one.value : one.value < other.value
            }
        } else if order.isDescending {
            found.reverse()
        }
        // A key may have changed in between: it stays on the page on which it was found.
        return (found[positions(of: found.count)].map { view(of: members[$0.position], at: now) }, found.count)
    }
}
