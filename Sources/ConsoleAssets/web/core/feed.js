// SPDX-License-Identifier: MIT

import { send } from "./api.js";
import { session } from "./session.js";

/**
 * @typedef {{counters: import("./types.js").Counters, key_state: import("./types.js").KeyStateChange, store: {is_up: boolean}}} FeedEvents
 * @typedef {keyof FeedEvents} FeedEventName
 */

/** Reads server-sent events (WHATWG HTML, "Server-sent events") from pieces of a stream. */
export class EventParser {
  #rest = "";

  /**
   * @param {string} piece
   * @returns {{name: string, data: string}[]} The events that are whole now.
   */
  take(piece) {
    const blocks = (this.#rest + piece).split("\n\n");
    this.#rest = blocks.pop() ?? "";
    const events = [];
    for (const block of blocks) {
      let name = "message";
      const data = [];
      for (const line of block.split("\n")) {
        if (line.startsWith("event:")) name = line.slice(6).trim();
        else if (line.startsWith("data:")) data.push(line.slice(line.startsWith("data: ") ? 6 : 5));
      }
      if (data.length > 0) events.push({ name, data: data.join("\n") });
    }
    return events;
  }
}

/**
 * What happens on the server, as it happens. Events are handed out in batches, at most four times a second: a page that shows thousands of them in a second
 * is painted no more often than it can be read.
 */
class Feed extends EventTarget {
  static #batchInterval = 250;

  /** @type {Map<FeedEventName, Set<(events: any[]) => void>>} */
  #listeners = new Map();
  /** @type {Map<FeedEventName, unknown[]>} */
  #waiting = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #delivery;
  #isRunning = false;
  #isConnected = false;
  /** Whether the store answers; null until it is told. */
  isStoreUp = /** @type {boolean | null} */ (null);

  get isConnected() { return this.#isConnected; }

  /**
   * @template {FeedEventName} Name
   * @param {Name} name
   * @param {(events: FeedEvents[Name][]) => void} listener Is given what came since the last time, in its order.
   * @returns {() => void} Ends it.
   */
  listen(name, listener) {
    let listeners = this.#listeners.get(name);
    if (listeners === undefined) this.#listeners.set(name, listeners = new Set());
    listeners.add(listener);
    return () => listeners?.delete(listener);
  }

  /** Listens for as long as the page lives; connects again whenever it breaks off. */
  async run() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    for (let failures = 0;;) {
      await session.ready();
      try {
        await this.#read(() => { failures = 0; });
      } catch {
        // The pause below is all that there is to do about it: the page says that it is not connected.
      }
      this.#connected(false);
      failures += 1;
      await new Promise((resolve) => setTimeout(resolve, Math.min(10_000, 500 * 2 ** Math.min(failures, 5))));
    }
  }

  /** @param {() => void} began */
  async #read(began) {
    const abort = new AbortController();
    const ended = () => abort.abort();
    session.addEventListener("end", ended, { once: true });
    session.addEventListener("leave", ended, { once: true });
    try {
      const response = await send("GET", "/admin/events", { signal: abort.signal });
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      if (reader === undefined) return;
      began();
      this.#connected(true);
      const parser = new EventParser();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        for (const { name, data } of parser.take(value)) this.#arrived(/** @type {FeedEventName} */ (name), JSON.parse(data));
      }
    } finally {
      session.removeEventListener("end", ended);
      session.removeEventListener("leave", ended);
      abort.abort();
    }
  }

  /**
   * @param {FeedEventName} name
   * @param {unknown} event
   */
  #arrived(name, event) {
    let waiting = this.#waiting.get(name);
    if (waiting === undefined) this.#waiting.set(name, waiting = []);
    waiting.push(event);
    if (this.#delivery === undefined) this.#delivery = setTimeout(() => this.#deliver(), Feed.#batchInterval);
  }

  #deliver() {
    this.#delivery = undefined;
    const waiting = this.#waiting;
    this.#waiting = new Map();
    const store = waiting.get("store");
    if (store !== undefined) {
      this.isStoreUp = /** @type {FeedEvents["store"]} */ (store[store.length - 1]).is_up;
      this.dispatchEvent(new Event("change"));
    }
    for (const [name, events] of waiting) {
      for (const listener of this.#listeners.get(name) ?? []) listener(events);
    }
  }

  /** @param {boolean} isConnected */
  #connected(isConnected) {
    if (this.#isConnected === isConnected) return;
    this.#isConnected = isConnected;
    this.dispatchEvent(new Event("change"));
  }
}

export const feed = new Feed();
