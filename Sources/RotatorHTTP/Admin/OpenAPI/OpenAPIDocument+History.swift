// SPDX-License-Identifier: MIT

extension OpenAPIDocument {
    /// The routes of statistics, request log and events.
    static let historyPaths = #"""
        "/admin/stats": {
            "get": {
              "operationId": "getStats", "tags": ["history"], "summary": "What was counted in a window, over all replicas",
              "description": "Whole stretches that begin within the window: minutes up to 24h, hours for 7d, days beyond; the present one is included.",
              "parameters": [
                {
                  "name": "window", "in": "query", "description": "How far back",
                  "schema": { "type": "string", "enum": [\#(windows)], "default": "1h" }
                },
                {
                  "name": "service", "in": "query", "description": "The slug of the one service that is wanted; clients and models are then left out",
                  "schema": { "type": "string" }
                },
                {
                  "name": "key_id", "in": "query", "description": "The one key that is wanted: totals and series alone, its attempts in place of requests; not beside service",
                  "schema": { "$ref": "#/components/schemas/ID" }
                },
                {
                  "name": "top", "in": "query", "description": "How many of each kind are listed, those with the most requests first",
                  "schema": { "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 }
                }
              ],
              "responses": {
                "200": { "description": "Statistics", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Stats" } } } },
                \#(refusals(400, 401, 404, 405, 503))
              }
            }
          },
          "/admin/requests": {
            "get": {
              "operationId": "listRequests", "tags": ["history"], "summary": "Recent requests of this replica, newest first",
              "description": "Each replica has a log of its own, bounded by size and age. Never a body, a query or a credential.",
              "parameters": [
                {
                  "name": "after", "in": "query", "description": "What “next” said on the page before: older requests follow",
                  "schema": { "type": "integer", "format": "int64", "minimum": 0, "maximum": 9223372036854775807 }
                },
                { "$ref": "#/components/parameters/Limit" },
                { "name": "service", "in": "query", "description": "The slug", "schema": { "type": "string" } },
                { "name": "client", "in": "query", "description": "The client's name", "schema": { "type": "string" } },
                { "name": "model", "in": "query", "description": "The model as it was asked for", "schema": { "type": "string" } },
                { "name": "key_id", "in": "query", "description": "A key that was tried", "schema": { "$ref": "#/components/schemas/ID" } },
                { "name": "status", "in": "query", "description": "What the client got", "schema": { "type": "integer", "minimum": 100, "maximum": 599 } },
                { "name": "failed", "in": "query", "description": "Whether it counts as failed", "schema": { "type": "string", "enum": ["true", "false"] } },
                { "name": "from", "in": "query", "description": "Began then or later, RFC 3339", "schema": { "type": "string", "format": "date-time" } },
                { "name": "to", "in": "query", "description": "Began before that, RFC 3339", "schema": { "type": "string", "format": "date-time" } },
                { "name": "request_id", "in": "query", "description": "What x-rotator-request-id said", "schema": { "type": "string" } }
              ],
              "responses": {
                "200": { "description": "One page", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/RequestPage" } } } },
                \#(refusals(400, 401, 404, 405, 503))
              }
            }
          },
          "/admin/requests/{id}": {
            "parameters": [{
              "name": "id", "in": "path", "required": true, "description": "What x-rotator-request-id said",
              "schema": { "type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9._~:-]+$" }
            }],
            "get": {
              "operationId": "getRequest", "tags": ["history"], "summary": "What was tried for a request; several where clients used an id again",
              "responses": {
                "200": {
                  "description": "Newest first", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/RequestTraces" } } }
                },
                \#(refusals(400, 401, 404, 405, 503))
              }
            }
          },
          "/admin/events": {
            "get": {
              "operationId": "listenToEvents", "tags": ["history"], "summary": "What happens on this replica, as it happens",
              "description": "Server-sent events: `counters` each second (Counters), `key_state` (KeyStateChange), `store` ({is_up}). Ends when the token does.",
              "responses": {
                "200": { "description": "A stream", "content": { "text/event-stream": { "schema": { "type": "string" } } } },
                \#(refusals(400, 401, 404, 405, 503))
              }
            }
          }
        """#

    private static let windows = StatsWindow.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")

    /// What they are made of.
    static let historySchemas = #"""
        "Tokens": {
              "type": "object", "description": "As the provider counted them",
              "required": ["input", "output", "cached_input", "reasoning", "total"],
              "properties": {
                "input": { "type": "integer", "format": "int64", "minimum": 0 },
                "output": { "type": "integer", "format": "int64", "minimum": 0 },
                "cached_input": { "type": "integer", "format": "int64", "minimum": 0, "description": "A part of input" },
                "reasoning": { "type": "integer", "format": "int64", "minimum": 0, "description": "A part of output" },
                "total": { "type": "integer", "format": "int64", "minimum": 0, "description": "Input and output" }
              }
            },
            "Percentiles": {
              "type": "object", "description": "In milliseconds, right within 8 %; null where there is none", "required": ["p50", "p95", "p99"],
              "properties": {
                "p50": { "type": ["number", "null"], "minimum": 0 },
                "p95": { "type": ["number", "null"], "minimum": 0 },
                "p99": { "type": ["number", "null"], "minimum": 0 }
              }
            },
            "Tally": {
              "type": "object",
              "required": ["requests", "failures", "success_rate", "attempts", "tokens", "unknown_usage", "latency_ms", "first_byte_ms", "added_ms"],
              "properties": {
                "requests": { "type": "integer", "format": "int64", "minimum": 0 },
                "failures": { "type": "integer", "format": "int64", "minimum": 0 },
                "success_rate": { "type": ["number", "null"], "minimum": 0, "maximum": 1 },
                "attempts": { "type": "integer", "format": "int64", "minimum": 0 },
                "tokens": { "$ref": "#/components/schemas/Tokens" },
                "unknown_usage": { "type": "integer", "format": "int64", "minimum": 0, "description": "Answers of 2xx whose tokens are not known" },
                "latency_ms": { "$ref": "#/components/schemas/Percentiles" },
                "first_byte_ms": { "$ref": "#/components/schemas/Percentiles" },
                "added_ms": {
                  "allOf": [{ "$ref": "#/components/schemas/Percentiles" }],
                  "description": "From a request's head to the beginning of the attempt that gave its answer: what the rotator added before the provider. Of services and in all"
                }
              }
            },
            "Stats": {
              "type": "object",
              "required": ["window", "from", "to", "step_seconds", "totals", "services", "keys", "clients", "models", "series", "dropped"],
              "properties": {
                "window": { "type": "string" },
                "from": { "$ref": "#/components/schemas/Timestamp" },
                "to": { "$ref": "#/components/schemas/Timestamp" },
                "step_seconds": { "type": "integer", "minimum": 1 },
                "totals": { "$ref": "#/components/schemas/Tally" },
                "services": {
                  "type": "array",
                  "items": {
                    "allOf": [{ "$ref": "#/components/schemas/Tally" }], "required": ["service_id", "service", "name"],
                    "properties": {
                      "service_id": { "type": ["integer", "null"] }, "service": { "type": ["string", "null"], "description": "The slug; null once the service is gone" },
                      "name": { "type": ["string", "null"] }
                    }
                  }
                },
                "keys": {
                  "type": "array", "description": "Requests are attempts with the key, failures those of them that failed; tokens are counted for the key that gave the answer",
                  "items": {
                    "allOf": [{ "$ref": "#/components/schemas/Tally" }], "required": ["key_id", "key_masked", "name", "service_id"],
                    "properties": {
                      "key_id": { "type": ["integer", "null"] }, "key_masked": { "type": ["string", "null"] },
                      "name": { "type": ["string", "null"] }, "service_id": { "type": ["integer", "null"] }
                    }
                  }
                },
                "clients": {
                  "type": "array",
                  "items": {
                    "allOf": [{ "$ref": "#/components/schemas/Tally" }], "required": ["client"], "properties": { "client": { "type": "string" } }
                  }
                },
                "models": {
                  "type": "array",
                  "items": {
                    "allOf": [{ "$ref": "#/components/schemas/Tally" }], "required": ["model"], "properties": { "model": { "type": "string" } }
                  }
                },
                "series": {
                  "type": "array", "description": "Every step of the window, empty ones as zeros",
                  "items": {
                    "type": "object", "required": ["start", "requests", "failures", "tokens", "latency_ms", "first_byte_ms", "added_ms"],
                    "properties": {
                      "start": { "$ref": "#/components/schemas/Timestamp" },
                      "requests": { "type": "integer", "format": "int64", "minimum": 0 },
                      "failures": { "type": "integer", "format": "int64", "minimum": 0 },
                      "tokens": { "$ref": "#/components/schemas/Tokens" },
                      "latency_ms": { "$ref": "#/components/schemas/Percentiles" },
                      "first_byte_ms": { "$ref": "#/components/schemas/Percentiles" },
                      "added_ms": { "$ref": "#/components/schemas/Percentiles" }
                    }
                  }
                },
                "dropped": {
                  "type": "object", "description": "What this replica's history lacks since it started", "required": ["requests", "rows", "log_records"],
                  "properties": {
                    "requests": { "type": "integer", "format": "int64", "minimum": 0, "description": "That were not counted because too many came at once" },
                    "rows": { "type": "integer", "format": "int64", "minimum": 0, "description": "That were given up because the store was away for too long" },
                    "log_records": { "type": "integer", "format": "int64", "minimum": 0, "description": "That the request log's disk did not take in time" }
                  }
                }
              }
            },
            "Request": {
              "type": "object",
              "required": [
                "id", "request_id", "replica", "started_at", "service", "service_id", "client", "client_id", "model", "method", "status", "error_code",
                "is_stream", "ending", "is_failure", "duration_ms", "first_byte_ms", "key_id", "tokens"
              ],
              "properties": {
                "id": { "$ref": "#/components/schemas/ID" },
                "request_id": { "type": "string", "description": "What x-rotator-request-id said" },
                "replica": { "type": "string", "description": "Whose log this is" },
                "started_at": { "$ref": "#/components/schemas/Timestamp" },
                "service": { "type": "string", "description": "The slug, as the service has it or as the request named it" },
                "service_id": { "type": ["integer", "null"] },
                "client": { "type": "string", "description": "Empty where nobody was recognised" },
                "client_id": { "type": ["integer", "null"] },
                "model": { "type": ["string", "null"] },
                "method": { "type": "string" },
                "status": { "type": "integer", "description": "What the client got; 499 where it left before" },
                "error_code": { "type": ["string", "null"], "description": "Of an error of the rotator's own" },
                "is_stream": { "type": "boolean" },
                "ending": { "type": "string", "enum": ["complete", "client_left", "upstream_broke_off"] },
                "is_failure": { "type": "boolean", "description": "The client got 429, a status of 500 or more, or a body that broke off; not by a limit of its own" },
                "duration_ms": { "type": "number" },
                "first_byte_ms": { "type": ["number", "null"] },
                "key_id": { "type": ["integer", "null"], "description": "The last one that was tried" },
                "tokens": { "oneOf": [{ "$ref": "#/components/schemas/Tokens" }, { "type": "null" }] }
              }
            },
            "RequestPage": {
              "type": "object", "required": ["items", "next"],
              "properties": {
                "items": {
                  "type": "array",
                  "items": {
                    "allOf": [{ "$ref": "#/components/schemas/Request" }], "required": ["attempts"],
                    "properties": { "attempts": { "type": "integer", "minimum": 0, "description": "How many there were" } }
                  }
                },
                "next": { "$ref": "#/components/schemas/Next" }
              }
            },
            "RequestTraces": {
              "type": "object", "required": ["items", "next"],
              "properties": {
                "items": {
                  "type": "array",
                  "items": {
                    "allOf": [{ "$ref": "#/components/schemas/Request" }], "required": ["attempt_count", "attempts"],
                    "properties": {
                      "attempt_count": { "type": "integer", "minimum": 0 },
                      "attempts": { "type": "array", "maxItems": 16, "items": { "$ref": "#/components/schemas/Attempt" } }
                    }
                  }
                },
                "next": { "type": "null" }
              }
            },
            "Attempt": {
              "type": "object", "required": ["key_id", "status", "verdict", "reason", "began_ms", "duration_ms"],
              "properties": {
                "key_id": { "$ref": "#/components/schemas/ID" },
                "status": { "type": ["integer", "null"], "description": "The upstream's; null where no answer came" },
                "verdict": { "type": "string", "examples": ["success", "rate_limited", "exhausted", "key_rejected", "forbidden", "upstream_failed", "abandoned"] },
                "reason": { "type": ["string", "null"] },
                "began_ms": { "type": "number", "description": "From the request's head" },
                "duration_ms": { "type": "number" }
              }
            },
            "Counters": {
              "type": "object", "description": "Of the last second", "required": ["at", "requests", "failures", "tokens", "open_streams", "latency_ms", "first_byte_ms", "added_ms", "services"],
              "properties": {
                "at": { "$ref": "#/components/schemas/Timestamp" },
                "requests": { "type": "integer", "minimum": 0 },
                "failures": { "type": "integer", "minimum": 0 },
                "tokens": { "$ref": "#/components/schemas/Tokens" },
                "open_streams": { "type": "integer", "minimum": 0 },
                "latency_ms": { "$ref": "#/components/schemas/Percentiles" },
                "first_byte_ms": { "$ref": "#/components/schemas/Percentiles" },
                "added_ms": { "$ref": "#/components/schemas/Percentiles" },
                "services": {
                  "type": "array",
                  "items": {
                    "type": "object", "required": ["service_id", "service", "requests", "failures", "tokens"],
                    "properties": {
                      "service_id": { "$ref": "#/components/schemas/ID" }, "service": { "type": "string" },
                      "requests": { "type": "integer", "minimum": 0 }, "failures": { "type": "integer", "minimum": 0 },
                      "tokens": { "$ref": "#/components/schemas/Tokens" }
                    }
                  }
                }
              }
            },
            "KeyStateChange": {
              "type": "object", "required": ["at", "key_id", "service_id", "service", "from", "to", "reason", "until"],
              "properties": {
                "at": { "$ref": "#/components/schemas/Timestamp" },
                "key_id": { "$ref": "#/components/schemas/ID" },
                "service_id": { "$ref": "#/components/schemas/ID" },
                "service": { "type": "string" },
                "from": { "$ref": "#/components/schemas/KeyState" },
                "to": { "$ref": "#/components/schemas/KeyState" },
                "reason": { "type": ["string", "null"] },
                "until": { "oneOf": [{ "$ref": "#/components/schemas/Timestamp" }, { "type": "null" }] }
              }
            }
        """#
}
