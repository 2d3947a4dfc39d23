// SPDX-License-Identifier: MIT

import { h } from "../core/dom.js";
import { address } from "../core/router.js";
import { t, word } from "../core/text.js";

/** @typedef {import("../core/types.js").Exchange} Exchange */
/** @typedef {import("../core/types.js").ExchangeTrace} ExchangeTrace */
/** @typedef {Pick<Exchange, "status" | "error_code" | "ending" | "is_failure" | "is_stream" | "service" | "service_id" | "client" | "client_id">} Outcome */

/**
 * How a request ended, in a few words; empty where its status says it all.
 *
 * @param {Outcome} exchange
 */
export function outcomeWords(exchange) {
  if (exchange.ending === "upstream_broke_off") return t("requests.ending.upstream_broke_off");
  if (exchange.error_code !== null) return word("requests.error", exchange.error_code);
  if (exchange.ending === "client_left" || exchange.status === 499) return t("requests.ending.client_left");
  return exchange.status >= 400 ? t("requests.byProvider") : "";
}

/**
 * The same with the status, for a sentence.
 *
 * @param {Outcome} exchange
 */
export function outcomeText(exchange) {
  const words = outcomeWords(exchange);
  return words === "" ? String(exchange.status) : t("requests.statusAndWords", { status: String(exchange.status), words });
}

/**
 * A status in the colour of what it means, with words where it alone does not say it.
 *
 * @param {Outcome} exchange
 */
export function statusElement(exchange) {
  const words = outcomeWords(exchange);
  const state = exchange.is_failure ? "failed" : exchange.ending !== "complete" || exchange.status === 499 ? "abandoned" : exchange.status >= 400 ? "warning" : "success";
  return h("span", { class: "request-status" }, h("span", { class: "badge", data: { state } }, String(exchange.status)), words !== "" && h("span", { title: words }, words));
}

/**
 * What happened to a request, in whole sentences, and what to do about it.
 *
 * @param {ExchangeTrace} exchange
 * @returns {{text: string, remedy: HTMLElement | null}}
 */
export function explanationOf(exchange) {
  const tried = exchange.attempt_count;
  const keys = exchange.service_id === null ? null : address(["services", exchange.service_id, "keys"]);
  const link = (/** @type {import("../core/text.js").TextKey} */ text, /** @type {string | null} */ href) => href === null ? null : h("a", { href }, t(text));
  if (exchange.ending === "upstream_broke_off") return { text: t("requests.explain.broke_off"), remedy: null };
  if (exchange.error_code !== null) {
    const text = word("requests.explain", exchange.error_code);
    // A newer server may have errors of which there is nothing more to say than their name.
    const isKnown = text !== exchange.error_code.replaceAll("_", " ");
    return { text: isKnown ? text : t("requests.explain.other", { code: exchange.error_code }), remedy: remedyOf(exchange, keys, link) };
  }
  if (exchange.status === 499) return { text: t(tried === 0 ? "requests.explain.left_first" : "requests.explain.left"), remedy: null };
  if (exchange.ending === "client_left") return { text: t("requests.explain.left_amid"), remedy: null };
  if (exchange.status >= 400) return { text: tried > 1 ? t("requests.explain.refused_all", { status: String(exchange.status), count: tried }) : t("requests.explain.refused", { status: String(exchange.status) }), remedy: null };
  return { text: tried > 1 ? t("requests.explain.answered_after", { count: tried }) : t("requests.explain.answered"), remedy: null };
}

/**
 * @param {ExchangeTrace} exchange
 * @param {string | null} keys
 * @param {(text: import("../core/text.js").TextKey, href: string | null) => HTMLElement | null} link
 */
function remedyOf(exchange, keys, link) {
  const settings = exchange.service_id === null ? null : address(["services", exchange.service_id, "settings"]);
  switch (exchange.error_code) {
    case "no_keys": return link("requests.mend.addKeys", keys);
    case "no_available_key": return link("requests.mend.seeKeys", keys);
    case "upstream_unreachable": case "upstream_timeout": case "upstream_invalid_response": case "method_not_allowed": return link("requests.mend.settings", settings);
    case "service_not_found": return link("requests.mend.services", address(["services"]));
    case "client_rate_limited": case "not_allowed": return link("requests.mend.client", exchange.client_id === null ? null : address(["clients", exchange.client_id]));
    default: return null;
  }
}
