// SPDX-License-Identifier: MIT

import { api } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { number } from "../core/format.js";
import { address } from "../core/router.js";
import { t, word } from "../core/text.js";
import { shareBar } from "../components/charts.js";

/** @typedef {import("../core/types.js").KeyState} KeyState */
/** @typedef {import("../core/types.js").KeyStateChange} KeyStateChange */
/** @typedef {import("../core/types.js").Service} Service */
/** @typedef {Record<KeyState, number>} StateCounts */

/** @type {KeyState[]} */
export const STATES = ["active", "cooling", "exhausted", "invalid", "disabled"];

/** How many services stand in the list. */
const LISTED_MAX = 8;
/** Summaries asked for at a time: a browser keeps six connections to a server, and the page needs some for other things. */
const AT_ONCE = 2;
/** How long it takes until a pool that has changed is counted anew. */
const RECOUNT_AFTER = 5_000;
const RECOUNT_ALL_AFTER = 60_000;

/** @param {StateCounts} counts */
export const sumOf = (counts) => STATES.reduce((sum, state) => sum + counts[state], 0);

/**
 * How many keys of each service are in each state: asked for once, then kept up to date by what the server tells. As a change may have been counted already when it
 * is told, and as keys come and go without a word, pools are counted anew now and then.
 */
export class PoolCounts {
  /** @type {Map<number, StateCounts>} */
  counts = new Map();
  /** Rises with each change. */
  version = 0;
  #signal;
  /** @type {Set<number>} */
  #waiting = new Set();
  /** @type {Map<number, number>} When each is to be counted anew. */
  #due = new Map();
  #working = 0;

