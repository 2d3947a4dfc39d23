// SPDX-License-Identifier: MIT

/// A pool seen and changed as a whole.
extension OpenAPIDocument {
    static let poolPaths = #"""
        "/admin/proxy-configs/{id}/keys/bulk": {
            "parameters": [{ "$ref": "#/components/parameters/ServiceID" }],
            "post": {
              "operationId": "changeKeys", "tags": ["keys"], "summary": "Do the same to many keys at once",
              "description": "All or none, and audited. Of ids those that the service has count; with ids and filter, the keys that both name.",
              "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/KeyBulk" } } }
              },
              "responses": {
                "200": {
                  "description": "How many there were, and for how many of them there was something to do",
                  "content": { "application/json": { "schema": { "$ref": "#/components/schemas/KeyBulkResult" } } }
                },
                \#(refusals(400, 401, 404, 405, 413, 503))
              }
            }
          },
          "/admin/proxy-configs/{id}/explain": {
            "parameters": [{ "$ref": "#/components/parameters/ServiceID" }],
            "get": {
              "operationId": "explainKeys", "tags": ["keys"], "summary": "Why each key would or would not be chosen now, and which is next",
              "description": "As this replica sees it. Grants nothing and moves nothing.",
              "parameters": [
                { "$ref": "#/components/parameters/After" },
                { "$ref": "#/components/parameters/Limit" },
                { "name": "model", "in": "query", "schema": { "type": "string" }, "description": "The model that is asked for; none unless given" },
                {
                  "name": "conversation", "in": "query", "schema": { "type": "string" },
                  "description": "The conversation, as clients name it in a field, for the strategy affinity"
                }
              ],
              "responses": {
                "200": {
                  "description": "One page of keys, and what holds for all",
                  "content": { "application/json": { "schema": { "$ref": "#/components/schemas/PoolExplanation" } } }
                },
                \#(refusals(400, 401, 404, 405, 503))
              }
            }
          },
          "/admin/proxy-configs/{id}/summary": {
            "parameters": [{ "$ref": "#/components/parameters/ServiceID" }],
            "get": {
              "operationId": "summarizeKeys", "tags": ["keys"], "summary": "A service's keys in numbers",
              "responses": {
                "200": {
                  "description": "Counts", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/PoolSummary" } } }
                },
                \#(refusals(400, 401, 404, 405, 503))
              }
            }
          }
        """#

    static let poolSchemas = #"""
        "Count": { "type": "integer", "format": "int64", "minimum": 0 },
            "KeyTags": {
              "type": ["array", "null"], "maxItems": 32, "default": [],
              "items": { "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[^\\x00-\\x1F\\x7F]*$" },
              "description": "Words by which keys are found; null is none"
            },
            "KeyQuotaGroup": {
              "type": ["string", "null"], "minLength": 1, "maxLength": 256, "pattern": "^[^\\x00-\\x1F\\x7F]*$", "default": null,
              "description": "The organisation or account whose limits the key shares; null: as the provider's answers tell"
            },
            "KeyLimit": { "type": ["integer", "null"], "format": "int64", "minimum": 1, "maximum": 9007199254740991, "default": null },
            "KeyLimits": {
              "type": ["object", "null"], "additionalProperties": false, "default": {},
              "description": "What may be asked of the key by each replica; null, for one or for all, is without limit. Days are UTC's",
              "properties": {
                "requests_per_minute": { "$ref": "#/components/schemas/KeyLimit" },
                "requests_per_day": { "$ref": "#/components/schemas/KeyLimit" },
                "tokens_per_minute": { "$ref": "#/components/schemas/KeyLimit" },
                "tokens_per_day": { "$ref": "#/components/schemas/KeyLimit" },
                "concurrent_requests": { "$ref": "#/components/schemas/KeyLimit" }
              }
            },
            "QuotaAmount": {
              "type": "object", "required": ["kind", "limit", "remaining", "resets_at"],
              "properties": {
                "kind": { "type": "string", "enum": ["requests", "tokens", "input_tokens", "output_tokens"] },
                "limit": { "type": ["integer", "null"], "format": "int64" },
                "remaining": { "type": "integer", "format": "int64" },
                "resets_at": { "oneOf": [{ "$ref": "#/components/schemas/Timestamp" }, { "type": "null" }] }
              }
            },
            "KeyBulk": {
              "type": "object", "required": ["action"], "additionalProperties": false,
              "properties": {
                "action": { "type": "string", "enum": ["enable", "disable", "reset", "delete", "tag", "untag"] },
                "ids": { "type": "array", "maxItems": 1000000, "items": { "$ref": "#/components/schemas/ID" } },
                "filter": {
                  "type": "object", "additionalProperties": false, "description": "As the parameters of the listing; empty takes every key",
                  "properties": {
                    "state": { "$ref": "#/components/schemas/KeyState" },
                    "tag": { "type": "string" },
                    "quota_group": { "type": "string" },
                    "reason": { "type": "string" },
                    "q": { "type": "string" }
                  }
                },
                "tags": {
                  "type": "array", "minItems": 1, "description": "For tag and untag alone",
                  "items": { "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[^\\x00-\\x1F\\x7F]*$" }
                }
              },
              "anyOf": [{ "required": ["ids"] }, { "required": ["filter"] }]
            },
            "KeyBulkResult": {
              "type": "object", "required": ["matched_count", "changed_count"],
              "properties": { "matched_count": { "$ref": "#/components/schemas/Count" }, "changed_count": { "$ref": "#/components/schemas/Count" } }
            },
            "KeyVerdict": {
              "type": "string",
              "enum": [
                "available", "circuit_trial", "disabled", "invalid", "cooling", "exhausted", "cooling_model", "circuit_open", "trial_running", "paced",
                "quota_empty"
              ]
            },
            "PoolExplanation": {
              "type": "object", "required": ["strategy", "choice", "quota_groups", "keys_by_verdict", "items", "next"],
              "properties": {
                "strategy": { "type": "string" },
                "choice": {
                  "type": "object", "required": ["key_id", "certain"], "description": "Which key would be next",
                  "properties": {
                    "key_id": { "oneOf": [{ "$ref": "#/components/schemas/ID" }, { "type": "null" }], "description": "Null where none may be chosen, or where it is drawn" },
                    "certain": { "type": "boolean", "description": "Whether it is certain as long as nothing else happens" }
                  }
                },
                "quota_groups": { "$ref": "#/components/schemas/Count" },
                "keys_by_verdict": {
                  "type": "object", "propertyNames": { "$ref": "#/components/schemas/KeyVerdict" },
                  "additionalProperties": { "$ref": "#/components/schemas/Count" }
                },
                "items": { "type": "array", "items": { "$ref": "#/components/schemas/KeyExplanation" } },
                "next": { "$ref": "#/components/schemas/Next" }
              }
            },
            "KeyExplanation": {
              "type": "object",
              "required": ["key_id", "key_masked", "name", "eligible", "verdict", "reason", "until", "quota_group", "rests_with_group"],
              "properties": {
                "key_id": { "$ref": "#/components/schemas/ID" },
                "key_masked": { "type": "string" },
                "name": { "type": "string" },
                "eligible": { "type": "boolean", "description": "Whether it may be chosen" },
                "verdict": { "$ref": "#/components/schemas/KeyVerdict" },
                "reason": { "type": ["string", "null"], "description": "Why it rests, or which limit is reached" },
                "until": { "oneOf": [{ "$ref": "#/components/schemas/Timestamp" }, { "type": "null" }] },
                "quota_group": { "type": ["string", "null"] },
                "rests_with_group": { "type": "boolean", "description": "Whether it rests because another key of its group was refused" }
              }
            },
            "PoolSummary": {
              "type": "object", "required": ["keys", "keys_by_state", "quota_groups", "keys_without_quota_group", "largest_quota_groups"],
              "properties": {
                "keys": { "$ref": "#/components/schemas/Count" },
                "keys_by_state": {
                  "type": "object", "propertyNames": { "$ref": "#/components/schemas/KeyState" },
                  "additionalProperties": { "$ref": "#/components/schemas/Count" }
                },
                "quota_groups": { "$ref": "#/components/schemas/Count" },
                "keys_without_quota_group": { "$ref": "#/components/schemas/Count" },
                "largest_quota_groups": {
                  "type": "array", "maxItems": 20,
                  "items": {
                    "type": "object", "required": ["quota_group", "keys"],
                    "properties": { "quota_group": { "type": "string" }, "keys": { "$ref": "#/components/schemas/Count" } }
                  }
                }
              }
            },
        """#
}
