// SPDX-License-Identifier: MIT

internal import CLinux
internal import Glibc

/// What the process asks of the kernel about itself before it reads a secret.
enum ProcessHardening {
    /// No core dumps, no reading of memory by other processes of the same user, no death by SIGPIPE, and as many descriptors as are allowed.
    static func apply() {
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        unsafe setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
        _ = rotator_prctl_set_dumpable(0)
        signal(SIGPIPE, SIG_IGN)

        var descriptors = rlimit()
        if unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &descriptors) == 0, descriptors.rlim_cur < descriptors.rlim_max {
            descriptors.rlim_cur = descriptors.rlim_max
            unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &descriptors)
        }
        // What the server makes is for its own user alone: the store, its log and `master.key`.
        umask(0o077)
    }

    /// Gives the calling thread a name of up to 15 characters, which `top -H` shows.
    static func nameThisThread(_ name: String) {
        _ = unsafe name.withCString { unsafe rotator_prctl_set_name($0) }
    }
}
