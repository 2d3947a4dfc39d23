// SPDX-License-Identifier: MIT

extension OpenAPIDocument {
    /// The routes of client keys, as members of `paths`.
    static let clientPaths = #"""
          "/admin/client-keys": {
            "get": {
              "operationId": "listClients", "tags": ["clients"], "summary": "List client keys, by id",
              "parameters": [{ "$ref": "#/components/parameters/After" }, { "$ref": "#/components/parameters/Limit" }],
              "responses": {
                "200": {
                  "description": "One page", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ClientPage" } } }
                },
                \#(refusals(400, 401, 405, 503))
              }
            },
            "post": {
              "operationId": "createClient", "tags": ["clients"], "summary": "Make a client key",
              "description": "The answer holds the key's value in key_value, this once: it is kept by nobody.",
              "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/NewClient" } } }
              },
              "responses": {
                "201": {
                  "description": "The client, with its key", "headers": { "Location": { "schema": { "type": "string" } } },
                  "content": { "application/json": { "schema": { "$ref": "#/components/schemas/MadeClient" } } }
                },
                \#(refusals(400, 401, 405, 409, 413, 503))
              }
            }
          },
          "/admin/client-keys/{id}": {
            "parameters": [{ "$ref": "#/components/parameters/ClientID" }],
            "get": {
              "operationId": "getClient", "tags": ["clients"], "summary": "Read a client key and what it has used",
              "responses": {
                "200": { "$ref": "#/components/responses/Client" },
                \#(refusals(400, 401, 404, 405, 503))
              }
            },
            "patch": {
              "operationId": "changeClient", "tags": ["clients"], "summary": "Change what is given; null takes a limit away",
              "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ClientChange" } } }
              },
              "responses": {
                "200": { "$ref": "#/components/responses/Client" },
                \#(refusals(400, 401, 404, 405, 409, 413, 503))
              }
            },
            "delete": {
              "operationId": "deleteClient", "tags": ["clients"], "summary": "Remove a client key: it is good for nothing from now on",
              "responses": {
                "204": { "description": "It is gone" },
                \#(refusals(400, 401, 404, 405, 413, 503))
              }
            }
          }
        """#

    /// What they are made of, as members of `schemas`.
    static let clientSchemas = #"""
            "ClientName": { "type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[^\\x00-\\x1F\\x7F]*[^\\x00-\\x20\\x7F][^\\x00-\\x1F\\x7F]*$", "description": "Unique, among the names of GLOBAL_PROXY_KEYS too" },
            "ClientPatterns": {
              "type": ["array", "null"], "maxItems": 1000, "default": null,
              "items": { "type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[^\\x00-\\x1F\\x7F]+$" },
              "description": "In each, * stands for any run of characters; null is everything"
            },
            "ClientAmount": { "type": ["integer", "null"], "format": "int64", "minimum": 1, "maximum": 4503599627370496, "default": null, "description": "Null is without limit" },
            "NewClient": {
              "type": "object", "required": ["name"], "additionalProperties": false,
              "properties": { "name": { "$ref": "#/components/schemas/ClientName" }, \#(policyProperties) }
            },
            "ClientChange": {
              "type": "object", "additionalProperties": false,
              "properties": { "name": { "$ref": "#/components/schemas/ClientName" }, \#(policyProperties) }
            },
            "Client": {
              "type": "object",
              "required": [
                "id", "key_masked", "name", "services", "models", "requests_per_minute", "tokens_per_minute", "concurrent_requests", "monthly_token_budget",
                "expires_at", "is_active", "created_at", "usage"
              ],
              "properties": { \#(clientProperties) }
            },
            "MadeClient": {
              "type": "object", "required": ["id", "key_value", "key_masked", "name", "created_at"],
              "properties": { "key_value": { "type": "string", "format": "password", "description": "The key; it is never shown again" }, \#(clientProperties) }
            },
            "ClientPage": {
              "type": "object", "required": ["items", "next"],
              "properties": {
                "items": { "type": "array", "items": { "$ref": "#/components/schemas/Client" } },
                "next": { "$ref": "#/components/schemas/Next" }
              }
            },
            "ClientUsage": {
              "type": "object", "required": ["requests_last_minute", "tokens_last_minute", "concurrent_requests", "tokens_this_month"],
              "description": "What the limits count; 0 where nothing is limited. Over all replicas as this one last knew",
              "properties": {
                "requests_last_minute": { "type": "integer", "format": "int64", "minimum": 0 },
                "tokens_last_minute": { "type": "integer", "format": "int64", "minimum": 0 },
                "concurrent_requests": { "type": "integer", "format": "int64", "minimum": 0 },
                "tokens_this_month": { "type": "integer", "format": "int64", "minimum": 0 }
              }
            }
        """#

    static let policyProperties = #"""
        "services": { "$ref": "#/components/schemas/ClientPatterns" },
              "models": { "$ref": "#/components/schemas/ClientPatterns" },
              "requests_per_minute": { "$ref": "#/components/schemas/ClientAmount" },
              "tokens_per_minute": { "$ref": "#/components/schemas/ClientAmount" },
              "concurrent_requests": { "$ref": "#/components/schemas/ClientAmount" },
              "monthly_token_budget": { "$ref": "#/components/schemas/ClientAmount" },
              "expires_at": { "type": ["string", "null"], "format": "date-time", "default": null, "description": "From when on the key is no longer good; what lies beyond 2262-04-11 counts as that" },
              "is_active": { "type": "boolean", "default": true }
        """#

    private static let clientProperties = #"""
        "id": { "$ref": "#/components/schemas/ID" },
              "key_masked": { "type": "string", "description": "The first and last characters at most" },
              "name": { "type": "string" },
              \#(policyProperties),
              "created_at": { "$ref": "#/components/schemas/Timestamp" },
              "usage": { "$ref": "#/components/schemas/ClientUsage" }
        """#
}
