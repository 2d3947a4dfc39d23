// SPDX-License-Identifier: MIT

import { h, icon, replace } from "../core/dom.js";
import { number, percent, timeElement } from "../core/format.js";
import { address } from "../core/router.js";
import { phrase, t, word } from "../core/text.js";
import { button } from "../components/controls.js";
import { levelOf } from "../components/meters.js";
import { STATES, sumOf } from "./overview-pools.js";
import { isTrialKey } from "./trial-key.js";

/** @typedef {import("../core/types.js").Client} Client */
/** @typedef {import("../core/types.js").Service} Service */
/** @typedef {import("../core/types.js").Stats} Stats */
/** @typedef {import("../core/dom.js").Child} Child */
/** @typedef {import("./overview-pools.js").StateCounts} StateCounts */

/**
 * What is known of the server; null where it is not known yet.
 *
 * @typedef {object} Facts
 * @property {Service[]} services
 * @property {Map<number, StateCounts>} pools
 * @property {Client[]} clients
 * @property {Stats | null} fiveMinutes
 * @property {Map<number, string>} reasons What the latest failed request of a service failed of, in words.
 * @property {number} strayRequests Of the last five minutes, to services that are switched off or do not exist.
 * @property {boolean | null} isStoreUp
 *
 * @typedef {object} Remedies
 * @property {(service: Service, count: number) => unknown} deleteInvalid
 * @property {(service: Service, count: number) => unknown} enableKeys
 * @property {(service: Service) => unknown} switchOn
 *
 * @typedef {object} Concern
 * @property {string} id
 * @property {"danger" | "warning" | "notice"} level
 * @property {string} signature Differs where it has to be drawn anew.
 * @property {() => Child} sentence
 * @property {() => Child[]} remedies
 */

const DAY = 86_400_000;
/** Below this share of successes, with this many failures, a service is failing. */
const SUCCESS_ENOUGH = 0.9;
const FAILURES_ENOUGH = 3;
/** A pool is low when no more than this part of its keys can be used. */
const LOW_SHARE = 0.25;
const EXPIRY_SOON = 7 * DAY;
/** A client key that expired long ago is in nobody's way any more. */
const EXPIRY_TOLD = 7 * DAY;
const SHOWN_AT_ONCE = 6;
const LEVELS = /** @type {const} */ (["danger", "warning", "notice"]);

/**
 * What needs somebody, the most urgent first.
 *
 * @param {Facts} facts
 * @param {Remedies} remedies
 * @returns {Concern[]}
 */
export function concernsOf(facts, remedies) {
  const concerns = [
    ...ofServer(facts, remedies),
    ...facts.services.filter((service) => service.is_active).flatMap((service) => ofService(service, facts, remedies)),
    ...facts.clients.flatMap((client) => ofClient(client)),
  ];
  return LEVELS.flatMap((level) => concerns.filter((concern) => concern.level === level));
}

/**
 * @param {string} id
 * @param {Concern["level"]} level
 * @param {unknown[]} values What the sentence says.
 * @param {() => Child} sentence
 * @param {() => Child[]} remedies
 * @returns {Concern}
 */
const concern = (id, level, values, sentence, remedies) => ({ id, level, signature: JSON.stringify([level, ...values]), sentence, remedies });

/**
 * @param {string} label
 * @param {string} href
 */
const linkButton = (label, href) => h("a", { class: "button", href }, label);

/** @param {Service} service */
const serviceLink = (service) => h("a", { href: address(["services", service.id]) }, service.name);

/**
 * @param {Facts} facts
 * @param {Remedies} remedies
 * @returns {Concern[]}
 */
function ofServer({ isStoreUp, strayRequests, services, fiveMinutes }, remedies) {
  const concerns = [];
  if (isStoreUp === false) concerns.push(concern("store", "danger", [], () => t("overview.need.store"), () => [linkButton(t("overview.mend.health"), address(["settings", "general"]))]));
  if (strayRequests > 0) {
    const off = services.filter((service) => !service.is_active).slice(0, 2);
    concerns.push(concern(
      "stray", "danger", [strayRequests, off.map(({ id, name }) => [id, name])],
      () => t(off.length > 0 ? "overview.need.strayOff" : "overview.need.stray", { count: strayRequests }),
      () => [...off.map((service) => button(t("overview.mend.switchOn", { name: service.name }), () => remedies.switchOn(service))), linkButton(t("overview.mend.seeRequests"), address(["requests"], { status: 404, last: "1h" }))]));
  }
  const dropped = fiveMinutes === null ? [] : Object.entries(fiveMinutes.dropped).filter(([, count]) => count > 0);
  if (dropped.length > 0) {
    concerns.push(concern(
      "dropped", "notice", dropped, () => t("overview.need.dropped", { what: dropped.map(([what, count]) => t(/** @type {any} */ (`overview.dropped.${what}`), { count })).join(t("overview.comma")) }),
      () => [linkButton(t("overview.mend.health"), address(["settings", "general"]))]));
  }
  return concerns;
}

