// SPDX-License-Identifier: MIT

/// Finds the usage objects in JSON that comes in pieces of any size. Performs no I/O.
///
/// Follows the structure octet by octet and keeps nothing but a usage object that is cut, up to 4 KiB: a body may have any length and any nesting, and its
/// texts may say what they like. Any split of the input gives the same reading; what is not JSON gives none. Arrays at the top, and several documents one
/// behind the other, are looked at one by one: the last that says something counts.
struct UsageScanner {
    /// Longer usage objects say nothing.
    static let objectOctetsMax = 4096

    private enum Mode {
        case structure, name, string
    }

    private let dialect: UsageDialect
    private var mode = Mode.structure
    /// The last octet of a string was a backslash.
    private var isEscaped = false
    /// Inside a watched object, a string that comes now is a member's name.
    private var expectsName = false
    private var role = UsageDialect.Role.none
    private var isCapturing = false
    private var isOverlong = false
    /// How many brackets are open.
    private var depth = 0
    /// The depth of the object whose members are looked at: 1, or 2 inside a parent. What lies deeper is skipped.
    private var watchedDepth = 1
    private var name = MemberName()
    /// What has come of a usage object whose end has not.
    private var captured: [UInt8] = []

    /// A scanner at the start of a document.
    init(_ dialect: UsageDialect) { self.dialect = dialect }

    /// Forgets the document: the next octet begins another.
    mutating func reset() { self = UsageScanner(dialect) }

    /// Looks at the octets of `range`, which follow those that were looked at before.
    mutating func scan(_ bytes: RawSpan, _ range: Range<Int>, into reading: inout UsageReading) {
        var index = range.lowerBound
        let end = range.upperBound
        if depth == 0, mode == .structure, index < end, bytes.octet(index) == 0x7B, let length = takeWhole(bytes.extracting(index..<end), into: &reading) {
            index += length
        }
        var captureStart = index
        while index < end {
            switch mode {
            case .string: skipString(bytes, &index, end)
            case .name: readName(bytes, &index, end)
            case .structure where depth > watchedDepth: skipStructure(bytes, &index, end)
            case .structure:
                let octet = bytes.octet(index)
                if octet == 0x7B, role == .usage {
                    captureStart = index
                    beginUsage(bytes, &index, end, into: &reading)
                } else {
                    index += 1
                    step(octet)
                    if mode == .name { beginName(bytes, &index, end) }
                }
            }
            if isCapturing, depth <= watchedDepth {
                keep(bytes, captureStart..<index)
                endUsage(into: &reading)
            }
        }
        if isCapturing { keep(bytes, captureStart..<end) }
    }

    /// Reads a document that lies whole in the octets, as most do, at one go.
    ///
    /// - Returns: its length; nil, and nothing is read, where it is cut or no JSON: then it is followed octet by octet.
    private mutating func takeWhole(_ bytes: RawSpan, into reading: inout UsageReading) -> Int? {
        var said = reading
        guard let end = try? takeMembers(of: bytes, at: 0, isInParent: false, into: &said) else { return nil }
        reading = said
        role = .none
        expectsName = false
        return end
    }

    /// Reads the members of the object that begins at `open`, and tells where it ends.
    private func takeMembers(of bytes: RawSpan, at open: Int, isInParent: Bool, into reading: inout UsageReading) throws(JSONFlaw) -> Int {
        var members = JSONMembers(open: open)
        while let member = try members.nextHead(in: bytes) {
            var role = dialect.role(of: MemberName(bytes, member.name), isInParent: isInParent)
            if member.value >= bytes.byteCount || bytes.octet(member.value) != 0x7B { role = .none }
            switch role {
            case .none: members.valueEnded(at: try bytes.jsonValueEnd(from: member.value))
            case .parent: members.valueEnded(at: try takeMembers(of: bytes, at: member.value, isInParent: true, into: &reading))
            case .usage:
                var said = reading
                guard let end = said.take(at: member.value, of: bytes, in: dialect) else { throw .malformed }
                if end - member.value <= UsageScanner.objectOctetsMax { reading = said }
                members.valueEnded(at: end)
            }
        }
        guard let end = members.end else { throw .malformed }
        return end
    }

    /// A line break that stands where the next octets are joined to the last ones.
    mutating func lineBroke() {
        if mode == .name { name.append(0x0A) }
        isEscaped = false
        if isCapturing, !isOverlong, captured.count < UsageScanner.objectOctetsMax { captured.append(0x0A) }
    }

    // MARK: - Structure

    /// One octet outside strings, in a watched object or outside all.
    @inline(__always) private mutating func step(_ octet: UInt8) {
        switch octet {
        case 0x22:
            isEscaped = false
            if expectsName {
                expectsName = false
                name = MemberName()
                mode = .name
            } else {
                role = .none
                mode = .string
            }
        case 0x7B:
            if depth == 0 {
                watchedDepth = 1
                expectsName = true
            } else if role == .parent {
                watchedDepth = 2
                expectsName = true
            }
            depth += 1
            role = .none
        case 0x5B:
            // An array at the top is looked through.
            if depth > 0 { depth += 1 }
            role = .none
        case 0x7D, 0x5D: close()
        case 0x2C:
            expectsName = depth > 0
            role = .none
        case 0x3A: expectsName = false
        case 0x20, 0x0A, 0x0D, 0x09: break
        // A number or a word: the member's value, which is no object.
        default: role = .none
        }
    }

