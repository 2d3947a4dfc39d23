// SPDX-License-Identifier: MIT

internal import Dispatch
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// Runs `body` on a thread of its own that takes no signals (they are for the threads that wait for them). False when there is none to be had.
func startThread(_ body: @escaping @Sendable () -> Void) -> Bool {
    final class Context: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var attributes = pthread_attr_t()
    unsafe pthread_attr_init(&attributes)
    defer { unsafe pthread_attr_destroy(&attributes) }
    unsafe pthread_attr_setdetachstate(&attributes, CInt(PTHREAD_CREATE_DETACHED))
    // A thread inherits the mask of its creator, so it is set here for the moment of the creation: inside the thread would be too late.
    var all = sigset_t()
    var previous = sigset_t()
    unsafe sigfillset(&all)
    unsafe pthread_sigmask(SIG_SETMASK, &all, &previous)
    defer { unsafe pthread_sigmask(SIG_SETMASK, &previous, nil) }

    let context = unsafe Unmanaged.passRetained(Context(body))
    #if canImport(Darwin)
    var thread: pthread_t?
    #else
    var thread = pthread_t()
    #endif
    let status = unsafe pthread_create(&thread, &attributes, { pointer in
        #if canImport(Darwin)
        let context = unsafe Unmanaged<Context>.fromOpaque(pointer).takeRetainedValue()
        #else
        let context = unsafe Unmanaged<Context>.fromOpaque(pointer!).takeRetainedValue()
        #endif
        context.body()
        return nil
    }, context.toOpaque())
    if status != 0 { unsafe context.release() }
    return status == 0
}
