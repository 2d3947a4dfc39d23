// SPDX-License-Identifier: MIT

import { api, ApiError } from "../core/api.js";
import { session } from "../core/session.js";

/** @typedef {import("../core/types.js").Client} Client */

/** One name for all trials, so that statistics by client have one line for them; the time follows where another window is trying something too. */
const NAME = "console try-it";
const MADE_HERE = /^console try-it( \d{2}:\d{2}:\d{2}\.\d{3})?$/;
const LIFETIME = 10 * 60_000;

/**
 * Whether a client was made here for a trial, and is none of the owner's.
 *
 * @param {Client} client
 */
export const isTrialKey = (client) => MADE_HERE.test(client.name);

/**
 * A client key for one trial: good for one service and ten minutes, in memory alone, deleted when the trial is over.
 */
export class TrialKey {
  /** What is left of pages that were closed too quickly is looked for once. */
  static #hasSwept = false;

  #client;

  /** @param {Client} client */
  constructor(client) { this.#client = client; }

  /**
   * Makes a key.
   *
   * @param {string} slug
   */
  static async make(slug) {
    const create = async (/** @type {string} */ name) => /** @type {Client} */ (await api.post("/admin/client-keys", { name, services: [slug], expires_at: new Date(Date.now() + LIFETIME).toISOString() }));
    let client;
    try {
      client = await create(NAME);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 409)) throw error;
      client = await create(`${NAME} ${new Date().toISOString().slice(11, 23)}`);
    }
    const key = new TrialKey(client);
    await key.#followServerClock();
    if (!TrialKey.#hasSwept) {
      TrialKey.#hasSwept = true;
      TrialKey.#sweep(client.id).catch(() => {});
    }
    return key;
  }

  get value() { return this.#client.key_value ?? ""; }

  /** A browser whose clock is wrong would make a key that is never good, or good for too long. */
  async #followServerClock() {
    const lasts = Date.parse(this.#client.expires_at ?? "") - Date.parse(this.#client.created_at);
    if (Math.abs(lasts - LIFETIME) < 60_000) return;
    await api.patch(`/admin/client-keys/${this.#client.id}`, { expires_at: new Date(Date.parse(this.#client.created_at) + LIFETIME).toISOString() });
  }

  /** Removes it. What fails here ends by itself in ten minutes, and is swept up then. */
  async remove() {
    this.#client.key_value = "";
    try {
      await api.delete(`/admin/client-keys/${this.#client.id}`);
    } catch {
      // See above.
    }
  }

  /** Removes it while the page is on its way out, when nothing can be waited for any more. */
  removeInPassing() {
    if (session.token === null) return;
    fetch(`/admin/client-keys/${this.#client.id}`, { method: "DELETE", headers: { Authorization: `Bearer ${session.token}` }, keepalive: true, credentials: "omit" }).catch(() => {});
  }

  /**
   * Deletes keys of earlier trials that have expired.
   *
   * @param {number} mine
   */
  static async #sweep(mine) {
    const clients = /** @type {Client[]} */ (await api.all("/admin/client-keys"));
    for (const client of clients) {
      if (client.id === mine || !MADE_HERE.test(client.name) || client.expires_at === null || Date.parse(client.expires_at) > Date.now()) continue;
      await api.delete(`/admin/client-keys/${client.id}`);
    }
  }
}
