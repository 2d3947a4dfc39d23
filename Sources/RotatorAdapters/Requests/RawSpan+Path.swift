// SPDX-License-Identifier: MIT

internal import RotatorCore

// Paths are looked at as they were sent: without the query, segments still percent-encoded.
extension RawSpan {
    /// The segment behind the first segment that equals `name`; nil where there is none or it is empty.
    func segment(behind name: StaticString) -> Range<Int>? {
        var start = 0
        var isWanted = false
        while start <= byteCount {
            let end = first(0x2F, from: start, to: byteCount) ?? byteCount
            if isWanted { return start < end ? start..<end : nil }
            isWanted = equals(name, in: start..<end)
            start = end + 1
        }
        return nil
    }

    /// The decoded text of `segment` if it may be a model's name.
    func model(_ segment: Range<Int>) -> String? {
        guard !segment.isEmpty, segment.count <= RequestFacts.modelOctetsMax else { return nil }
        return String(decoding: percentDecoded(segment), as: UTF8.self)
    }
}