/**
 * @param {Service} service
 * @param {Facts} facts
 * @param {Remedies} remedies
 * @returns {Concern[]}
 */
function ofService(service, { pools, fiveMinutes, reasons }, remedies) {
  /** @type {Concern[]} */
  const concerns = [];
  const keys = address(["services", service.id, "keys"]);
  const stateHref = (/** @type {string} */ state) => address(["services", service.id, "keys"], { state });
  const add = (/** @type {string} */ kind, /** @type {Concern["level"]} */ level, /** @type {unknown[]} */ values, /** @type {() => Child} */ sentence, /** @type {() => Child[]} */ mend) =>
    concerns.push(concern(`${kind} ${service.id}`, level, [service.name, ...values], sentence, mend));
  const counts = pools.get(service.id);
  let isPoolTheCause = false, isLow = false;
  if (counts !== undefined) {
    const count = sumOf(counts), enabled = count - counts.disabled;
    const resting = STATES.filter((state) => state !== "active" && counts[state] > 0);
    const states = resting.map((state) => t("overview.countState", { count: counts[state], state: word("state", state) })).join(t("overview.comma"));
    if (count === 0) {
      add("noKeys", "danger", [], () => phrase("overview.need.noKeys", { service: serviceLink(service) }), () => [linkButton(t("overview.mend.addKeys"), keys)]);
    } else if (enabled === 0) {
      add("off", "danger", [count], () => phrase("overview.need.allOff", { service: serviceLink(service) }, { count }), () => [
        button(t("overview.mend.enable"), () => remedies.enableKeys(service, count)), linkButton(t("overview.mend.seeKeys"), stateHref("disabled"))]);
    } else if (counts.active === 0) {
      add("none", "danger", [states], () => phrase("overview.need.noneUsable", { service: serviceLink(service) }, { states }), () => [linkButton(t("overview.mend.why"), keys), linkButton(t("overview.mend.addKeys"), keys)]);
    } else if (enabled > 1 && counts.active / enabled <= LOW_SHARE) {
      isLow = true;
      add("low", "warning", [counts.active, enabled, states], () => phrase("overview.need.low", { service: serviceLink(service) }, { active: counts.active, count: enabled, states }), () => [linkButton(t("overview.mend.why"), keys)]);
    }
    isPoolTheCause = counts.active === 0;
    if (counts.invalid > 0) {
      add("invalid", "warning", [counts.invalid], () => phrase("overview.need.invalid", { service: serviceLink(service) }, { count: counts.invalid }), () => [
        linkButton(t("overview.mend.see"), stateHref("invalid")), button(t("overview.mend.delete"), () => remedies.deleteInvalid(service, counts.invalid))]);
    }
    if (counts.exhausted > 0 && !isPoolTheCause && !isLow) {
      add("exhausted", "notice", [counts.exhausted], () => phrase("overview.need.exhausted", { service: serviceLink(service) }, { count: counts.exhausted }), () => [linkButton(t("overview.mend.see"), stateHref("exhausted"))]);
    }
  }
  const tally = fiveMinutes?.services.find((one) => one.service_id === service.id);
  // A pool that cannot be used says why already.
  if (tally !== undefined && !isPoolTheCause && isFailing(tally)) {
    const reason = reasons.get(service.id);
    add(
      "failing", "danger", [tally.failures, tally.requests, reason],
      () => [phrase("overview.need.failing", { service: serviceLink(service) }, { share: percent(tally.failures / tally.requests), failures: number(tally.failures), count: tally.requests }), reason !== undefined && [" ", t("overview.need.latest", { reason })]],
      () => [linkButton(t("overview.mend.seeRequests"), address(["requests"], { service: service.slug, failed: "true" }))]);
  }
  return concerns;
}

/**
 * Whether so many requests fail that somebody should look.
 *
 * @param {{failures: number, success_rate: number | null}} tally
 */
export const isFailing = (tally) => tally.failures >= FAILURES_ENOUGH && (tally.success_rate ?? 1) < SUCCESS_ENOUGH;

/**
 * @param {Client} client
 * @returns {Concern[]}
 */
