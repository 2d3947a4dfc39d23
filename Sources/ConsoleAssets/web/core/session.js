// SPDX-License-Identifier: MIT

/**
 * Who is logged in. The token is in memory alone: not in storage, a cookie, the page or an address; it is gone with the page.
 */
class Session extends EventTarget {
  /** @type {string | null} */
  #token = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {(() => void)[]} */
  #waiting = [];

  /** The bearer token, or null. */
  get token() { return this.#token; }

  /**
   * Begins with a token that was issued.
   *
   * @param {string} token
   * @param {number} seconds How long it is good for.
   */
  begin(token, seconds) {
    this.#token = token;
    clearTimeout(this.#timer);
    // A timer takes 2^31 - 1 ms at most.
    this.#timer = setTimeout(() => this.end(), Math.min(seconds * 1000, 0x7fffffff));
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
    this.dispatchEvent(new Event("begin"));
  }

  /** Ends: the page stays as it is, and what needs a token waits for the next one. */
  end() {
    if (this.#token === null) return;
    this.#token = null;
    clearTimeout(this.#timer);
    this.dispatchEvent(new Event("end"));
  }

  /** Logs out: nothing of the page stays. */
  leave() {
    this.#token = null;
    clearTimeout(this.#timer);
    this.dispatchEvent(new Event("leave"));
  }

  /** Until there is a token. */
  async ready() {
    if (this.#token !== null) return;
    await new Promise((/** @type {(value?: undefined) => void} */ resolve) => this.#waiting.push(() => resolve()));
  }
}

export const session = new Session();
