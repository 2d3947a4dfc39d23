// SPDX-License-Identifier: MIT

internal import CCurl
internal import RotatorCore

/// One alert on its way through libcurl. Wraps an easy handle. Confined to the sender's thread.
@safe final class WebhookTransfer {
    let easy: UnsafeMutableRawPointer
    private var fieldLines: UnsafeMutablePointer<curl_slist>?
    private var answerOctets = 0

    /// How long a receiver may take, name lookup included.
    static let timeout = Duration.seconds(10)
    /// What a receiver answers is not read; one that does not end its answer is not listened to any longer.
    private static let answerOctetsMax = 65_536

    /// What tells it from other transfers.
    var address: UInt { unsafe UInt(bitPattern: easy) }

    /// Nil when libcurl has no memory for a handle, or the URL cannot be used.
    init?(_ message: AlertMessage, to url: Secret, settings: ProxySettings, at now: Moment) {
        let text = unsafe url.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
        guard let target = WebhookURL.target(of: text), let easy = unsafe curl_easy_init() else { return nil }
        unsafe self.easy = unsafe easy
        // libcurl copies every text that it is given.
        set(CURLOPT_URL, text)
        for field in message.fields(at: now) { append("\(field.name): \(field.value)") }
        // libcurl asks before it sends larger bodies, and waits a second where nobody answers.
        append("Expect:")
        _ = unsafe rotator_easy_set_pointer(easy, CURLOPT_HTTPHEADER, fieldLines)
        set(CURLOPT_POST, 1)
        set(CURLOPT_POSTFIELDSIZE, message.body.count)
        unsafe message.body.withUnsafeBytes { octets in
            _ = unsafe rotator_easy_set_pointer(easy, CURLOPT_COPYPOSTFIELDS, UnsafeMutableRawPointer(mutating: octets.baseAddress))
        }
        unsafe TransferOptions.apply(to: easy, settings: settings, isTLS: target.isTLS, host: target.host)
        set(CURLOPT_TIMEOUT_MS, Int(Self.timeout.wholeNanoseconds / 1_000_000))
        _ = unsafe rotator_easy_set_write(easy, { _, _, count, context in
            unsafe Unmanaged<WebhookTransfer>.fromOpaque(context!).takeUnretainedValue().passOver(count) ? count : 0
        }, Unmanaged.passUnretained(self).toOpaque())
    }

    deinit {
        unsafe curl_easy_cleanup(easy)
        unsafe curl_slist_free_all(fieldLines)
    }

    /// What came of it, once libcurl says that the transfer has ended so.
    func result(_ code: CURLcode) -> DeliveryResult {
        var status = 0
        _ = unsafe rotator_easy_get_long(easy, CURLINFO_RESPONSE_CODE, &status)
        // An answer that broke off, or of which enough has come, does not take back what its head said.
        guard status >= 200, code == CURLE_OK || code == CURLE_WRITE_ERROR || code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR else {
            return .failed(reason: TransferOptions.reason(code))
        }
        var seconds: curl_off_t = 0
        _ = unsafe rotator_easy_get_offset(easy, CURLINFO_RETRY_AFTER, &seconds)
        return .answered(status: status, retryAfter: seconds > 0 ? .seconds(min(Int64(seconds), 86_400)) : nil)
    }

    // False ends the transfer.
    private func passOver(_ count: Int) -> Bool {
        answerOctets += count
        return answerOctets <= Self.answerOctetsMax
    }

    private func append(_ line: String) {
        let longer = unsafe curl_slist_append(fieldLines, line)
        if let longer = unsafe longer { unsafe fieldLines = longer }
    }

    private func set(_ option: CURLoption, _ value: Int) { _ = unsafe rotator_easy_set_long(easy, option, value) }
    private func set(_ option: CURLoption, _ value: String) { _ = unsafe rotator_easy_set_string(easy, option, value) }
}
