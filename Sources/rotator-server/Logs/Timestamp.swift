// SPDX-License-Identifier: MIT

internal import Glibc
internal import RotatorCore

/// The time that log lines bear.
enum Timestamp {
    /// The wall clock's time.
    static var now: Moment {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Moment(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}
