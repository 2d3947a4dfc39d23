// SPDX-License-Identifier: MIT

/**
 * What the admin API answers, as far as the console reads it. `GET /openapi.json` says what each member means.
 *
 * @typedef {"active" | "cooling" | "exhausted" | "invalid" | "disabled"} KeyState
 * @typedef {"openai_compatible" | "anthropic_native" | "gemini_native" | "azure_openai" | "generic"} ApiFormat
 *
 * @typedef {object} Service
 * @property {number} id
 * @property {string} name
 * @property {string} slug
 * @property {"LLM" | "GENERIC"} config_type
 * @property {ApiFormat} api_format
 * @property {string} output_format
 * @property {string | null} target_base_url
 * @property {string | null} target_url
 * @property {string | null} method
 * @property {"header" | "query" | null} api_key_location
 * @property {string | null} api_key_name
 * @property {string | null} api_key_prefix
 * @property {string} rotation_strategy
 * @property {number | null} max_attempts
 * @property {number} max_wait_ms
 * @property {"refused" | "failed" | "unknown" | null} replay
 * @property {boolean} stream_usage
 * @property {number} hold_startup_ms
 * @property {string | null} affinity_header
 * @property {Record<string, string>} extra_headers
 * @property {boolean} is_active
 *
 * @typedef {object} ModelRest
 * @property {string} model
 * @property {string} cooling_until
 * @property {string} state_reason
 *
 * @typedef {object} QuotaAmount
 * @property {"requests" | "tokens" | "input_tokens" | "output_tokens"} kind
 * @property {number | null} limit
 * @property {number} remaining
 * @property {string | null} resets_at
 *
 * @typedef {object} KeyLimits
 * @property {number | null} [requests_per_minute]
 * @property {number | null} [requests_per_day]
 * @property {number | null} [tokens_per_minute]
 * @property {number | null} [tokens_per_day]
 * @property {number | null} [concurrent_requests]
 *
 * @typedef {object} Key
 * @property {number} key_id
 * @property {string} key_masked
 * @property {string} name
 * @property {number} weight
 * @property {boolean} is_active
 * @property {KeyState} state
 * @property {string | null} state_reason
 * @property {string | null} cooling_until
 * @property {ModelRest[]} cooling_models
 * @property {string | null} last_used_at
 * @property {number} success_count
 * @property {number} failure_count
 * @property {string[]} tags
 * @property {string | null} quota_group
 * @property {QuotaAmount[]} quota
 * @property {KeyLimits} limits
 * @property {number} in_flight
 *
 * @typedef {object} PoolSummary
 * @property {number} keys
 * @property {Partial<Record<KeyState, number>>} keys_by_state
 * @property {number} quota_groups
 * @property {number} keys_without_quota_group
 * @property {{quota_group: string, keys: number}[]} largest_quota_groups
 *
 * @typedef {object} Explanation
 * @property {string} strategy
 * @property {{key_id: number | null, certain: boolean}} choice
 * @property {number} quota_groups
 * @property {Record<string, number>} keys_by_verdict
 * @property {KeyExplanation[]} items
 * @property {number | null} next
 *
 * @typedef {object} KeyExplanation
 * @property {number} key_id
 * @property {string} key_masked
 * @property {string} name
 * @property {boolean} eligible
 * @property {string} verdict
 * @property {string | null} reason
 * @property {string | null} until
 * @property {string | null} quota_group
 * @property {boolean} rests_with_group
 *
 * @typedef {object} BatchResult
 * @property {number} success_count
 * @property {number} skipped_count
 * @property {number} failed_count
 * @property {{index: number, reason: string}[]} failed_keys
 *
 * @typedef {object} Job
 * @property {number} job_id
 * @property {string} kind
 * @property {number} service_id
 * @property {"running" | "done" | "failed"} state
 * @property {string | null} reason
 * @property {number} total
 * @property {number} done
 * @property {Record<string, number>} counts
 * @property {boolean} apply
 * @property {boolean} provider_at_fault
 * @property {number | null} retest_of
 * @property {string} created_at
 * @property {string | null} finished_at
 * @property {{key_id: number, ok: boolean, status: number | null, verdict: string}[]} [results]
 * @property {number | null} [results_next]
 *
 * @typedef {object} ClientUsage
 * @property {number} requests_last_minute
 * @property {number} tokens_last_minute
 * @property {number} concurrent_requests
 * @property {number} tokens_this_month
 *
 * @typedef {object} Client
 * @property {number} id
 * @property {string} key_masked
 * @property {string} name
 * @property {string[] | null} services
 * @property {string[] | null} models
 * @property {number | null} requests_per_minute
 * @property {number | null} tokens_per_minute
 * @property {number | null} concurrent_requests
 * @property {number | null} monthly_token_budget
 * @property {string | null} expires_at
 * @property {boolean} is_active
 * @property {string} created_at
 * @property {ClientUsage} usage
 * @property {string} [key_value] At creation alone.
 *
 * @typedef {object} Tokens
 * @property {number} input
 * @property {number} output
 * @property {number} cached_input
 * @property {number} reasoning
 * @property {number} total
 *
 * @typedef {object} Percentiles
 * @property {number | null} p50
 * @property {number | null} p95
 * @property {number | null} p99
 *
 * @typedef {object} Tally
 * @property {number} requests
 * @property {number} failures
 * @property {number | null} success_rate
 * @property {number} attempts
 * @property {Tokens} tokens
 * @property {number} unknown_usage
 * @property {Percentiles} latency_ms
 * @property {Percentiles} first_byte_ms
 * @property {Percentiles} added_ms
 *
 * @typedef {object} SeriesPoint
 * @property {string} start
 * @property {number} requests
 * @property {number} failures
 * @property {Tokens} tokens
 * @property {Percentiles} latency_ms
 * @property {Percentiles} first_byte_ms
 * @property {Percentiles} added_ms
 *
 * @typedef {object} Stats
 * @property {string} window
 * @property {string} from
 * @property {string} to
 * @property {number} step_seconds
 * @property {Tally} totals
 * @property {(Tally & {service_id: number | null, service: string | null, name: string | null})[]} services
 * @property {(Tally & {key_id: number | null, key_masked: string | null, name: string | null, service_id: number | null})[]} keys
 * @property {(Tally & {client: string})[]} clients
 * @property {(Tally & {model: string})[]} models
 * @property {SeriesPoint[]} series
 * @property {{requests: number, rows: number, log_records: number}} dropped
 *
 * @typedef {object} Attempt
 * @property {number} key_id
 * @property {number | null} status
 * @property {string} verdict
 * @property {string | null} reason
 * @property {number} began_ms
 * @property {number} duration_ms
 *
 * @typedef {object} Exchange
 * @property {number} id
 * @property {string} request_id
 * @property {string} replica
 * @property {string} started_at
 * @property {string} service
 * @property {number | null} service_id
 * @property {string} client
 * @property {number | null} client_id
 * @property {string | null} model
 * @property {string} method
 * @property {number} status
 * @property {string | null} error_code
 * @property {boolean} is_stream
 * @property {"complete" | "client_left" | "upstream_broke_off"} ending
 * @property {boolean} is_failure
 * @property {number} duration_ms
 * @property {number | null} first_byte_ms
 * @property {number | null} key_id
 * @property {Tokens | null} tokens
 * @property {number} attempts
 *
 * @typedef {Omit<Exchange, "attempts"> & {attempt_count: number, attempts: Attempt[]}} ExchangeTrace
 *
 * @typedef {object} Counters
 * @property {string} at
 * @property {number} requests
 * @property {number} failures
 * @property {Tokens} tokens
 * @property {number} open_streams
 * @property {Percentiles} latency_ms
 * @property {Percentiles} first_byte_ms
 * @property {Percentiles} added_ms
 * @property {{service_id: number, service: string, requests: number, failures: number, tokens: Tokens}[]} services
 *
 * @typedef {object} KeyStateChange
 * @property {string} at
 * @property {number} key_id
 * @property {number} service_id
 * @property {string} service
 * @property {KeyState} from
 * @property {KeyState} to
 * @property {string | null} reason
 * @property {string | null} until
 *
 * @typedef {object} AuditEntry
 * @property {number} id
 * @property {string} at
 * @property {string} actor
 * @property {string} action
 * @property {string} subject
 *
 * @typedef {object} Webhook
 * @property {number} id
 * @property {string} name
 * @property {string} url_masked
 * @property {boolean} has_secret
 * @property {"generic" | "slack" | "telegram"} shape
 * @property {string | null} chat_id
 * @property {string[]} events
 * @property {string[] | null} services
 * @property {number} pool_minimum
 * @property {number} min_interval_seconds
 * @property {boolean} is_active
 *
 * @typedef {object} Delivery
 * @property {string} id
 * @property {string} at
 * @property {string} event
 * @property {string} state
 * @property {number} attempts
 * @property {number | null} status
 * @property {string | null} error
 *
 * @typedef {object} ImportTally
 * @property {number} created
 * @property {number} updated
 * @property {number} unchanged
 * @property {number} deleted
 * @property {number} [duplicate]
 *
 * @typedef {object} ImportReport
 * @property {boolean} dry_run
 * @property {ImportTally} services
 * @property {ImportTally} keys
 * @property {ImportTally} clients
 * @property {{action: "create" | "update" | "delete", kind: "service" | "key" | "client", subject: string, count: number, members: string[]}[]} changes
 */

/**
 * @template T
 * @typedef {object} Page
 * @property {T[]} items
 * @property {number | null} next What `after` takes; null on the last page.
 */

export {};