  /** @param {AbortSignal} signal */
  constructor(signal) { this.#signal = signal; }

  /**
   * Counts the keys of these services, and forgets all others.
   *
   * @param {number[]} services
   */
  async count(services) {
    for (const id of this.counts.keys()) if (!services.includes(id)) this.counts.delete(id);
    for (const id of this.#due.keys()) if (!services.includes(id)) this.#due.delete(id);
    this.version += 1;
    for (const id of services) this.#waiting.add(id);
    await this.#work();
  }

  /**
   * Counts the keys of one service now.
   *
   * @param {number} id
   */
  async countOne(id) {
    this.#waiting.delete(id);
    // Of many services each is asked less often.
    this.#due.set(id, performance.now() + Math.max(RECOUNT_ALL_AFTER, this.counts.size * 500));
    const summary = /** @type {import("../core/types.js").PoolSummary} */ (await api.get(`/admin/proxy-configs/${id}/summary`, this.#signal));
    this.counts.set(id, /** @type {StateCounts} */ (Object.fromEntries(STATES.map((state) => [state, summary.keys_by_state[state] ?? 0]))));
    this.version += 1;
  }

  /**
   * @param {KeyStateChange[]} changes
   * @returns {boolean} Whether they name a service that is not known.
   */
  take(changes) {
    let isStranger = false;
    for (const { service_id: id, from, to } of changes) {
      const counts = this.counts.get(id);
      if (counts === undefined) {
        isStranger ||= !this.#due.has(id) && !this.#waiting.has(id);
        continue;
      }
      counts[from] = Math.max(0, counts[from] - 1);
      counts[to] += 1;
      this.#due.set(id, Math.min(this.#due.get(id) ?? Infinity, performance.now() + RECOUNT_AFTER));
    }
    this.version += 1;
    return isStranger;
  }

  /** Counts the pools anew whose time has come. */
  recount() {
    const now = performance.now();
    for (const [id, due] of this.#due) if (due <= now) this.#waiting.add(id);
    void this.#work();
  }

  async #work() {
    const workers = [];
    while (this.#working < AT_ONCE && workers.length < this.#waiting.size) {
      this.#working += 1;
      workers.push(this.#worker());
    }
    await Promise.all(workers);
  }

  async #worker() {
    try {
      for (let [id] = this.#waiting; id !== undefined && !this.#signal.aborted; [id] = this.#waiting) {
        try {
          await this.countOne(id);
        } catch {
          // A service that has gone in the meantime, or a server that is away: the next count tells.
          this.#due.set(id, performance.now() + RECOUNT_AFTER);
        }
      }
    } finally {
      this.#working -= 1;
    }
  }
}

/** The keys of all services by their state, and of each service, with links to them. */
export class PoolCard {
  #total = h("p", { class: "pool-total" });
  #bar = h("div");
  #list = h("ul", { class: "pools" });
  #more = h("p");
  /** @type {Map<number, PoolRow>} */
  #rows = new Map();
  #shown = "";

  element = h("section", { class: "card", "aria-labelledby": "overview-keys" }, h("h2", { id: "overview-keys" }, t("overview.keys.title")), this.#total, this.#bar, this.#list, this.#more);

  /**
   * @param {Service[]} services
   * @param {Map<number, StateCounts>} counts
   */
  show(services, counts) {
    const all = /** @type {StateCounts} */ (Object.fromEntries(STATES.map((state) => [state, 0])));
    for (const one of counts.values()) for (const state of STATES) all[state] += one[state];
    const whole = sumOf(all);
    const says = t("overview.keys.total", { count: whole, active: all.active });
    if (this.#total.textContent !== says) this.#total.textContent = says;
    const parts = partsOf(all);
    const shown = parts.map((part) => `${part.state}${part.value}`).join();
    if (shown !== this.#shown) {
      this.#shown = shown;
      replace(this.#bar, whole > 0 && [shareBar(parts, t("overview.keys.title")), services.length > 1 && h("p", { class: "hint" }, parts.map((part) => `${number(part.value)} ${part.label}`).join(" · "))]);
    }
    this.#drawList(services, counts);
  }

  /**
   * @param {Service[]} services
   * @param {Map<number, StateCounts>} counts
   */
  #drawList(services, counts) {
    // By size: an order by trouble would have rows jump under the hand.
    const listed = services.filter((service) => counts.has(service.id)).map((service) => ({ service, counts: /** @type {StateCounts} */ (counts.get(service.id)) }))
      .sort((one, other) => sumOf(other.counts) - sumOf(one.counts) || one.service.id - other.service.id).slice(0, LISTED_MAX);
    for (const id of this.#rows.keys()) if (!listed.some(({ service }) => service.id === id)) this.#rows.delete(id);
    const elements = listed.map(({ service, counts: ofService }) => {
      let row = this.#rows.get(service.id);
      if (row === undefined) this.#rows.set(service.id, row = new PoolRow(service.id));
      row.show(service, ofService);
      return row.element;
    });
    if (elements.length !== this.#list.childElementCount || elements.some((element, index) => this.#list.children[index] !== element)) replace(this.#list, elements);
    if (services.length > LISTED_MAX !== this.#more.hasChildNodes()) replace(this.#more, services.length > LISTED_MAX && h("a", { href: address(["services"]) }, t("overview.keys.all")));
  }
}

/** One service's keys. Its links stay in the page while their numbers change. */
class PoolRow {
  #name;
  #bar = h("div");
  #links;
  #add;
  #shown = "";

  element;

  /** @param {number} id */
  constructor(id) {
    this.#name = h("a", { class: "plain-link", href: address(["services", id, "keys"]) });
    this.#links = STATES.map((state) => ({ state, element: h("a", { href: address(["services", id, "keys"], { state }), hidden: true }) }));
    this.#add = h("a", { href: address(["services", id, "keys"]), hidden: true }, t("overview.mend.addKeys"));
    this.element = h("li", {}, h("div", { class: "pool-head" }, h("h3", {}, this.#name), h("p", { class: "pool-states" }, this.#links.map(({ element }) => element), this.#add)), this.#bar);
  }

  /**
   * @param {Service} service
   * @param {StateCounts} counts
   */
  show(service, counts) {
    const shown = `${service.is_active}${STATES.map((state) => counts[state]).join()}${service.name}`;
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#name.textContent = service.is_active ? service.name : t("overview.keys.off", { name: service.name });
    const parts = partsOf(counts);
    replace(this.#bar, parts.length > 0 && shareBar(parts, t("overview.keys.of", { name: service.name })));
    this.#add.hidden = parts.length > 0;
    for (const { state, element } of this.#links) {
      element.hidden = counts[state] === 0;
      element.textContent = `${number(counts[state])} ${word("state", state)}`;
    }
  }
}

/** @param {StateCounts} counts */
const partsOf = (counts) => STATES.map((state) => ({ state, value: counts[state], label: word("state", state) })).filter((part) => part.value > 0);