    @inline(__always) private mutating func close() {
        role = .none
        expectsName = false
        if depth > 0 { depth -= 1 }
        if depth < watchedDepth { watchedDepth = 1 }
    }

    /// On to the next bracket or string, below what is watched.
    private mutating func skipStructure(_ bytes: RawSpan, _ index: inout Int, _ end: Int) {
        while index < end {
            switch bytes.octet(index) {
            case 0x22:
                index += 1
                isEscaped = false
                mode = .string
                skipString(bytes, &index, end)
                if mode == .string { return }
            case 0x7B, 0x5B:
                depth += 1
                index += 1
            case 0x7D, 0x5D:
                close()
                index += 1
                if depth <= watchedDepth { return }
            default:
                index += 1
                // Long runs of numbers, as `jsonValueEnd(from:)` has it.
                while index + 8 <= end {
                    let folded = bytes.word(index) | 0x2020_2020_2020_2020
                    let hits = Lanes.hits(folded, 0x7B, 0x7D) | Lanes.zeros(folded ^ 0x2222_2222_2222_2222)
                    if hits != 0 {
                        index += hits.trailingZeroBitCount / 8
                        break
                    }
                    index += 8
                }
            }
        }
    }

    // MARK: - Strings

    private mutating func skipString(_ bytes: RawSpan, _ index: inout Int, _ end: Int) {
        if isEscaped {
            isEscaped = false
            index += 1
        }
        while true {
            while index + 16 <= end {
                let low = Lanes.hits(bytes.word(index), 0x22, 0x5C)
                let high = Lanes.hits(bytes.word(index + 8), 0x22, 0x5C)
                if low | high != 0 {
                    index += low != 0 ? low.trailingZeroBitCount / 8 : 8 + high.trailingZeroBitCount / 8
                    break
                }
                index += 16
            }
            guard index < end else { return }
            switch bytes.octet(index) {
            case 0x22:
                mode = .structure
                index += 1
                return
            case 0x5C:
                index += 2
                if index > end {
                    isEscaped = true
                    index = end
                    return
                }
            default: index += 1
            }
        }
    }

    /// A name whose first octets lie here, as nearly all do, is read at once.
    @inline(__always) private mutating func beginName(_ bytes: RawSpan, _ index: inout Int, _ end: Int) {
        guard index + 16 <= end else { return }
        let low = bytes.word(index)
        let high = bytes.word(index + 8)
        let lowHits = Lanes.hits(low, 0x22, 0x5C)
        let highHits = Lanes.hits(high, 0x22, 0x5C)
        guard lowHits | highHits != 0 else {
            name = .long
            index += 16
            return
        }
        let count = lowHits != 0 ? lowHits.trailingZeroBitCount / 8 : 8 + highHits.trailingZeroBitCount / 8
        guard bytes.octet(index + count) == 0x22 else { return }
        role = dialect.role(of: MemberName(low, high, count: count), isInParent: watchedDepth == 2)
        mode = .structure
        index += count + 1
    }

    private mutating func readName(_ bytes: RawSpan, _ index: inout Int, _ end: Int) {
        while index < end {
            let octet = bytes.octet(index)
            index += 1
            if isEscaped {
                isEscaped = false
            } else if octet == 0x22 {
                role = dialect.role(of: name, isInParent: watchedDepth == 2)
                mode = .structure
                return
            } else if octet == 0x5C {
                isEscaped = true
            }
            name.append(octet)
        }
    }

    // MARK: - Usage objects

    /// A usage object begins at `index`. One that lies whole in the octets is read where it lies.
    private mutating func beginUsage(_ bytes: RawSpan, _ index: inout Int, _ end: Int, into reading: inout UsageReading) {
        role = .none
        let rest = bytes.extracting(index..<end)
        var said = reading
        if let length = said.take(at: 0, of: rest, in: dialect) {
            if length <= UsageScanner.objectOctetsMax { reading = said }
            index += length
            return
        }
        do throws(JSONFlaw) {
            let length = try rest.jsonValueEnd(from: 0)
            if length <= UsageScanner.objectOctetsMax { reading.take(at: 0, of: rest, in: dialect) }
            index += length
        } catch {
            // Cut: nothing else can be wrong with what begins with a brace.
            isCapturing = true
            isOverlong = false
            depth += 1
            index += 1
        }
    }

    private mutating func endUsage(into reading: inout UsageReading) {
        isCapturing = false
        if !isOverlong { reading.take(at: 0, of: unsafe captured.span.bytes, in: dialect) }
        captured = []
    }

    private mutating func keep(_ bytes: RawSpan, _ range: Range<Int>) {
        guard !isOverlong else { return }
        guard captured.count + range.count <= UsageScanner.objectOctetsMax else {
            isOverlong = true
            captured = []
            return
        }
        captured.append(contentsOf: bytes.copy(range))
    }
}
