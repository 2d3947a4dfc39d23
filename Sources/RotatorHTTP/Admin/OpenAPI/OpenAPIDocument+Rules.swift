// SPDX-License-Identifier: MIT

extension OpenAPIDocument {
    /// The routes of rules.
    static let rulesPaths = #"""
        "/admin/proxy-configs/{id}/rules": {
            "parameters": [{ "$ref": "#/components/parameters/ServiceID" }],
            "get": {
              "operationId": "getServiceRules", "tags": ["rules"], "summary": "The rules in force for a service",
              "responses": {
                "200": { "description": "The table", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ServiceRules" } } } },
                \#(refusals(400, 401, 404, 405, 503))
              }
            },
            "put": {
              "operationId": "replaceServiceRules", "tags": ["rules"], "summary": "Give a service rules of its own",
              "description": "The table takes the place of the whole default table: start from what GET shows. At most 64 KiB, written without white space. A fault is a 400 whose detail names its JSON pointer. Replacing the service's configuration leaves the rules alone.",
              "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/NewServiceRules" } } }
              },
              "responses": {
                "200": { "description": "The table", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ServiceRules" } } } },
                \#(refusals(400, 401, 404, 405, 413, 503))
              }
            },
            "delete": {
              "operationId": "resetServiceRules", "tags": ["rules"], "summary": "Back to the rules of the service's format",
              "responses": {
                "204": { "description": "The format's own rules are in force" },
                \#(refusals(400, 401, 404, 405, 413, 503))
              }
            }
          },
          "/admin/rules/{api_format}": {
            "parameters": [{
              "name": "api_format", "in": "path", "required": true, "description": "A service's api_format",
              "schema": { "$ref": "#/components/schemas/APIFormat" }
            }],
            "get": {
              "operationId": "getFormatRules", "tags": ["rules"], "summary": "The rules that a format has by default",
              "responses": {
                "200": { "description": "The table", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/FormatRules" } } } },
                \#(refusals(400, 401, 404, 405, 503))
              }
            }
          },
          "/admin/rules/explain": {
            "post": {
              "operationId": "explainRules", "tags": ["rules"], "summary": "What an upstream answer would bring about",
              "description": "Changes nothing. The service, or a format, says by which table to judge; “rules” tries another one without saving it.",
              "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/PastedAnswer" } } }
              },
              "responses": {
                "200": { "description": "The explanation", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/RuleExplanation" } } } },
                \#(refusals(400, 401, 404, 405, 413, 503))
              }
            }
          }
        """#

    /// What the routes of rules are made of.
    static let rulesSchemas = #"""
        "APIFormat": { "type": "string", "enum": ["openai_compatible", "anthropic_native", "gemini_native", "azure_openai", "generic"] },
            "RestScope": {
              "type": "string", "enum": ["usual", "key", "model", "group"], "default": "usual",
              "description": "What rests: usual is the model where one can be read for rate_limited, and the whole key for exhausted, with every key of its quota group where one is known; key and model are this key alone"
            },
            "RuleTexts": {
              "type": "array", "minItems": 1, "maxItems": 100, "items": { "type": "string", "minLength": 1, "maxLength": 1024 },
              "description": "Compared without regard to ASCII case, and shown in lower case; up to 1024 octets each"
            },
            "JSONPointer": {
              "type": "string", "maxLength": 512, "pattern": "^(/([^~]|~[01])*)?$",
              "description": "RFC 6901; a token * stands for every element of an array or member of an object"
            },
            "FieldName": { "type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" },
            "RuleCondition": {
              "description": "What must hold of an answer besides its status",
              "oneOf": [
                {
                  "type": "object", "required": ["header"], "additionalProperties": false,
                  "description": "A field of this name has a value that contains the text; without a text it is enough that it is there",
                  "properties": {
                    "header": { "$ref": "#/components/schemas/FieldName" },
                    "contains": { "type": "string", "minLength": 1, "maxLength": 1024 }
                  }
                },
                {
                  "type": "object", "required": ["says_when"], "additionalProperties": false,
                  "description": "retry-after-ms or Retry-After says a time that can be read",
                  "properties": { "says_when": { "const": true } }
                },
                {
                  "type": "object", "required": ["json"], "additionalProperties": false, "minProperties": 2, "maxProperties": 2,
                  "description": "A value at one of these places of the JSON body meets the one test beside it",
                  "properties": {
                    "json": { "type": "array", "minItems": 1, "maxItems": 100, "items": { "$ref": "#/components/schemas/JSONPointer" } },
                    "exists": { "const": true, "description": "It is there, and not null" },
                    "equals": { "$ref": "#/components/schemas/RuleTexts" },
                    "contains": { "$ref": "#/components/schemas/RuleTexts" },
                    "begins": { "$ref": "#/components/schemas/RuleTexts" },
                    "number": {
                      "type": "array", "minItems": 1, "maxItems": 100,
                      "items": { "type": "integer", "minimum": -9007199254740991, "maximum": 9007199254740991 },
                      "description": "It is one of these numbers, or a string that spells one"
                    }
                  }
                },
                {
                  "type": "object", "required": ["says"], "additionalProperties": false,
                  "description": "The error's words for people, where providers put them, contain one of these",
                  "properties": { "says": { "$ref": "#/components/schemas/RuleTexts" } }
                },
                {
                  "type": "object", "required": ["body_contains"], "additionalProperties": false,
                  "description": "The body, taken as text, contains one of these",
                  "properties": { "body_contains": { "$ref": "#/components/schemas/RuleTexts" } }
                }
              ]
            },
            "RuleTime": {
              "description": "Where the time of a return stands: a word, a header field, or a value of the JSON body",
              "oneOf": [
                { "type": "string", "enum": ["retry_after", "reset_fields", "midnight_pacific", "month_start_utc"] },
                {
                  "type": "object", "required": ["field"], "additionalProperties": false,
                  "properties": { "field": { "$ref": "#/components/schemas/FieldName" } }
                },
                {
                  "type": "object", "required": ["json"], "additionalProperties": false,
                  "properties": { "json": { "$ref": "#/components/schemas/JSONPointer" } }
                }
              ]
            },
            "Rule": {
              "type": "object", "required": ["statuses", "verdict", "reason"], "additionalProperties": false,
              "properties": {
                "statuses": {
                  "type": "array", "minItems": 1, "maxItems": 100, "description": "From 400 to 599, but for 501 and 505, which are never judged",
                  "items": {
                    "oneOf": [
                      { "type": "integer", "minimum": 400, "maximum": 599, "not": { "enum": [501, 505] } },
                      { "type": "string", "pattern": "^[45][0-9]{2}-[45][0-9]{2}$", "examples": ["500-599"] }
                    ]
                  }
                },
                "conditions": {
                  "type": "array", "maxItems": 100, "default": [], "description": "All of them must hold",
                  "items": { "$ref": "#/components/schemas/RuleCondition" }
                },
                "verdict": { "type": "string", "enum": ["success", "rate_limited", "exhausted", "key_rejected", "forbidden", "upstream_failed"] },
                "scope": { "$ref": "#/components/schemas/RestScope" },
                "until": {
                  "type": "array", "maxItems": 100, "default": [], "description": "The first with something to say counts",
                  "items": { "$ref": "#/components/schemas/RuleTime" }
                },
                "reason": { "type": "string", "pattern": "^[a-z0-9_]{1,64}$", "description": "Why, as a stable word" }
              },
              "if": { "properties": { "verdict": { "enum": ["success", "key_rejected", "forbidden", "upstream_failed"] } } },
              "then": { "properties": { "scope": false, "until": false } }
            },
            "Rules": {
              "type": "array", "maxItems": 500, "items": { "$ref": "#/components/schemas/Rule" },
              "description": "The first rule that holds decides; where none does, the key has done its work and the answer is passed on"
            },
            "ServiceRules": {
              "type": "object", "required": ["is_default", "rules"],
              "properties": {
                "is_default": { "type": "boolean", "description": "These are the rules of the service's format" },
                "rules": { "$ref": "#/components/schemas/Rules" }
              }
            },
            "NewServiceRules": {
              "type": "object", "required": ["rules"], "additionalProperties": false,
              "properties": { "rules": { "$ref": "#/components/schemas/Rules" } }
            },
            "FormatRules": {
              "type": "object", "required": ["api_format", "rules"],
              "properties": { "api_format": { "$ref": "#/components/schemas/APIFormat" }, "rules": { "$ref": "#/components/schemas/Rules" } }
            },
            "PastedAnswer": {
              "type": "object", "required": ["status"], "additionalProperties": false,
              "properties": {
                "status": { "type": "integer", "minimum": 200, "maximum": 599 },
                "headers": {
                  "description": "A Content-Encoding is passed over: what can be pasted is decoded already",
                  "oneOf": [
                    {
                      "type": "object", "maxProperties": 200, "propertyNames": { "$ref": "#/components/schemas/FieldName" },
                      "additionalProperties": { "type": "string", "maxLength": 16384, "pattern": "^[^\\x00-\\x08\\x0A-\\x1F\\x7F]*$" }
                    },
                    {
                      "type": "array", "maxItems": 200,
                      "items": {
                        "type": "object", "required": ["name", "value"], "additionalProperties": false,
                        "properties": {
                          "name": { "$ref": "#/components/schemas/FieldName" },
                          "value": { "type": "string", "maxLength": 16384, "pattern": "^[^\\x00-\\x08\\x0A-\\x1F\\x7F]*$" }
                        }
                      }
                    }
                  ]
                },
                "body": { "type": "string", "maxLength": 65536, "default": "", "description": "At most 64 KiB" },
                "service_id": { "$ref": "#/components/schemas/ID" },
                "api_format": { "$ref": "#/components/schemas/APIFormat" },
                "model": { "type": ["string", "null"], "minLength": 1, "maxLength": 512, "default": null, "description": "The model that was asked for; null where none can be read" },
                "rules": { "$ref": "#/components/schemas/Rules" }
              },
              "oneOf": [{ "required": ["service_id"] }, { "required": ["api_format"] }]
            },
            "RuleExplanation": {
              "type": "object",
              "required": ["outcome", "reason", "scope", "until", "rule", "rule_index", "key_effect", "request_effect"],
              "properties": {
                "outcome": { "type": "string", "enum": ["success", "rate_limited", "exhausted", "key_rejected", "forbidden", "upstream_failed"] },
                "reason": { "type": ["string", "null"], "description": "What a key's state_reason would be" },
                "scope": { "oneOf": [{ "$ref": "#/components/schemas/RestScope" }, { "type": "null" }] },
                "until": {
                  "description": "The provider's own time; null where it gives none",
                  "oneOf": [{ "$ref": "#/components/schemas/Timestamp" }, { "type": "null" }]
                },
                "rule": {
                  "description": "The rule that decides; null where none does",
                  "oneOf": [{ "$ref": "#/components/schemas/Rule" }, { "type": "null" }]
                },
                "rule_index": { "type": ["integer", "null"], "minimum": 0, "description": "Its number in the table, from 0" },
                "key_effect": { "type": "string", "description": "What it does to the key, for people" },
                "request_effect": { "type": "string", "description": "What it does to the request, for people" }
              }
            }
        """#
}
