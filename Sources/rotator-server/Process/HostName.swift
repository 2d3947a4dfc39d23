// SPDX-License-Identifier: MIT

internal import Glibc

/// What this machine, container or pod calls itself.
enum HostName {
    static var current: String {
        var name = [UInt8](repeating: 0, count: 256)
        let isThere = unsafe name.withUnsafeMutableBytes { unsafe gethostname($0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count - 1) == 0 }
        return isThere ? String(decoding: name.prefix { $0 != 0 }, as: UTF8.self) : ""
    }
}
