// SPDX-License-Identifier: MIT

internal import RotatorCore

/// Told when a deadline has passed.
protocol DeadlineTarget: AnyObject {
    func deadlinePassed(_ deadline: Deadline)
}

/// One moment that somebody waits for. Confined to one reactor.
///
/// Pushing a deadline back, which every request and every event does, only notes the later moment; the queue looks at it when the earlier
/// one comes up. So it costs a store, not a walk through the heap.
final class Deadline {
    fileprivate var position = -1
    // The moment under which the heap sorts it; never later than `wanted`.
    fileprivate var queued = Moment.distantFuture
    fileprivate(set) var wanted = Moment.distantFuture
    /// Whom to tell: set once, when it is made, by the object that owns this one and takes it out of its queue before it goes.
    unowned var target: (any DeadlineTarget)!
    // The target, kept alive while the queue may tell it. Not weak: that would put each target's reference count into a table of its own.
    fileprivate var told: (any DeadlineTarget)?

    /// One whose target is set before anything is asked for.
    init() {}

    /// One that tells `target`.
    convenience init(target: any DeadlineTarget) {
        self.init()
        self.target = target
    }

    fileprivate func entered(_ position: Int) {
        self.position = position
        told = target
    }
}

/// A binary heap of deadlines, the earliest on top.
final class DeadlineQueue {
    private var heap: [Deadline] = []

    /// The moment at which to look again.
    var next: Moment? { heap.first?.queued }

    /// Asks for `moment`, in place of what was asked for before.
    @inline(__always) func set(_ deadline: Deadline, to moment: Moment) {
        deadline.wanted = moment
        if deadline.position < 0 || moment < deadline.queued { bringForward(deadline, to: moment) }
    }

    @inline(never) private func bringForward(_ deadline: Deadline, to moment: Moment) {
        if deadline.position >= 0 {
            deadline.queued = moment
            siftUp(deadline.position)
        } else if moment < .distantFuture {
            deadline.queued = moment
            deadline.entered(heap.count)
            heap.append(deadline)
            siftUp(deadline.position)
        }
    }

    /// Asks for nothing any more, at no cost now.
    func clear(_ deadline: Deadline) { deadline.wanted = .distantFuture }

    /// Takes the deadline out: needed before its target goes.
    func remove(_ deadline: Deadline) {
        deadline.wanted = .distantFuture
        let position = deadline.position
        guard position >= 0 else { return }
        deadline.position = -1
        deadline.told = nil
        let last = heap.removeLast()
        if last !== deadline {
            heap[position] = last
            last.position = position
            siftDown(position)
            siftUp(last.position)
        }
    }

    /// Tells every target whose moment has come.
    func fire(at now: Moment) {
        while let top = heap.first, top.queued <= now {
            if top.wanted > now {
                if top.wanted == .distantFuture {
                    remove(top)
                } else {
                    top.queued = top.wanted
                    siftDown(0)
                }
                continue
            }
            let target = top.told
            remove(top)
            target?.deadlinePassed(top)
        }
    }

    private func siftUp(_ start: Int) {
        var index = start
        let moved = heap[index]
        while index > 0 {
            let parent = (index - 1) / 2
            guard moved.queued < heap[parent].queued else { break }
            heap[index] = heap[parent]
            heap[index].position = index
            index = parent
        }
        heap[index] = moved
        moved.position = index
    }

    private func siftDown(_ start: Int) {
        var index = start
        let moved = heap[index]
        while true {
            var child = 2 * index + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1].queued < heap[child].queued { child += 1 }
            guard heap[child].queued < moved.queued else { break }
            heap[index] = heap[child]
            heap[index].position = index
            index = child
        }
        heap[index] = moved
        moved.position = index
    }
}
