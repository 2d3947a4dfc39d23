// SPDX-License-Identifier: MIT

internal import RotatorCore

/// The Prometheus text exposition format 0.0.4.
struct MetricsText {
    private(set) var text = ""

    init(
        services: [String: ServiceReport], openStreams: Int, openConnections: Int, keyCounts: [(service: String, state: String, count: Int)],
        traffic: TrafficCounters, alertCounts: [(event: String, result: String, count: Int)], isStoreUp: Bool
    ) {
        let sorted = services.sorted { $0.key < $1.key }
        family("rotator_requests_total", "counter", "Requests answered on the proxy surface, by service and status (499: the client left before the answer).")
        for (slug, service) in sorted {
            for (status, count) in service.requests.sorted(by: { $0.key < $1.key }) {
                sample("rotator_requests_total", "service=\"\(slug)\",status=\"\(status)\"", String(count))
            }
        }
        family("rotator_upstream_attempts_total", "counter", "Attempts made with a key, by service.")
        for (slug, service) in sorted { sample("rotator_upstream_attempts_total", "service=\"\(slug)\"", String(service.attempts)) }
        family("rotator_request_duration_seconds", "histogram", "From the request's head to the end of its response.")
        for (slug, service) in sorted { histogram("rotator_request_duration_seconds", slug, service.duration) }
        family("rotator_first_byte_seconds", "histogram", "From the request's head to the response's head.")
        for (slug, service) in sorted { histogram("rotator_first_byte_seconds", slug, service.firstByte) }
        family("rotator_keys", "gauge", "Keys by service and state.")
        for entry in keyCounts { sample("rotator_keys", "service=\"\(entry.service)\",state=\"\(entry.state)\"", String(entry.count)) }
        let counted = traffic.services.sorted { $0.key < $1.key }
        family("rotator_tokens_total", "counter", "Tokens by service and kind; cached_input is a part of input, reasoning of output.")
        for (slug, service) in counted {
            let usage = service.usage
            for (kind, count) in [("input", usage.input), ("output", usage.output), ("cached_input", usage.cachedInput), ("reasoning", usage.reasoning)] {
                sample("rotator_tokens_total", "service=\"\(slug)\",kind=\"\(kind)\"", String(count))
            }
        }
        family("rotator_usage_unknown_total", "counter", "Requests with an answer of 2xx whose tokens are not known, by service.")
        for (slug, service) in counted { sample("rotator_usage_unknown_total", "service=\"\(slug)\"", String(service.unknownUsage)) }
        family("rotator_history_dropped_total", "counter", "What history lacks: requests that were not counted, rows that the store never got, records of the request log.")
        for (kind, count) in [("requests", traffic.droppedRequests), ("rows", traffic.droppedRows), ("log_records", traffic.droppedLogRecords)] {
            sample("rotator_history_dropped_total", "kind=\"\(kind)\"", String(count))
        }
        family("rotator_open_streams", "gauge", "Streams that are being forwarded.")
        sample("rotator_open_streams", nil, String(openStreams))
        family("rotator_open_connections", "gauge", "Client connections.")
        sample("rotator_open_connections", nil, String(openConnections))
        family("rotator_alerts_total", "counter", "Alerts to webhooks, by event and by what became of them: delivered, failed or dropped.")
        for entry in alertCounts { sample("rotator_alerts_total", "event=\"\(entry.event)\",result=\"\(entry.result)\"", String(entry.count)) }
        family("rotator_store_up", "gauge", "1 while the store answers.")
        sample("rotator_store_up", nil, isStoreUp ? "1" : "0")
    }

    private mutating func family(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    private mutating func sample(_ name: String, _ labels: String?, _ value: String) {
        text += labels.map { "\(name){\($0)} \(value)\n" } ?? "\(name) \(value)\n"
    }

    private mutating func histogram(_ name: String, _ slug: String, _ histogram: Histogram) {
        var cumulative = 0
        for (index, bound) in Histogram.bounds.enumerated() {
            cumulative += histogram.buckets[index]
            sample(name + "_bucket", "service=\"\(slug)\",le=\"\(bound)\"", String(cumulative))
        }
        sample(name + "_bucket", "service=\"\(slug)\",le=\"+Inf\"", String(histogram.count))
        sample(name + "_sum", "service=\"\(slug)\"", String(Double(histogram.sum) / 1e9))
        sample(name + "_count", "service=\"\(slug)\"", String(histogram.count))
    }
}
