// SPDX-License-Identifier: MIT

internal import RotatorCore

extension OpenAPIDocument {
    /// The routes of webhooks, as members of `paths`.
    static let webhookPaths = #"""
          "/admin/webhooks": {
            "get": {
              "operationId": "listWebhooks", "tags": ["alerts"], "summary": "List webhooks, by id",
              "parameters": [{ "$ref": "#/components/parameters/After" }, { "$ref": "#/components/parameters/Limit" }],
              "responses": {
                "200": {
                  "description": "One page", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/WebhookPage" } } }
                },
                \#(refusals(400, 401, 405, 503))
              }
            },
            "post": {
              "operationId": "createWebhook", "tags": ["alerts"], "summary": "Add a webhook; there can be 100",
              "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/NewWebhook" } } }
              },
              "responses": {
                "201": {
                  "description": "The webhook", "headers": { "Location": { "schema": { "type": "string" } } },
                  "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Webhook" } } }
                },
                \#(refusals(400, 401, 405, 409, 413, 503))
              }
            }
          },
          "/admin/webhooks/{id}": {
            "parameters": [{ "$ref": "#/components/parameters/WebhookID" }],
            "get": {
              "operationId": "getWebhook", "tags": ["alerts"], "summary": "Read a webhook",
              "responses": {
                "200": { "$ref": "#/components/responses/Webhook" },
                \#(refusals(400, 401, 404, 405, 503))
              }
            },
            "patch": {
              "operationId": "changeWebhook", "tags": ["alerts"], "summary": "Change what is given",
              "description": "A webhook that takes another shape loses the secret or the chat that the new one has no use for.",
              "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/WebhookChange" } } }
              },
              "responses": {
                "200": { "$ref": "#/components/responses/Webhook" },
                \#(refusals(400, 401, 404, 405, 409, 413, 503))
              }
            },
            "delete": {
              "operationId": "deleteWebhook", "tags": ["alerts"], "summary": "Remove a webhook: what waits for it is not sent any more",
              "responses": {
                "204": { "description": "It is gone" },
                \#(refusals(400, 401, 404, 405, 413, 503))
              }
            }
          },
          "/admin/webhooks/{id}/test": {
            "parameters": [{ "$ref": "#/components/parameters/WebhookID" }],
            "post": {
              "operationId": "testWebhook", "tags": ["alerts"], "summary": "Send a test now, once, to a webhook that is switched off too",
              "responses": {
                "200": {
                  "description": "What came of it, within 10 s",
                  "content": { "application/json": { "schema": { "$ref": "#/components/schemas/WebhookTest" } } }
                },
                \#(refusals(400, 401, 404, 405, 413, 503))
              }
            }
          },
          "/admin/webhooks/{id}/deliveries": {
            "parameters": [{ "$ref": "#/components/parameters/WebhookID" }],
            "get": {
              "operationId": "listDeliveries", "tags": ["alerts"], "summary": "The last 50 deliveries of this replica since its start, the latest first",
              "responses": {
                "200": {
                  "description": "All of them", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/DeliveryList" } } }
                },
                \#(refusals(400, 401, 404, 405, 503))
              }
            }
          }
        """#

    /// What they are made of, as members of `schemas`.
    static let webhookSchemas = #"""
            "WebhookName": { "type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[^\\x00-\\x1F\\x7F]*[^\\x00-\\x20\\x7F][^\\x00-\\x1F\\x7F]*$", "description": "Unique" },
            "NewWebhook": {
              "type": "object", "required": ["name", "url", "shape"], "additionalProperties": false,
              "properties": { \#(changeableProperties) },
              "if": { "properties": { "shape": { "const": "telegram" } } },
              "then": { "required": ["chat_id"], "properties": { "chat_id": { "type": "string" } } }
            },
            "WebhookChange": {
              "type": "object", "additionalProperties": false,
              "properties": { \#(changeableProperties) }
            },
            "Webhook": {
              "type": "object",
              "required": [
                "id", "name", "url_masked", "has_secret", "shape", "chat_id", "events", "services", "pool_minimum", "min_interval_seconds", "is_active"
              ],
              "properties": {
                "id": { "$ref": "#/components/schemas/ID" },
                "name": { "type": "string" },
                "url_masked": { "type": "string", "description": "Scheme and host; the rest may be a credential" },
                "has_secret": { "type": "boolean", "description": "Whether alerts are signed" },
                \#(shownProperties)
              }
            },
            "WebhookPage": {
              "type": "object", "required": ["items", "next"],
              "properties": {
                "items": { "type": "array", "items": { "$ref": "#/components/schemas/Webhook" } },
                "next": { "$ref": "#/components/schemas/Next" }
              }
            },
            "WebhookTest": {
              "type": "object", "required": ["delivered", "status", "error"], "additionalProperties": false,
              "properties": {
                "delivered": { "type": "boolean", "description": "Whether the answer was a 2xx" },
                "status": { "$ref": "#/components/schemas/DeliveryStatus" },
                "error": { "$ref": "#/components/schemas/DeliveryError" }
              }
            },
            "DeliveryStatus": { "type": ["integer", "null"], "minimum": 200, "maximum": 999, "description": "The last answer's; null where none came" },
            "DeliveryError": { "type": ["string", "null"], "description": "Why no answer came, as a stable word such as connection_refused or timed_out" },
            "Delivery": {
              "type": "object", "required": ["id", "at", "event", "state", "attempts", "status", "error"], "additionalProperties": false,
              "properties": {
                "id": { "type": "string", "description": "What the receiver sees in X-Rotator-Delivery" },
                "at": { "$ref": "#/components/schemas/Timestamp" },
                "event": { "enum": [\#(words(AlertKind.allCases))] },
                "state": { "enum": [\#(words(DeliveryRecord.State.allCases))] },
                "attempts": { "type": "integer", "minimum": 0, "maximum": \#(DeliveryQueue.attemptsMax) },
                "status": { "$ref": "#/components/schemas/DeliveryStatus" },
                "error": { "$ref": "#/components/schemas/DeliveryError" }
              }
            },
            "DeliveryList": {
              "type": "object", "required": ["items", "next"],
              "properties": {
                "items": { "type": "array", "maxItems": \#(DeliveryQueue.recordsPerWebhookMax), "items": { "$ref": "#/components/schemas/Delivery" } },
                "next": { "type": "null" }
              }
            }
        """#

    private static let changeableProperties = #"""
        "name": { "$ref": "#/components/schemas/WebhookName" },
              "url": {
                "type": "string", "format": "password", "minLength": 1, "maxLength": \#(WebhookURL.octetsMax), "writeOnly": true,
                "description": "http or https, without user information or fragment; never shown again"
              },
              "secret": {
                "type": ["string", "null"], "format": "password", "minLength": 16, "maxLength": 256, "pattern": "^[\\x21-\\x7E]+$", "writeOnly": true,
                "description": "Signs alerts of the shape generic (X-Rotator-Signature); never shown"
              },
              \#(shownProperties)
        """#

    private static let shownProperties = #"""
        "shape": { "enum": [\#(words(WebhookShape.allCases))] },
              "chat_id": { "type": ["string", "null"], "minLength": 1, "maxLength": 128, "pattern": "^[\\x21-\\x7E]+$", "description": "For the shape telegram, which needs one" },
              "events": {
                "type": "array", "minItems": 1, "uniqueItems": true, "items": { "enum": [\#(words(AlertKind.subscribable))] },
                "default": [\#(words(AlertKind.subscribable))]
              },
              "services": {
                "type": ["array", "null"], "maxItems": 1000, "default": null,
                "items": { "type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[^\\x00-\\x1F\\x7F]+$" },
                "description": "Slugs, in each of which * stands for any run of characters; null is all. Counts for alerts that are about a service"
              },
              "pool_minimum": {
                "type": "integer", "minimum": 1, "maximum": 1000000, "default": 1, "description": "A pool with fewer keys in the state active is low"
              },
              "min_interval_seconds": {
                "type": "integer", "minimum": 0, "maximum": 604800, "default": 300, "description": "How long the same is not told again"
              },
              "is_active": { "type": "boolean", "default": true }
        """#

    private static func words<Word: RawRepresentable>(_ words: [Word]) -> String where Word.RawValue == String {
        words.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
    }
}
