// SPDX-License-Identifier: MIT

extension OpenAPIDocument {
    /// The routes of jobs, as members of the object of paths.
    static let jobPaths = #"""
        "/admin/proxy-configs/{id}/keys/validate": {
            "parameters": [{ "$ref": "#/components/parameters/ServiceID" }],
            "post": {
              "operationId": "validateKeys", "tags": ["jobs"], "summary": "Try each key upstream",
              "description": "Starts a job. A made-up key is tried first: where the provider does not refuse it, the job fails with “probe_proves_nothing”. An empty body asks for the defaults. One validation of a service runs at a time, and four in all.",
              "requestBody": {
                "required": false,
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Validation" } } }
              },
              "responses": {
                "202": { "$ref": "#/components/responses/JobAccepted" },
                \#(refusals(400, 401, 404, 405, 409, 413, 503))
              }
            }
          },
          "/admin/jobs": {
            "get": {
              "operationId": "listJobs", "tags": ["jobs"], "summary": "List jobs, by id",
              "description": "The last 100 that have ended are kept, and none for over 30 days.",
              "parameters": [{ "$ref": "#/components/parameters/After" }, { "$ref": "#/components/parameters/Limit" }],
              "responses": {
                "200": {
                  "description": "One page", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/JobPage" } } }
                },
                \#(refusals(400, 401, 405, 503))
              }
            }
          },
          "/admin/jobs/{id}": {
            "parameters": [{ "$ref": "#/components/parameters/JobID" }],
            "get": {
              "operationId": "getJob", "tags": ["jobs"], "summary": "One job and its results, by key id",
              "description": "Results appear in parts of up to 1,000 keys.",
              "parameters": [
                {
                  "name": "results_after", "in": "query", "description": "What “results_next” said on the page before",
                  "schema": { "type": "integer", "format": "int64", "minimum": 0, "maximum": 9223372036854775807, "default": 0 }
                },
                {
                  "name": "results_limit", "in": "query", "description": "The size of a page of results",
                  "schema": { "type": "integer", "minimum": 1, "maximum": 1000, "default": 1000 }
                }
              ],
              "responses": {
                "200": { "$ref": "#/components/responses/Job" },
                \#(refusals(400, 401, 404, 405, 503))
              }
            }
          },
          "/admin/jobs/{id}/cancel": {
            "parameters": [{ "$ref": "#/components/parameters/JobID" }],
            "post": {
              "operationId": "cancelJob", "tags": ["jobs"], "summary": "End a job; what it has found out stays",
              "responses": {
                "200": { "$ref": "#/components/responses/Job" },
                \#(refusals(400, 401, 404, 405, 409, 413, 503))
              }
            }
          },
          "/admin/jobs/{id}/delete-rejected": {
            "parameters": [{ "$ref": "#/components/parameters/JobID" }],
            "post": {
              "operationId": "deleteRejectedKeys", "tags": ["jobs"], "summary": "Remove the keys that the job found rejected and that are invalid still; audited",
              "responses": {
                "200": {
                  "description": "How many there were",
                  "content": { "application/json": { "schema": { "$ref": "#/components/schemas/DeletedCount" } } }
                },
                \#(refusals(400, 401, 404, 405, 409, 413, 503))
              }
            }
          },
          "/admin/jobs/{id}/retest": {
            "parameters": [{ "$ref": "#/components/parameters/JobID" }],
            "post": {
              "operationId": "retestKeys", "tags": ["jobs"], "summary": "Try the keys that the job did not find good once more, in a new job",
              "responses": {
                "202": { "$ref": "#/components/responses/JobAccepted" },
                \#(refusals(400, 401, 404, 405, 409, 413, 503))
              }
            }
          }
        """#

    /// Parameters of those routes, as members of the object of parameters.
    static let jobParameters = #"""
        "JobID": {
              "name": "id", "in": "path", "required": true, "description": "The job's id",
              "schema": { "$ref": "#/components/schemas/ID" }
            }
        """#

    /// Answers of those routes, as members of the object of responses.
    static let jobResponses = #"""
        "JobAccepted": {
              "description": "A job has begun",
              "headers": { "Location": { "description": "Its path", "schema": { "type": "string" } } },
              "content": { "application/json": { "schema": { "$ref": "#/components/schemas/JobReference" } } }
            },
            "Job": {
              "description": "The job, with a page of its results",
              "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Job" } } }
            }
        """#

    /// What those routes are made of, as members of the object of schemas.
    static let jobSchemas = #"""
        "Validation": {
              "type": "object", "additionalProperties": false,
              "properties": {
                "ids": {
                  "type": ["array", "null"], "minItems": 1, "maxItems": 10000, "items": { "type": "integer", "minimum": 1, "maximum": 9007199254740991 },
                  "description": "Only these keys; not beside a filter"
                },
                "filter": {
                  "type": ["object", "null"], "additionalProperties": false,
                  "properties": { "state": { "$ref": "#/components/schemas/KeyState" } },
                  "description": "Only keys in this state"
                },
                "concurrency": { "type": "integer", "minimum": 1, "maximum": 256, "default": 16, "description": "Probes under way at the same time" },
                "rate_per_second": { "type": "integer", "minimum": 1, "maximum": 10000, "default": 50, "description": "Probes begun in a second" },
                "apply": { "type": "boolean", "default": true, "description": "Whether what is learned counts for the keys' standing" },
                "probe": { "oneOf": [{ "$ref": "#/components/schemas/Probe" }, { "type": "null" }] }
              }
            },
            "Probe": {
              "type": "object", "required": ["path"], "additionalProperties": false,
              "description": "The call in place of the format's own: for where listing models proves nothing",
              "properties": {
                "path": {
                  "type": "string", "maxLength": 8192, "pattern": "^(/[\\x21\\x22\\x24-\\x7E]*)?$",
                  "description": "What follows the target's path, with its query; it must not leave that path", "examples": ["/v1/chat/completions"]
                },
                "method": { "type": "string", "maxLength": 32, "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", "description": "GET, or POST where there is a body; not CONNECT or TRACE" },
                "body": { "type": ["string", "null"], "maxLength": 65536, "description": "Sent as application/json; at most 65,536 octets" },
                "model": { "type": ["string", "null"], "minLength": 1, "maxLength": 256, "description": "The model that a limit is counted for; null: as the body names it" }
              }
            },
            "JobReference": {
              "type": "object", "required": ["job_id"], "properties": { "job_id": { "$ref": "#/components/schemas/ID" } }
            },
            "JobVerdict": {
              "type": "string", "enum": [\#(verdicts)],
              "description": "rejected: refused twice. forbidden: the key is known but may not make this call. skipped: switched off, or gone"
            },
            "JobSummary": {
              "type": "object",
              "required": [\#(jobMembers)],
              "properties": {
                "job_id": { "$ref": "#/components/schemas/ID" },
                "kind": { "const": "validate" },
                "service_id": { "$ref": "#/components/schemas/ID" },
                "state": { "type": "string", "enum": ["running", "done", "failed"] },
                "reason": { "type": ["string", "null"], "enum": [\#(reasons), null], "description": "Why it has failed" },
                "total": { "type": "integer", "minimum": 0, "description": "Keys to look at" },
                "done": { "type": "integer", "minimum": 0, "description": "Keys that are finished" },
                "counts": {
                  "type": "object", "description": "Finished keys by verdict, as far as their results can be read",
                  "required": [\#(verdicts)], "additionalProperties": { "type": "integer", "minimum": 0 }
                },
                "apply": { "type": "boolean" },
                "provider_at_fault": {
                  "type": "boolean", "description": "Every key of the service was rejected, so none became invalid by it"
                },
                "retest_of": { "oneOf": [{ "$ref": "#/components/schemas/ID" }, { "type": "null" }] },
                "created_at": { "$ref": "#/components/schemas/Timestamp" },
                "finished_at": { "oneOf": [{ "$ref": "#/components/schemas/Timestamp" }, { "type": "null" }] }
              }
            },
            "Job": {
              "allOf": [
                { "$ref": "#/components/schemas/JobSummary" },
                {
                  "type": "object", "required": ["results", "results_next"],
                  "properties": {
                    "results": {
                      "type": "array", "maxItems": 1000,
                      "items": {
                        "type": "object", "required": ["key_id", "ok", "status", "verdict"],
                        "properties": {
                          "key_id": { "$ref": "#/components/schemas/ID" },
                          "ok": { "type": "boolean" },
                          "status": { "type": ["integer", "null"], "minimum": 100, "maximum": 999, "description": "Null where no answer came" },
                          "verdict": { "$ref": "#/components/schemas/JobVerdict" }
                        }
                      }
                    },
                    "results_next": { "$ref": "#/components/schemas/Next" }
                  }
                }
              ]
            },
            "JobPage": {
              "type": "object", "required": ["items", "next"],
              "properties": {
                "items": { "type": "array", "items": { "$ref": "#/components/schemas/JobSummary" } },
                "next": { "$ref": "#/components/schemas/Next" }
              }
            }
        """#

    private static let verdicts = ProbeVerdict.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
    private static let reasons = JobRecord.Reason.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
    private static let jobMembers = [
        "job_id", "kind", "service_id", "state", "reason", "total", "done", "counts", "apply", "provider_at_fault", "retest_of", "created_at", "finished_at",
    ].map { "\"\($0)\"" }.joined(separator: ", ")
}
