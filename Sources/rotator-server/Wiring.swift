// SPDX-License-Identifier: MIT

internal import CCurl

/// Where this program's parts meet the libraries.
enum Wiring {
    /// The version of the libcurl that is loaded at run time.
    static var libcurlVersion: String {
        // "libcurl/7.88.1 OpenSSL/3.0.17 …"
        unsafe String(cString: curl_version())
    }
}
