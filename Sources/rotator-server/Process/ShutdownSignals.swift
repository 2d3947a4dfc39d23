// SPDX-License-Identifier: MIT

internal import Glibc

/// SIGTERM and SIGINT: the first asks for a drain, the second ends the process at once.
enum ShutdownSignals {
    /// Holds both signals back from this thread and from all that it starts. Call it before the first of them is started.
    static func hold() {
        var signals = set
        unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
    }

    /// Waits on a thread of its own; calls `first` there for the first signal. After the second the process is gone, with 128 + its number.
    static func watch(_ first: @escaping @Sendable (Int32) -> Void) {
        WriterThread.start(name: "signals") {
            first(next())
            _exit(128 + next())
        }
    }

    private static var set: sigset_t {
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe sigaddset(&signals, SIGTERM)
        unsafe sigaddset(&signals, SIGINT)
        return signals
    }

    private static func next() -> Int32 {
        var signals = set
        var number: Int32 = 0
        while unsafe sigwait(&signals, &number) != 0 {}
        return number
    }
}
