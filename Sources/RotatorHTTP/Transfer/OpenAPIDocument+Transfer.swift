// SPDX-License-Identifier: MIT

extension OpenAPIDocument {
    /// The routes of whole catalogues, as members of `paths`.
    static let transferPaths = #"""
          "/admin/export": {
            "get": {
              "operationId": "exportCatalogue", "tags": ["transfer"], "summary": "The whole catalogue as one document; audited",
              "description": "Provider keys, digests of clients and values of extra headers are sealed under the passphrase. Nothing in it changes by itself: under the same passphrase and salt, two documents differ in what has changed.",
              "parameters": [
                {
                  "name": "X-Passphrase", "in": "header", "schema": { "$ref": "#/components/schemas/Passphrase" },
                  "description": "Required unless keys is false. Without it what is secret is left out: keys, clients, and the values of extra headers, which are null then"
                },
                { "name": "keys", "in": "query", "description": "Whether provider keys are wanted", "schema": { "type": "boolean", "default": true } },
                {
                  "name": "salt", "in": "query", "schema": { "type": "string", "pattern": "^[A-Za-z0-9+/]{21}[AQgw]==$" },
                  "description": "The salt of an earlier document, so that what has not changed is sealed as it was there; at random where it is missing"
                }
              ],
              "responses": {
                "200": {
                  "description": "The document, one key on each line",
                  "headers": { "Content-Disposition": { "schema": { "type": "string" } } },
                  "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Catalogue" } } }
                },
                \#(refusals(400, 401, 405, 503))
              }
            }
          },
          "/admin/import": {
            "post": {
              "operationId": "importCatalogue", "tags": ["transfer"], "summary": "Make the catalogue what a document says",
              "description": "All of it or nothing. Services are matched by slug, keys by value within their service, clients by name, else by key. An object in the document is whole: members that are missing take their defaults; but a service without keys keeps those that it has, and a document without clients says nothing of them.",
              "parameters": [
                {
                  "name": "X-Passphrase", "in": "header", "schema": { "$ref": "#/components/schemas/Passphrase" },
                  "description": "Required where anything in the document is sealed"
                },
                { "name": "dry_run", "in": "query", "description": "Only tell what would change", "schema": { "type": "boolean", "default": false } },
                {
                  "name": "mode", "in": "query", "schema": { "type": "string", "enum": ["merge", "replace"], "default": "merge" },
                  "description": "Whether what is not in the document stays (merge) or is removed (replace)"
                }
              ],
              "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Catalogue" } } }
              },
              "responses": {
                "200": {
                  "description": "What was done, or would be",
                  "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ImportReport" } } }
                },
                \#(refusals(400, 401, 405, 413, 503))
              }
            }
          }
        """#

    /// What they are made of, as members of `schemas`.
    static let transferSchemas = #"""
            "Passphrase": { "type": "string", "format": "password", "minLength": 12, "maxLength": 1024, "pattern": "^[^\\x00-\\x1F\\x7F]+$" },
            "Sealed": { "type": "string", "contentEncoding": "base64", "description": "Nonce, ciphertext and tag of AES-256-GCM; belongs to its place and opens nowhere else" },
            "Catalogue": {
              "type": "object", "required": ["format", "version"], "additionalProperties": false,
              "properties": {
                "format": { "const": "api-key-rotator/catalogue" },
                "version": { "const": 1 },
                "kdf": { "$ref": "#/components/schemas/CatalogueKDF" },
                "services": { "type": "array", "items": { "$ref": "#/components/schemas/CatalogueService" } },
                "clients": { "type": "array", "items": { "$ref": "#/components/schemas/CatalogueClient" } }
              }
            },
            "CatalogueKDF": {
              "type": ["object", "null"], "required": ["name", "n", "r", "p", "salt", "check"], "additionalProperties": false,
              "description": "How the passphrase becomes a key (RFC 7914), and a value by which a wrong one is noticed",
              "properties": {
                "name": { "const": "scrypt" },
                "n": { "type": "integer", "minimum": 1024, "maximum": 1048576 },
                "r": { "type": "integer", "minimum": 1, "maximum": 16 },
                "p": { "type": "integer", "minimum": 1, "maximum": 4 },
                "salt": { "type": "string", "contentEncoding": "base64" },
                "check": { "$ref": "#/components/schemas/Sealed" }
              }
            },
            "CatalogueService": {
              "type": "object", "required": ["name", "slug", "config_type"], "additionalProperties": false,
              "properties": {
                \#(plainServiceProperties),
                "extra_headers": {
                  "type": "object", "maxProperties": 64,
                  "additionalProperties": {
                    "description": "Null: it was left out of the document, and stays what it is",
                    "oneOf": [
                      { "type": "string", "maxLength": 8192 },
                      { "type": "object", "required": ["sealed"], "additionalProperties": false, "properties": { "sealed": { "$ref": "#/components/schemas/Sealed" } } },
                      { "type": "null" }
                    ]
                  }
                },
                "rules": { "oneOf": [{ "$ref": "#/components/schemas/Rules" }, { "type": "null" }], "description": "In place of the format's own table" },
                "keys": { "type": "array", "maxItems": 1000000, "items": { "$ref": "#/components/schemas/CatalogueKey" } }
              }
            },
            "CatalogueKey": {
              "type": "object", "additionalProperties": false,
              "oneOf": [{ "required": ["sealed"] }, { "required": ["key_value"] }],
              "properties": {
                "sealed": { "$ref": "#/components/schemas/Sealed" },
                "key_value": { "$ref": "#/components/schemas/KeyValue" },
                "name": { "$ref": "#/components/schemas/KeyName" },
                "weight": { "$ref": "#/components/schemas/KeyWeight" },
                "is_active": { "type": "boolean", "default": true },
                "tags": { "$ref": "#/components/schemas/KeyTags" },
                "quota_group": { "$ref": "#/components/schemas/KeyQuotaGroup" },
                "limits": { "$ref": "#/components/schemas/KeyLimits" }
              }
            },
            "CatalogueClient": {
              "type": "object", "required": ["name"], "additionalProperties": false,
              "oneOf": [{ "required": ["sealed"] }, { "required": ["digest"] }, { "required": ["key_value"] }],
              "properties": {
                "name": { "$ref": "#/components/schemas/ClientName" },
                "sealed": { "$ref": "#/components/schemas/Sealed" },
                "digest": { "type": "string", "pattern": "^[0-9A-Fa-f]{64}$", "description": "SHA-256 of the key" },
                "key_value": { "$ref": "#/components/schemas/KeyValue" },
                "key_masked": { "type": "string", "maxLength": 64, "description": "What people are shown of the key" },
                \#(policyProperties)
              }
            },
            "ImportReport": {
              "type": "object", "required": ["dry_run", "services", "keys", "clients", "changes"],
              "properties": {
                "dry_run": { "type": "boolean" },
                "services": { "$ref": "#/components/schemas/ImportTally" },
                "keys": { "$ref": "#/components/schemas/ImportTally" },
                "clients": { "$ref": "#/components/schemas/ImportTally" },
                "changes": { "type": "array", "maxItems": 1000, "items": { "$ref": "#/components/schemas/ImportChange" } }
              }
            },
            "ImportTally": {
              "type": "object", "required": ["created", "updated", "unchanged", "deleted"],
              "properties": {
                "created": { "type": "integer", "minimum": 0 },
                "updated": { "type": "integer", "minimum": 0 },
                "unchanged": { "type": "integer", "minimum": 0 },
                "deleted": { "type": "integer", "minimum": 0 },
                "duplicate": { "type": "integer", "minimum": 0, "description": "Of keys: how many stood in the document more than once" }
              }
            },
            "ImportChange": {
              "type": "object", "required": ["action", "kind", "subject", "count", "members"],
              "properties": {
                "action": { "type": "string", "enum": ["create", "update", "delete"] },
                "kind": { "type": "string", "enum": ["service", "key", "client"] },
                "subject": { "type": "string", "examples": ["openai", "key 7 of openai", "keys of openai"] },
                "count": { "type": "integer", "minimum": 1 },
                "members": { "type": "array", "items": { "type": "string" }, "description": "What an update changes" }
              }
            }
        """#
}
