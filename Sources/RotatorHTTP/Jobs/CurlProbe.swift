// SPDX-License-Identifier: MIT

internal import CCurl
internal import RotatorCore

/// One probe on its way through libcurl. Wraps an easy handle. Confined to the prober's thread.
@safe final class CurlProbe {
    let easy: UnsafeMutableRawPointer
    private var fieldLines: UnsafeMutablePointer<curl_slist>?
    private var status = 0
    private var fields: [HeaderField] = []
    private var fieldOctets = 0
    private var body: [UInt8] = []
    private var isHeadWhole = false

    /// What tells it from other transfers.
    var address: UInt { unsafe UInt(bitPattern: easy) }

    private static let bodyOctetsMax = 65_536
    private static let fieldOctetsMax = 65_536

    /// Nil when libcurl has no memory for a handle.
    init?(_ call: ProbeCall, with secret: Secret, settings: ProxySettings) {
        guard let easy = unsafe curl_easy_init() else { return nil }
        unsafe self.easy = unsafe easy
        let url = ByteBuffer(capacity: 512)
        call.appendURL(with: secret, to: url)
        url.append(0)
        // libcurl copies every text that it is given.
        setOctets(CURLOPT_URL, url)
        url.erase()
        call.withFieldLines(secret) { line in
            line.append(0)
            let longer = unsafe curl_slist_append(fieldLines, CurlProbe.text(line))
            if let longer = unsafe longer { unsafe fieldLines = longer }
        }
        _ = unsafe rotator_easy_set_pointer(easy, CURLOPT_HTTPHEADER, fieldLines)
        let request = call.request
        if request.method == "HEAD" { set(CURLOPT_NOBODY, 1) } else { set(CURLOPT_CUSTOMREQUEST, request.method) }
        if !request.body.isEmpty {
            set(CURLOPT_POSTFIELDSIZE, request.body.count)
            unsafe request.body.withUnsafeBytes { octets in
                _ = unsafe rotator_easy_set_pointer(easy, CURLOPT_COPYPOSTFIELDS, UnsafeMutableRawPointer(mutating: octets.baseAddress))
            }
        }
        unsafe TransferOptions.apply(to: easy, settings: settings, isTLS: call.target.isTLS, host: call.target.host)
        set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_2TLS))
        set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        let connect = milliseconds(settings.connectTimeout)
        set(CURLOPT_CONNECTTIMEOUT_MS, connect)
        set(CURLOPT_TIMEOUT_MS, min(milliseconds(settings.exchangeTimeout), connect + milliseconds(min(settings.firstByteTimeout, .seconds(30)))))
        set(CURLOPT_TCP_NODELAY, 1)
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        _ = unsafe rotator_easy_set_header(easy, { octets, _, count, context in
            unsafe Unmanaged<CurlProbe>.fromOpaque(context!).takeUnretainedValue().readLine(UnsafeRawBufferPointer(start: octets, count: count)) ? count : 0
        }, context)
        _ = unsafe rotator_easy_set_write(easy, { octets, _, count, context in
            unsafe Unmanaged<CurlProbe>.fromOpaque(context!).takeUnretainedValue().readBody(UnsafeRawBufferPointer(start: octets, count: count)) ? count : 0
        }, context)
    }

    deinit {
        unsafe curl_easy_cleanup(easy)
        unsafe curl_slist_free_all(fieldLines)
    }

    /// What has come, once libcurl says that the transfer has ended so.
    func answer(_ code: CURLcode) -> ProbeAnswer {
        // A body that broke off, or of which we have read enough, does not take back what its head said.
        if isHeadWhole, status >= 100 { return .answered(UpstreamAnswer(status: status, fields: HeaderFields(fields), bodyPrefix: body)) }
        return .failed(reason: TransferOptions.reason(code))
    }

    // One line of a head, with its end. libcurl begins again for each head: that of an interim answer is forgotten.
    private func readLine(_ octets: UnsafeRawBufferPointer) -> Bool {
        fieldOctets += octets.count
        guard fieldOctets <= Self.fieldOctetsMax else { return false }
        var line = unsafe octets[...]
        while unsafe line.last == 0x0A || line.last == 0x0D { unsafe line.removeLast() }
        if unsafe line.isEmpty {
            var code = 0
            _ = unsafe rotator_easy_get_long(easy, CURLINFO_RESPONSE_CODE, &code)
            status = code
            isHeadWhole = code >= 200 || code == 101
        } else if unsafe line.starts(with: "HTTP/".utf8) {
            fields = []
        } else if let colon = unsafe line.firstIndex(of: 0x3A) {
            var value = unsafe line[(colon + 1)...]
            while unsafe value.first == 0x20 || value.first == 0x09 { unsafe value.removeFirst() }
            unsafe fields.append(HeaderField(String(decoding: line[..<colon], as: UTF8.self), String(decoding: value, as: UTF8.self)))
        }
        return true
    }

    // False ends the transfer: enough has come.
    private func readBody(_ octets: UnsafeRawBufferPointer) -> Bool {
        unsafe body.append(contentsOf: octets.prefix(Self.bodyOctetsMax - body.count))
        return body.count < Self.bodyOctetsMax
    }

    private func milliseconds(_ duration: Duration) -> Int { Int(max(1, duration.wholeNanoseconds / 1_000_000)) }
    private func set(_ option: CURLoption, _ value: Int) { _ = unsafe rotator_easy_set_long(easy, option, value) }
    private func set(_ option: CURLoption, _ value: String) { _ = unsafe rotator_easy_set_string(easy, option, value) }
    private func setOctets(_ option: CURLoption, _ text: ByteBuffer) {
        _ = unsafe rotator_easy_set_string(easy, option, CurlProbe.text(text))
    }

    // `buffer` as C reads it; it ends with a zero.
    private static func text(_ buffer: ByteBuffer) -> UnsafePointer<CChar> {
        unsafe UnsafeRawPointer(buffer.view.base).assumingMemoryBound(to: CChar.self)
    }
}