function ofClient(client) {
  if (!client.is_active) return [];
  /** @type {Concern[]} */
  const concerns = [];
  const href = address(["clients", client.id]);
  const link = () => h("a", { href }, client.name);
  const { monthly_token_budget: budget, expires_at: expiry } = client;
  const used = client.usage.tokens_this_month;
  if (budget !== null && levelOf(used, budget) !== "fine") {
    const isOver = used >= budget, share = percent(used / budget);
    concerns.push(concern(
      `budget ${client.id}`, isOver ? "danger" : "warning", [client.name, isOver, isOver || share], () => phrase(isOver ? "overview.need.overBudget" : "overview.need.nearBudget", { client: link() }, { share }),
      () => [linkButton(t("overview.mend.budget"), href)]));
  }
  if (expiry !== null && !isTrialKey(client)) {
    const left = Date.parse(expiry) - Date.now();
    if (left <= EXPIRY_SOON && left > -EXPIRY_TOLD) {
      const isOver = left <= 0;
      concerns.push(concern(
        `expiry ${client.id}`, isOver ? "danger" : "warning", [client.name, isOver, expiry],
        () => phrase(isOver ? "overview.need.expired" : "overview.need.expires", { client: link(), when: timeElement(expiry) }), () => [linkButton(t("overview.mend.extend"), href)]));
    }
  }
  return concerns;
}

/** The list of what needs somebody. A sentence that stays is not drawn anew, so that its button stays under the hand. */
export class AttentionList {
  #heading = h("h2", { id: "overview-attention", tabindex: -1 });
  #list = h("ul", { class: "concerns" });
  #well = h("p", { class: "all-well" });
  #more = h("p");
  /** @type {Map<string, {signature: string, element: HTMLElement}>} */
  #drawn = new Map();
  #showsAll = false;
  #shown = "";

  element = h("section", { class: "card attention", "aria-labelledby": "overview-attention" }, this.#heading, this.#list, this.#more, this.#well);

  /**
   * @param {Concern[]} concerns
   * @param {string} allWell What is said where nothing needs anybody.
   */
  show(concerns, allWell) {
    const shown = this.#showsAll ? concerns : concerns.slice(0, SHOWN_AT_ONCE);
    const hadFocus = this.element.contains(document.activeElement);
    const focusedIn = [...this.#drawn.values()].find(({ element }) => element.contains(document.activeElement))?.element;
    const focusedButton = focusedIn === undefined ? -1 : buttonsOf(focusedIn).indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const elements = shown.map((one) => {
      const before = this.#drawn.get(one.id);
      if (before?.signature === one.signature) return before.element;
      const element = before?.element ?? h("li");
      element.dataset.level = one.level;
      replace(
        element, icon("warning"), h("p", {}, h("span", { class: "offscreen" }, t(`overview.level.${one.level}`)), " ", one.sentence()), h("div", { class: "row end" }, one.remedies()));
      this.#drawn.set(one.id, { signature: one.signature, element });
      return element;
    });
    for (const id of this.#drawn.keys()) if (!shown.some((one) => one.id === id)) this.#drawn.delete(id);
    if (elements.length !== this.#list.childElementCount || elements.some((element, index) => this.#list.children[index] !== element)) replace(this.#list, elements);
    const state = `${concerns.length} ${shown.length} ${concerns.length === 0 ? allWell : ""}`;
    if (state !== this.#shown) {
      this.#shown = state;
      this.element.classList.toggle("well", concerns.length === 0);
      this.#list.hidden = concerns.length === 0;
      replace(this.#heading, concerns.length === 0 ? t("overview.well") : t("overview.attention", { count: concerns.length }));
      replace(this.#well, concerns.length === 0 && [icon("check"), allWell]);
      this.#well.hidden = concerns.length > 0;
      this.#more.hidden = concerns.length <= SHOWN_AT_ONCE;
      replace(this.#more, concerns.length > SHOWN_AT_ONCE && button(this.#showsAll ? t("overview.showFewer") : t("overview.showAll", { count: concerns.length }), () => {
        this.#showsAll = !this.#showsAll;
        this.show(concerns, allWell);
      }, { kind: "link" }));
    }
    if (hadFocus && !this.element.contains(document.activeElement)) {
      const next = focusedIn?.isConnected ? buttonsOf(focusedIn)[focusedButton] : undefined;
      (next ?? this.#heading).focus({ preventScroll: true });
    }
  }
}

/** @param {HTMLElement} element */
const buttonsOf = (element) => /** @type {HTMLElement[]} */ ([...element.querySelectorAll("a, button")]);
