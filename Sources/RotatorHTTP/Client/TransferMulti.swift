// SPDX-License-Identifier: MIT

internal import CCurl
internal import Glibc

/// Transfers by libcurl's own HTTP engine, beside the requests, on a thread of its own. Wraps `CURLM`.
@safe final class TransferMulti: @unchecked Sendable { // Confinement: everything but `wake`, which libcurl allows anywhere, is the thread's alone.
    private let handle: UnsafeMutableRawPointer

    /// Keeps up to `connectionsMax` idle connections.
    init(connectionsMax: Int) {
        unsafe handle = unsafe curl_multi_init()!
        _ = unsafe rotator_multi_set_long(handle, CURLMOPT_MAXCONNECTS, connectionsMax)
    }

    deinit { unsafe curl_multi_cleanup(handle) }

    /// Ends a wait that is under way, or the next one.
    func wake() { unsafe curl_multi_wakeup(handle) }

    @unsafe func add(_ easy: UnsafeMutableRawPointer) { unsafe curl_multi_add_handle(handle, easy) }
    @unsafe func remove(_ easy: UnsafeMutableRawPointer) { unsafe curl_multi_remove_handle(handle, easy) }

    /// Does what can be done now; tells of each transfer that has ended, by the address of its easy handle.
    func perform(_ ended: (UInt, CURLcode) -> Void) {
        var running: Int32 = 0
        _ = unsafe curl_multi_perform(handle, &running)
        var left: Int32 = 0
        while let message = unsafe curl_multi_info_read(handle, &left) {
            guard unsafe message.pointee.msg == CURLMSG_DONE, let easy = unsafe message.pointee.easy_handle else { continue }
            // Read before the handle is removed, which makes the message invalid.
            let code = unsafe message.pointee.data.result
            ended(UInt(bitPattern: easy), code)
        }
    }

    /// Waits until something can be done. False when nothing has come up in time.
    func wait(_ milliseconds: Int32) -> Bool {
        let began = ContinuousClock.now
        var ready: Int32 = 0
        unsafe curl_multi_poll(handle, nil, 0, milliseconds, &ready)
        // A wake-up is not among what libcurl counts as ready: then the wait was shorter than it was to be.
        return ready > 0 || ContinuousClock.now - began < .milliseconds(milliseconds)
    }

    /// Starts the thread, on which `work` runs until it returns. False when there is none to be had.
    func startThread(_ work: @escaping @Sendable (TransferMulti) -> Void) -> Bool {
        final class Start: Sendable {
            let multi: TransferMulti
            let work: @Sendable (TransferMulti) -> Void
            init(_ multi: TransferMulti, _ work: @escaping @Sendable (TransferMulti) -> Void) {
                self.multi = multi
                self.work = work
            }
        }
        var thread = pthread_t()
        let start = unsafe Unmanaged.passRetained(Start(self, work))
        let code = unsafe pthread_create(&thread, nil, { context in
            let start = unsafe Unmanaged<Start>.fromOpaque(context!).takeRetainedValue()
            start.work(start.multi)
            return nil
        }, start.toOpaque())
        if code != 0 {
            unsafe start.release()
            return false
        }
        _ = pthread_detach(thread)
        return true
    }
}
