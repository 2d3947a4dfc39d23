// SPDX-License-Identifier: MIT

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// The machine's processors, as far as this process may use them.
enum Processors {
    /// How many the scheduler lets this process run on; 1 or more.
    static var available: Int { max(1, ProcessInfo.processInfo.activeProcessorCount) }
}
