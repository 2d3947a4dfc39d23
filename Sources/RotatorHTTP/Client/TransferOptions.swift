// SPDX-License-Identifier: MIT

internal import CCurl

/// What all transfers by libcurl's own HTTP engine have in common: they go where they are told and nowhere else, as the requests do.
enum TransferOptions {
    /// No redirects, no credentials from files, the outbound proxy and the trust roots of `settings`.
    @unsafe static func apply(to easy: UnsafeMutableRawPointer, settings: ProxySettings, isTLS: Bool, host: String) {
        func set(_ option: CURLoption, _ value: Int) { _ = unsafe rotator_easy_set_long(easy, option, value) }
        func set(_ option: CURLoption, _ value: String) { _ = unsafe rotator_easy_set_string(easy, option, value) }
        set(CURLOPT_PATH_AS_IS, 1)
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_PROTOCOLS_STR, "http,https")
        set(CURLOPT_FOLLOWLOCATION, 0)
        set(CURLOPT_NETRC, 0)
        // Given outright, so that libcurl does not read the environment; "" means none.
        set(CURLOPT_PROXY, settings.outboundProxies.proxy(isTLS: isTLS, host: host) ?? "")
        set(CURLOPT_NOPROXY, "")
        set(CURLOPT_SSL_VERIFYPEER, 1)
        set(CURLOPT_SSL_VERIFYHOST, 2)
        if let file = settings.upstreamCAFile {
            set(CURLOPT_CAPATH, "/etc/ssl/certs")
            set(CURLOPT_CAINFO, file)
        }
    }

    /// Why a transfer ended without an answer, in a stable word. libcurl's own words may hold the URL: these do not.
    static func reason(_ code: CURLcode) -> String {
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST: "name_not_found"
        case CURLE_COULDNT_RESOLVE_PROXY: "outbound_proxy_not_found"
        case CURLE_COULDNT_CONNECT: "connection_refused"
        case CURLE_OPERATION_TIMEDOUT: "timed_out"
        case CURLE_PROXY: "outbound_proxy_failed"
        case CURLE_PEER_FAILED_VERIFICATION: "certificate_not_verified"
        case CURLE_SSL_CONNECT_ERROR: "tls_handshake_failed"
        case CURLE_GOT_NOTHING, CURLE_RECV_ERROR, CURLE_SEND_ERROR, CURLE_PARTIAL_FILE: "connection_lost"
        default: "invalid_response"
        }
    }
}
