// SPDX-License-Identifier: MIT

/// The form in which an answer's body comes, as its head tells.
public struct AnswerForm: Sendable, Hashable {
    /// What the media type says.
    public enum Media: Sendable, Hashable {
        /// `application/json` and its like.
        case json
        /// `text/event-stream`.
        case eventStream
        /// Anything else, and what does not say.
        case other
    }

    /// What the content coding says (RFC 9110 §8.4.1).
    public enum Coding: Sendable, Hashable {
        case identity, gzip, deflate
        /// One that is not undone here.
        case unknown
    }

    /// The media type.
    public var media: Media
    /// The content coding.
    public var coding: Coding
    /// How many octets the body has, under its content coding; nil where its head does not say.
    public var length: Int?

    /// The form of a body.
    public init(media: Media, coding: Coding = .identity, length: Int? = nil) {
        self.media = media
        self.coding = coding
        self.length = length
    }
}

/// Reads the tokens of one answer from the octets that are forwarded. Never delays, keeps or edits one; holds a bounded part of what has come.
///
/// Confined to the thread that forwards.
public protocol UsageMeter: AnyObject {
    /// Looks at the next octets of the body, as they came: still under their content coding.
    func watch(_ octets: RawSpan)

    /// What the provider has counted as far as the body came; nil where it has said nothing.
    var usage: TokenUsage? { get }
}

/// Says of the beginning of a stream whether it is one. Confined to the thread that forwards.
public protocol StreamOpeningJudge: AnyObject {
    /// Looks at the next octets of the body, in order, and says where the stream stands now.
    func watch(_ octets: RawSpan) -> StreamOpening
}

/// Where a stream stands that has begun.
public enum StreamOpening: Sendable {
    /// Nothing but start-up events has come: `response.created`, `message_start`, a delta that holds a role alone, comments.
    case starting
    /// Content has come, or something that is not understood: it must go on.
    case content
    /// It has failed before any content. The answer is what the same failure looks like where no stream has begun, for the rules to judge.
    case failed(UpstreamAnswer)
}

/// Takes out of a stream what the rotator asked for and the client did not. Confined to the thread that forwards.
///
/// Holds back an event that has not come whole, up to 64 KiB; larger ones pass.
public protocol StreamEditor: AnyObject {
    /// Takes the next octets and hands on what the client is to have; spans are valid during the call only.
    func edit(_ octets: RawSpan, emit: (RawSpan) -> Void)

    /// The stream has ended: hands on what is held back.
    func finish(emit: (RawSpan) -> Void)
}

/// An edit of a request's body: `octets` in place of `range`.
public struct BodyEdit: Sendable, Hashable {
    /// What is replaced; may be empty.
    public var range: Range<Int>
    /// What stands there then.
    public var octets: [UInt8]

    /// An edit.
    public init(range: Range<Int>, octets: [UInt8]) {
        self.range = range
        self.octets = octets
    }
}
