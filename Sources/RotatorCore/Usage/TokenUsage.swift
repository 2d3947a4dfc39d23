// SPDX-License-Identifier: MIT

/// The tokens of one exchange, or of many, as the provider counted them. Never negative; adding stops at the greatest number.
public struct TokenUsage: Sendable, Hashable {
    /// Everything that was read, what came from the provider's cache included.
    public var input: Int64
    /// Everything that was written, reasoning included.
    public var output: Int64
    /// The part of ``input`` that came from the provider's cache.
    public var cachedInput: Int64
    /// The part of ``output`` that is reasoning and is not shown.
    public var reasoning: Int64

    /// Tokens as a provider counted them.
    public init(input: Int64 = 0, output: Int64 = 0, cachedInput: Int64 = 0, reasoning: Int64 = 0) {
        self.input = input
        self.output = output
        self.cachedInput = cachedInput
        self.reasoning = reasoning
    }

    /// What limits and budgets count: read and written together.
    public var total: Int64 { input.addingCapped(output) }

    /// Takes in what another exchange used.
    public mutating func add(_ other: TokenUsage) {
        input = input.addingCapped(other.input)
        output = output.addingCapped(other.output)
        cachedInput = cachedInput.addingCapped(other.cachedInput)
        reasoning = reasoning.addingCapped(other.reasoning)
    }
}

extension Int64 {
    /// The sum, or the greatest number where it does not fit.
    package func addingCapped(_ other: Int64) -> Int64 {
        let (sum, isFull) = addingReportingOverflow(other)
        return isFull ? .max : sum
    }
}
