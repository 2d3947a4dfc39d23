// SPDX-License-Identifier: MIT

import { session } from "./session.js";
import { t } from "./text.js";

/** An answer that is an error, or none at all. Its message says what happened and what to do. */
export class ApiError extends Error {
  /**
   * @param {number} status 0 where no answer came.
   * @param {string} code The server's stable word.
   * @param {string} message
   */
  constructor(status, code, message) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
  }
}

/**
 * @typedef {object} RequestOptions
 * @property {unknown} [json] Sent as JSON.
 * @property {BodyInit} [body] Sent as it is.
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 */

/**
 * @param {string} method
 * @param {Response} response
 */
async function errorOf(method, response) {
  let code = "unknown";
  let detail = "";
  try {
    const problem = await response.json();
    code = String(problem.code ?? code);
    detail = String(problem.detail ?? "");
  } catch {
    // Whatever stands between the server and the browser may answer something else.
  }
  const retry = Number(response.headers.get("Retry-After"));
  if (response.status === 503 && code === "store_unavailable") detail = t(method === "GET" ? "error.storeRead" : "error.store", { seconds: retry || 1 });
  return new ApiError(response.status, code, detail || t("error.status", { status: response.status }));
}

/**
 * Sends a request to the admin API with the session's token. A token that has ended is waited for and the request is sent again, so nothing that was typed
 * is lost.
 *
 * @param {string} method
 * @param {string} path
 * @param {RequestOptions} [options]
 * @returns {Promise<Response>} An answer of 2xx.
 * @throws {ApiError}
 */
export async function send(method, path, options = {}) {
  for (;;) {
    await session.ready();
    const token = session.token;
    /** @type {Record<string, string>} */
    const headers = { ...options.headers, Authorization: `Bearer ${token}` };
    let body = options.body;
    if (options.json !== undefined) {
      headers["Content-Type"] = "application/json";
      body = JSON.stringify(options.json);
    }
    let response;
    try {
      response = await fetch(path, { method, headers, body, signal: options.signal, cache: "no-store", credentials: "omit", redirect: "error" });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new ApiError(0, "unreachable", t("error.unreachable"));
    }
    if (response.status === 401) {
      // Another request may have ended it, and a new one begun, in the meantime.
      if (session.token === token) session.end();
      continue;
    }
    if (!response.ok) throw await errorOf(method, response);
    return response;
  }
}

/**
 * @template T
 * @param {string} method
 * @param {string} path
 * @param {RequestOptions} [options]
 * @returns {Promise<T>}
 */
async function json(method, path, options) {
  const response = await send(method, path, options);
  return response.status === 204 ? /** @type {any} */ (null) : await response.json();
}

/**
 * A path with its query; parameters that are null, undefined or empty are left out.
 *
 * @param {string} path
 * @param {Record<string, string | number | boolean | null | undefined>} parameters
 */
export function withQuery(path, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return text === "" ? path : `${path}?${text}`;
}

export const api = {
  /** @type {<T>(path: string, signal?: AbortSignal) => Promise<T>} */
  get: (path, signal) => json("GET", path, { signal }),
  /** @type {<T>(path: string, body?: unknown, options?: RequestOptions) => Promise<T>} */
  post: (path, body, options) => json("POST", path, { ...options, json: body }),
  /** @type {<T>(path: string, body: unknown) => Promise<T>} */
  put: (path, body) => json("PUT", path, { json: body }),
  /** @type {<T>(path: string, body: unknown) => Promise<T>} */
  patch: (path, body) => json("PATCH", path, { json: body }),
  /** @type {<T>(path: string) => Promise<T>} */
  delete: (path) => json("DELETE", path),

  /**
   * Every item of a listing, page after page.
   *
   * @template T
   * @param {string} path Without a query.
   * @param {Record<string, string | number>} [parameters]
   * @returns {Promise<T[]>}
   */
  async all(path, parameters = {}) {
    /** @type {T[]} */
    const items = [];
    /** @type {number | null} */
    let after = 0;
    while (after !== null) {
      /** @type {import("./types.js").Page<T>} */
      const page = await json("GET", withQuery(path, { ...parameters, limit: 1000, after: after || null }));
      items.push(...page.items);
      after = page.next;
    }
    return items;
  },
};

/**
 * Logs in; the session begins.
 *
 * @param {string} username
 * @param {string} password
 * @throws {ApiError}
 */
export async function logIn(username, password) {
  let response;
  try {
    response = await fetch("/admin/login", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ username, password }), cache: "no-store", credentials: "omit",
    });
  } catch {
    throw new ApiError(0, "unreachable", t("error.unreachable"));
  }
  if (!response.ok) {
    const error = await errorOf("POST", response);
    if (error.code === "invalid_credentials") error.message = t("login.wrong");
    if (response.status === 429) error.message = t("login.wait", { seconds: Number(response.headers.get("Retry-After")) || 60 });
    throw error;
  }
  /** @type {{access_token: string, expires_in: number}} */
  const answer = await response.json();
  session.begin(answer.access_token, answer.expires_in);
}
