// SPDX-License-Identifier: MIT

import RotatorCore
import Testing

@testable import RotatorHTTP

@Suite("Deadline queue") struct DeadlineQueueTests {
    private final class Target: DeadlineTarget {
        var told: [Moment] = []
        var now = Moment(seconds: 0)
        lazy var deadline = Deadline(target: self)
        func deadlinePassed(_ deadline: Deadline) { told.append(now) }
    }

    private func fire(_ queue: DeadlineQueue, _ targets: [Target], at seconds: Int64) {
        for target in targets { target.now = Moment(seconds: seconds) }
        queue.fire(at: Moment(seconds: seconds))
    }

    @Test func `each deadline is told once, in its time`() {
        let queue = DeadlineQueue()
        let targets = (0..<100).map { _ in Target() }
        for (index, target) in targets.enumerated() { queue.set(target.deadline, to: Moment(seconds: Int64(1 + (index * 37) % 100))) }
        for second in 1...100 { fire(queue, targets, at: Int64(second)) }
        for (index, target) in targets.enumerated() { #expect(target.told == [Moment(seconds: Int64(1 + (index * 37) % 100))]) }
        #expect(queue.next == nil)
    }

    @Test func `a deadline that is pushed back is told at the later moment, one that is drawn near at the earlier`() {
        let queue = DeadlineQueue()
        let late = Target()
        let early = Target()
        queue.set(late.deadline, to: Moment(seconds: 5))
        queue.set(late.deadline, to: Moment(seconds: 9))
        queue.set(early.deadline, to: Moment(seconds: 9))
        queue.set(early.deadline, to: Moment(seconds: 3))
        for second in 1...10 { fire(queue, [late, early], at: Int64(second)) }
        #expect(late.told == [Moment(seconds: 9)])
        #expect(early.told == [Moment(seconds: 3)])
    }

    @Test func `what was cleared or taken out is never told`() {
        let queue = DeadlineQueue()
        let targets = (0..<20).map { _ in Target() }
        for (index, target) in targets.enumerated() { queue.set(target.deadline, to: Moment(seconds: Int64(index + 1))) }
        for index in stride(from: 0, to: 20, by: 2) { index % 4 == 0 ? queue.clear(targets[index].deadline) : queue.remove(targets[index].deadline) }
        fire(queue, targets, at: 100)
        for (index, target) in targets.enumerated() { #expect(target.told.count == index % 2) }
    }

    @Test func `a target that was let go without taking its deadline out is still there when it is told`() {
        let queue = DeadlineQueue()
        weak var seen: Target?
        do {
            let target = Target()
            seen = target
            queue.set(target.deadline, to: Moment(seconds: 1))
        }
        #expect(seen != nil)
        queue.fire(at: Moment(seconds: 2))
        #expect(seen == nil)
    }
}
