// SPDX-License-Identifier: MIT

extension OpenAPIDocument {
    /// The routes.
    static let paths = #"""
        {
          \#(jobPaths),
          "/openapi.json": {
            "get": {
              "operationId": "getOpenAPI", "tags": ["description"], "summary": "This document", "security": [],
              "responses": {
                "200": { "description": "OpenAPI 3.1", "content": { "application/json": { "schema": { "type": "object" } } } },
                "400": { "$ref": "#/components/responses/BadRequest" },
                "405": { "$ref": "#/components/responses/MethodNotAllowed" }
              }
            }
          },
          "/admin/login": {
            "post": {
              "operationId": "logIn", "tags": ["session"], "summary": "Get a bearer token", "security": [],
              "description": "After ten failures from an address within a minute, the address waits.",
              "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Login" } } }
              },
              "responses": {
                "200": { "description": "A token", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Token" } } } },
                \#(refusals(400, 401, 405, 413, 429, 503))
              }
            }
          },
          "/admin/app-config": {
            "get": {
              "operationId": "getAppConfig", "tags": ["session"], "summary": "What the console shows before login", "security": [],
              "responses": {
                "200": {
                  "description": "Settings", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/AppConfig" } } }
                },
                \#(refusals(400, 405, 503))
              }
            }
          },
          "/admin/proxy-configs": {
            "get": {
              "operationId": "listServices", "tags": ["services"], "summary": "List services, by id",
              "parameters": [{ "$ref": "#/components/parameters/After" }, { "$ref": "#/components/parameters/Limit" }],
              "responses": {
                "200": {
                  "description": "One page", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ServicePage" } } }
                },
                \#(refusals(400, 401, 405, 503))
              }
            },
            "post": {
              "operationId": "createService", "tags": ["services"], "summary": "Add a service",
              "requestBody": { "$ref": "#/components/requestBodies/Service" },
              "responses": {
                "201": {
                  "description": "The service",
                  "headers": { "Location": { "description": "Its path", "schema": { "type": "string" } } },
                  "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Service" } } }
                },
                \#(refusals(400, 401, 405, 409, 413, 503))
              }
            }
          },
          "/admin/proxy-configs/{id}": {
            "parameters": [{ "$ref": "#/components/parameters/ServiceID" }],
            "get": {
              "operationId": "getService", "tags": ["services"], "summary": "One service",
              "responses": {
                "200": { "$ref": "#/components/responses/Service" },
                \#(refusals(400, 401, 404, 405, 503))
              }
            },
            "put": {
              "operationId": "replaceService", "tags": ["services"], "summary": "Replace a service's configuration",
              "description": "Members that are missing take their defaults. The pool stays, and so do the rules, which have a path of their own.",
              "requestBody": { "$ref": "#/components/requestBodies/Service" },
              "responses": {
                "200": { "$ref": "#/components/responses/Service" },
                \#(refusals(400, 401, 404, 405, 409, 413, 503))
              }
            },
            "patch": {
              "operationId": "changeService", "tags": ["services"], "summary": "Change what is given",
              "description": "Null resets a nullable member.",
              "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ServiceChange" } } }
              },
              "responses": {
                "200": { "$ref": "#/components/responses/Service" },
                \#(refusals(400, 401, 404, 405, 409, 413, 503))
              }
            },
            "delete": {
              "operationId": "deleteService", "tags": ["services"], "summary": "Remove a service and its keys",
              "responses": {
                "204": { "description": "It is gone" },
                \#(refusals(400, 401, 404, 405, 413, 503))
              }
            }
          },
          "/admin/proxy-configs/{id}/status": {
            "parameters": [{ "$ref": "#/components/parameters/ServiceID" }],
            "put": {
              "operationId": "switchService", "tags": ["services"], "summary": "Switch a service on or off",
              "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Status" } } }
              },
              "responses": {
                "200": { "$ref": "#/components/responses/Service" },
                \#(refusals(400, 401, 404, 405, 413, 503))
              }
            }
          },
          "/admin/proxy-configs/{id}/keys": {
            "parameters": [{ "$ref": "#/components/parameters/ServiceID" }],
            "get": {
              "operationId": "listKeys", "tags": ["keys"], "summary": "List a service's keys, by id",
              "parameters": [
                { "$ref": "#/components/parameters/After" },
                { "$ref": "#/components/parameters/Limit" },
                { "name": "state", "in": "query", "description": "Only keys in this state", "schema": { "$ref": "#/components/schemas/KeyState" } },
                {
                  "name": "q", "in": "query", "schema": { "type": "string" },
                  "description": "Only keys whose name or masked value holds this text, whatever its case, or whose id it is"
                },
                { "name": "tag", "in": "query", "description": "Only keys with this tag", "schema": { "type": "string" } },
                { "name": "quota_group", "in": "query", "description": "Only keys of this quota group", "schema": { "type": "string" } },
                {
                  "name": "reason", "in": "query", "schema": { "type": "string" },
                  "description": "Only keys with this state_reason, altogether or for one model"
                },
                {
                  "name": "sort", "in": "query",
                  "description": "By what, with a hyphen in front for descending. Then pages are told by “offset”, “next” is null and “total” says how many there are",
                  "schema": {
                    "type": "string", "default": "id", "pattern": "^-?(id|name|state|weight|last_used_at|success_count|failure_count)$"
                  }
                },
                {
                  "name": "offset", "in": "query", "description": "In place of “after”: how many keys stand before the page",
                  "schema": { "type": "integer", "format": "int64", "minimum": 0, "maximum": 9223372036854775807 }
                }
              ],
              "responses": {
                "200": {
                  "description": "One page", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/KeyPage" } } }
                },
                \#(refusals(400, 401, 404, 405, 503))
              }
            },
            "post": {
              "operationId": "createKey", "tags": ["keys"], "summary": "Add a key",
              "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/NewKey" } } }
              },
              "responses": {
                "201": {
                  "description": "The key, without its value",
                  "headers": { "Location": { "description": "Its path", "schema": { "type": "string" } } },
                  "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Key" } } }
                },
                \#(refusals(400, 401, 404, 405, 409, 413, 503))
              }
            },
            "delete": {
              "operationId": "clearKeys", "tags": ["keys"], "summary": "Remove all keys of a service",
              "responses": {
                "200": {
                  "description": "How many there were",
                  "content": { "application/json": { "schema": { "$ref": "#/components/schemas/DeletedCount" } } }
                },
                \#(refusals(400, 401, 404, 405, 413, 503))
              }
            }
          },
          "/admin/proxy-configs/{id}/keys/batch": {
            "parameters": [{ "$ref": "#/components/parameters/ServiceID" }],
            "post": {
              "operationId": "importKeys", "tags": ["keys"], "summary": "Add many keys at once",
              "parameters": [
                { "name": "dry_run", "in": "query", "description": "Only tell what would become of them", "schema": { "type": "boolean", "default": false } }
              ],
              "description": "Duplicates are skipped, what is not a key is reported by its position. At most 1,000,000 keys in one call.",
              "requestBody": {
                "required": true,
                "content": {
                  "application/json": { "schema": { "$ref": "#/components/schemas/KeyBatch" } },
                  "text/plain": { "schema": { "type": "string", "description": "One key a line; blank lines do not count" } }
                }
              },
              "responses": {
                "200": {
                  "description": "What became of them",
                  "content": { "application/json": { "schema": { "$ref": "#/components/schemas/KeyBatchResult" } } }
                },
                \#(refusals(400, 401, 404, 405, 413, 503))
              }
            }
          },
          "/admin/proxy-configs/{id}/keys/export": {
            "parameters": [{ "$ref": "#/components/parameters/ServiceID" }],
            "get": {
              "operationId": "exportKeys", "tags": ["keys"], "summary": "The key values of a service; audited",
              "description": "All, or those that the parameters name: as in the listing.",
              "parameters": [
                {
                  "name": "ids", "in": "query", "description": "Up to 1,000 ids, separated by commas",
                  "schema": { "type": "string", "pattern": "^[1-9][0-9]{0,17}(,[1-9][0-9]{0,17}){0,999}$" }
                },
                { "name": "state", "in": "query", "schema": { "$ref": "#/components/schemas/KeyState" } },
                { "name": "q", "in": "query", "schema": { "type": "string" } },
                { "name": "tag", "in": "query", "schema": { "type": "string" } },
                { "name": "quota_group", "in": "query", "schema": { "type": "string" } },
                { "name": "reason", "in": "query", "schema": { "type": "string" } }
              ],
              "responses": {
                "200": { "description": "One key a line", "content": { "text/plain": { "schema": { "type": "string" } } } },
                \#(refusals(400, 401, 404, 405, 503))
              }
            }
          },
          \#(rulesPaths),
          \#(poolPaths),
          "/admin/keys/{id}": {
            "parameters": [{ "$ref": "#/components/parameters/KeyID" }],
            "get": {
              "operationId": "getKey", "tags": ["keys"], "summary": "One key",
              "responses": {
                "200": { "$ref": "#/components/responses/Key" },
                \#(refusals(400, 401, 404, 405, 503))
              }
            },
            "patch": {
              "operationId": "changeKey", "tags": ["keys"], "summary": "Change what is given",
              "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/KeyChange" } } }
              },
              "responses": {
                "200": { "$ref": "#/components/responses/Key" },
                \#(refusals(400, 401, 404, 405, 413, 503))
              }
            },
            "delete": {
              "operationId": "deleteKey", "tags": ["keys"], "summary": "Remove a key",
              "responses": {
                "204": { "description": "It is gone" },
                \#(refusals(400, 401, 404, 405, 413, 503))
              }
            }
          },
          "/admin/keys/{id}/reset": {
            "parameters": [{ "$ref": "#/components/parameters/KeyID" }],
            "post": {
              "operationId": "resetKey", "tags": ["keys"], "summary": "Clear a key's rests and failures",
              "responses": {
                "200": { "$ref": "#/components/responses/Key" },
                \#(refusals(400, 401, 404, 405, 413, 503))
              }
            }
          },
        \#(clientPaths),
        \#(webhookPaths),
        \#(transferPaths),
          "/admin/audit": {
            "get": {
              "operationId": "listAudit", "tags": ["history"], "summary": "Who changed what, when; oldest first, unless asked otherwise",
              "parameters": [
                { "$ref": "#/components/parameters/After" }, { "$ref": "#/components/parameters/Limit" },
                { "name": "order", "in": "query", "description": "desc is newest first", "schema": { "type": "string", "enum": ["asc", "desc"], "default": "asc" } },
                {
                  "name": "before", "in": "query", "description": "In place of “after”, for newest first: what “next” said on the page before",
                  "schema": { "type": "integer", "format": "int64", "minimum": 0, "maximum": 9223372036854775807 }
                }
              ],
              "responses": {
                "200": {
                  "description": "One page", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/AuditPage" } } }
                },
                \#(refusals(400, 401, 405, 503))
              }
            }
          },
          \#(historyPaths)
        }
        """#
}
