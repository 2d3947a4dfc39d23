// SPDX-License-Identifier: MIT

extension OpenAPIDocument {
    /// What the routes are made of.
    static let components = #"""
        {
          "securitySchemes": {
            "adminToken": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "From POST /admin/login" }
          },
          "parameters": {
            "ServiceID": {
              "name": "id", "in": "path", "required": true, "description": "The service's id",
              "schema": { "$ref": "#/components/schemas/ID" }
            },
            "KeyID": {
              "name": "id", "in": "path", "required": true, "description": "The key's id",
              "schema": { "$ref": "#/components/schemas/ID" }
            },
            "ClientID": {
              "name": "id", "in": "path", "required": true, "description": "The client key's id",
              "schema": { "$ref": "#/components/schemas/ID" }
            },
            \#(jobParameters),
            "WebhookID": {
              "name": "id", "in": "path", "required": true, "description": "The webhook's id",
              "schema": { "$ref": "#/components/schemas/ID" }
            },
            "After": {
              "name": "after", "in": "query", "description": "What “next” said on the page before",
              "schema": { "type": "integer", "format": "int64", "minimum": 0, "maximum": 9223372036854775807, "default": 0 }
            },
            "Limit": {
              "name": "limit", "in": "query", "description": "The size of a page",
              "schema": { "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 }
            }
          },
          "requestBodies": {
            "Service": {
              "required": true,
              "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ServiceConfiguration" } } }
            }
          },
          "responses": {
            "Service": {
              "description": "The service", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Service" } } }
            },
            "Key": {
              "description": "The key, without its value",
              "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Key" } } }
            },
            "Client": {
              "description": "The client, without its key",
              "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Client" } } }
            },
            \#(jobResponses),
            "Webhook": {
              "description": "The webhook, without its credentials",
              "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Webhook" } } }
            },
            "BadRequest": {
              "description": "The body or a parameter is not accepted; the detail names it, or the request is malformed",
              "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } }
            },
            "Unauthorized": {
              "description": "No token, a wrong one, an expired one, or wrong credentials",
              "headers": { "WWW-Authenticate": { "schema": { "type": "string" } } },
              "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } }
            },
            "NotFound": {
              "description": "No such object, or nothing at this path",
              "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } }
            },
            "MethodNotAllowed": {
              "description": "The path takes other methods. HEAD is taken wherever GET is",
              "headers": { "Allow": { "schema": { "type": "string" } } },
              "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } }
            },
            "Conflict": {
              "description": "Another object holds the same unique value",
              "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } }
            },
            "ContentTooLarge": {
              "description": "The body is over the limit",
              "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } }
            },
            "TooManyRequests": {
              "description": "Too many failed logins from this address",
              "headers": { "Retry-After": { "schema": { "type": "integer", "minimum": 1, "maximum": 60 } } },
              "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } }
            },
            "ServiceUnavailable": {
              "description": "The store is away and nothing was changed, or the server is shutting down",
              "headers": { "Retry-After": { "schema": { "type": "integer", "minimum": 1 } } },
              "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } }
            }
          },
          "schemas": {
            \#(jobSchemas),
            "ID": { "type": "integer", "format": "int64", "minimum": 1, "maximum": 9223372036854775807 },
            "Timestamp": {
              "type": "string", "format": "date-time", "pattern": "^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z$",
              "description": "RFC 3339, UTC, milliseconds"
            },
            "Next": {
              "type": ["integer", "null"], "format": "int64", "minimum": 1, "maximum": 9223372036854775807,
              "description": "What “after” takes for the next page; null on the last one"
            },
            "Problem": {
              "type": "object", "description": "RFC 9457",
              "required": ["type", "title", "status", "detail", "code"],
              "properties": {
                "type": { "type": "string", "format": "uri-reference" },
                "title": { "type": "string" },
                "status": { "type": "integer", "minimum": 400, "maximum": 599 },
                "detail": { "type": "string", "description": "What happened and what to do, for people" },
                "code": { "type": "string", "description": "What happened, as a stable word", "examples": [\#(codes)] }
              }
            },
            "Login": {
              "type": "object", "required": ["username", "password"], "additionalProperties": false,
              "properties": { "username": { "type": "string" }, "password": { "type": "string", "format": "password" } }
            },
            "Token": {
              "type": "object", "required": ["access_token", "token_type", "expires_in"], "additionalProperties": false,
              "properties": {
                "access_token": { "type": "string" },
                "token_type": { "const": "Bearer" },
                "expires_in": { "type": "integer", "minimum": 1, "description": "Seconds" }
              }
            },
            "AppConfig": {
              "type": "object", "required": ["proxy_public_base_url", "version"],
              "properties": { "proxy_public_base_url": { "type": "string" }, "version": { "type": "string" } }
            },
            "ServiceConfiguration": {
              "type": "object", "additionalProperties": false,
              "required": ["name", "slug", "config_type"],
              "properties": { "id": { "$ref": "#/components/schemas/ID" }, \#(serviceProperties) },
              "if": { "properties": { "config_type": { "pattern": "^[Ll]" } } },
              "then": {
                "required": ["target_base_url", "api_format"],
                "properties": { "target_base_url": { "type": "string" }, "target_url": { "type": "null" } }
              },
              "else": {
                "required": ["target_url"],
                "properties": { "target_url": { "type": "string" }, "target_base_url": { "type": "null" } }
              }
            },
            "ServiceChange": {
              "type": "object", "additionalProperties": false,
              "properties": { "id": { "$ref": "#/components/schemas/ID" }, \#(serviceProperties) }
            },
            "Service": {
              "type": "object",
              "required": [
                "id", "name", "slug", "config_type", "api_format", "output_format", "target_base_url", "target_url", "method",
                "api_key_location", "api_key_name", "api_key_prefix", "rotation_strategy", "max_attempts", "max_wait_ms", "replay",
                "stream_usage", "hold_startup_ms", "affinity_header", "extra_headers", "is_active"
              ],
              "properties": { "id": { "$ref": "#/components/schemas/ID" }, \#(serviceProperties) },
              "allOf": [{ "properties": { "config_type": { "enum": ["LLM", "GENERIC"] } } }]
            },
            "ServicePage": {
              "type": "object", "required": ["items", "next"],
              "properties": {
                "items": { "type": "array", "items": { "$ref": "#/components/schemas/Service" } },
                "next": { "$ref": "#/components/schemas/Next" }
              }
            },
            "Status": {
              "type": "object", "required": ["is_active"], "additionalProperties": false,
              "properties": { "is_active": { "type": "boolean" } }
            },
            \#(rulesSchemas),
            "KeyValue": {
              "type": "string", "minLength": 1, "maxLength": 8192, "pattern": "^[\\x21-\\x7E]+$", "format": "password",
              "description": "What is shown to the provider"
            },
            "KeyName": {
              "type": ["string", "null"], "maxLength": 200, "pattern": "^[^\\x00-\\x1F\\x7F]*$", "default": "",
              "description": "A name for people; null is none"
            },
            "KeyWeight": {
              "type": "integer", "minimum": 1, "maximum": 1000000, "default": 1, "description": "Its share under the weighted strategy"
            },
            "KeyState": {
              "type": "string", "enum": ["active", "cooling", "exhausted", "invalid", "disabled"]
            },
            \#(poolSchemas)
            "NewKey": {
              "type": "object", "required": ["key_value"], "additionalProperties": false,
              "properties": {
                "key_value": { "$ref": "#/components/schemas/KeyValue" },
                "name": { "$ref": "#/components/schemas/KeyName" },
                "weight": { "$ref": "#/components/schemas/KeyWeight" },
                "is_active": { "type": "boolean", "default": true },
                "tags": { "$ref": "#/components/schemas/KeyTags" },
                "quota_group": { "$ref": "#/components/schemas/KeyQuotaGroup" },
                "limits": { "$ref": "#/components/schemas/KeyLimits" }
              }
            },
            "KeyChange": {
              "type": "object", "additionalProperties": false,
              "properties": {
                "name": { "$ref": "#/components/schemas/KeyName" },
                "weight": { "$ref": "#/components/schemas/KeyWeight" },
                "is_active": { "type": "boolean" },
                "tags": { "$ref": "#/components/schemas/KeyTags" },
                "quota_group": { "$ref": "#/components/schemas/KeyQuotaGroup" },
                "limits": { "$ref": "#/components/schemas/KeyLimits" }
              }
            },
            "Key": {
              "type": "object",
              "required": [
                "key_id", "key_masked", "name", "weight", "is_active", "state", "state_reason", "cooling_until", "cooling_models",
                "last_used_at", "success_count", "failure_count", "tags", "quota_group", "quota", "limits", "in_flight"
              ],
              "properties": {
                "key_id": { "$ref": "#/components/schemas/ID" },
                "key_masked": { "type": "string", "description": "The first and last characters at most" },
                "name": { "type": "string" },
                "weight": { "$ref": "#/components/schemas/KeyWeight" },
                "is_active": { "type": "boolean", "description": "The administrator's switch" },
                "state": { "$ref": "#/components/schemas/KeyState" },
                "state_reason": { "type": ["string", "null"] },
                "cooling_until": { "oneOf": [{ "$ref": "#/components/schemas/Timestamp" }, { "type": "null" }] },
                "cooling_models": { "type": "array", "items": { "$ref": "#/components/schemas/ModelRest" } },
                "last_used_at": { "oneOf": [{ "$ref": "#/components/schemas/Timestamp" }, { "type": "null" }] },
                "success_count": { "type": "integer", "format": "int64", "minimum": 0 },
                "failure_count": { "type": "integer", "format": "int64", "minimum": 0 },
                "tags": { "type": "array", "items": { "type": "string" } },
                "quota_group": { "type": ["string", "null"], "description": "The one that counts: set, else told by the provider" },
                "quota": {
                  "type": "array", "items": { "$ref": "#/components/schemas/QuotaAmount" }, "description": "What the provider said last, to this replica"
                },
                "limits": { "$ref": "#/components/schemas/KeyLimits" },
                "in_flight": { "type": "integer", "minimum": 0, "description": "Attempts under way on this replica" }
              }
            },
            "ModelRest": {
              "type": "object", "description": "A rest of the key for one model alone",
              "required": ["model", "cooling_until", "state_reason"],
              "properties": {
                "model": { "type": "string" },
                "cooling_until": { "$ref": "#/components/schemas/Timestamp" },
                "state_reason": { "type": "string" }
              }
            },
            "KeyPage": {
              "type": "object", "required": ["items", "next"],
              "properties": {
                "items": { "type": "array", "items": { "$ref": "#/components/schemas/Key" } },
                "next": { "$ref": "#/components/schemas/Next" },
                "total": { "type": "integer", "minimum": 0, "description": "Of a listing by position: how many keys it has" }
              }
            },
            "KeyBatch": {
              "type": "object", "required": ["keys"], "additionalProperties": false,
              "properties": { "keys": { "type": "array", "maxItems": 1000000, "items": { "type": "string" } } }
            },
            "KeyBatchResult": {
              "type": "object", "required": ["success_count", "skipped_count", "failed_count", "failed_keys"],
              "properties": {
                "success_count": { "type": "integer", "minimum": 0 },
                "skipped_count": { "type": "integer", "minimum": 0, "description": "Duplicates" },
                "failed_count": { "type": "integer", "minimum": 0 },
                "failed_keys": {
                  "type": "array",
                  "items": {
                    "type": "object", "required": ["index", "reason"],
                    "properties": {
                      "index": { "type": "integer", "minimum": 0, "description": "The element or line, from 0" },
                      "reason": { "type": "string" }
                    }
                  }
                }
              }
            },
            "DeletedCount": {
              "type": "object", "required": ["deleted_count"], "properties": { "deleted_count": { "type": "integer", "minimum": 0 } }
            },
        \#(clientSchemas),
        \#(webhookSchemas),
        \#(transferSchemas),
            "AuditPage": {
              "type": "object", "required": ["items", "next"],
              "properties": {
                "items": { "type": "array", "items": { "$ref": "#/components/schemas/AuditEntry" } },
                "next": { "$ref": "#/components/schemas/Next" }
              }
            },
            "AuditEntry": {
              "type": "object", "required": ["id", "at", "actor", "action", "subject"],
              "properties": {
                "id": { "$ref": "#/components/schemas/ID" },
                "at": { "$ref": "#/components/schemas/Timestamp" },
                "actor": { "type": "string" },
                "action": { "type": "string", "examples": ["service.update", "keys.export"] },
                "subject": { "type": "string", "examples": ["service 3"] }
              }
            },
            \#(historySchemas)
          }
        }
        """#

    private static let codes = AdminProblem.Code.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")

    /// The members that a service has in requests and answers alike.
    private static let serviceProperties = #"""
        \#(plainServiceProperties),
        "extra_headers": { "type": "object", "maxProperties": 64, "additionalProperties": { "type": "string", "maxLength": 8192 }, "default": {} }
        """#

    /// Those of them that look the same in a catalogue document.
    static let plainServiceProperties = #"""
        "name": { "type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[^\\x00-\\x1F\\x7F]*[^\\x00-\\x20\\x7F][^\\x00-\\x1F\\x7F]*$" },
              "slug": { "type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$", "description": "Unique; the path is /llm/{slug} or /proxy/{slug}" },
              "config_type": { "type": "string", "pattern": "^([Ll][Ll][Mm]|[Gg][Ee][Nn][Ee][Rr][Ii][Cc])$", "description": "LLM or GENERIC, in any case" },
              "api_format": {
                "type": "string", "enum": ["openai_compatible", "anthropic_native", "gemini_native", "azure_openai", "generic"],
                "description": "What the upstream speaks; generic unless given for GENERIC services"
              },
              "output_format": {
                "type": "string", "enum": ["none", "openai", "openai_responses", "anthropic", "gemini"], "default": "none",
                "description": "What the client speaks, where it differs"
              },
              "target_base_url": { "type": ["string", "null"], "format": "uri", "maxLength": 2048, "description": "Of LLM services: http or https, no userinfo, query or fragment" },
              "target_url": { "type": ["string", "null"], "format": "uri", "maxLength": 2048, "description": "Of GENERIC services: http or https, no userinfo, query or fragment" },
              "method": { "type": ["string", "null"], "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$", "default": null, "description": "The one method that a GENERIC service takes; null is any" },
              "api_key_location": { "type": ["string", "null"], "enum": ["header", "query", null], "default": null, "description": "Null is the format's own" },
              "api_key_name": { "type": ["string", "null"], "minLength": 1, "maxLength": 256, "default": null },
              "api_key_prefix": { "type": ["string", "null"], "maxLength": 256, "pattern": "^[^\\x00-\\x1F\\x7F]*$", "default": null },
              "rotation_strategy": {
                "type": "string", "default": "round_robin",
                "enum": ["round_robin", "weighted", "random", "least_in_flight", "headroom", "sequential", "affinity"]
              },
              "max_attempts": { "type": ["integer", "null"], "minimum": 1, "maximum": 2147483647, "default": null, "description": "Keys tried for one request; null is the server's default" },
              "max_wait_ms": { "type": "integer", "minimum": 0, "maximum": 2147483647, "default": 0 },
              "replay": { "type": ["string", "null"], "enum": ["refused", "failed", "unknown", null], "default": null, "description": "What may be sent again; null is the default of type and method" },
              "stream_usage": { "type": "boolean", "default": false, "description": "Ask for the usage of OpenAI-format streams whose client did not ask, and take the answer out again" },
              "hold_startup_ms": {
                "type": "integer", "minimum": 0, "maximum": 2147483647, "default": 0,
                "description": "How long a stream's beginning may be held back until it shows content, so that one that fails before it can go on with another key"
              },
              "affinity_header": {
                "type": ["string", "null"], "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$", "default": null,
                "description": "The field by which clients name their conversation, for the strategy affinity; null is x-conversation-id"
              },
              "is_active": { "type": "boolean", "default": true }
        """#
}
