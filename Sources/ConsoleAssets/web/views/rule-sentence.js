// SPDX-License-Identifier: MIT

import { h } from "../core/dom.js";
import { phrase, t, word } from "../core/text.js";
import { badge, button } from "../components/controls.js";

/** @typedef {import("../core/dom.js").Child} Child */

/**
 * What an upstream answer means for key and request, as the API writes it.
 *
 * @typedef {"success" | "rate_limited" | "exhausted" | "key_rejected" | "forbidden" | "upstream_failed"} Verdict
 * @typedef {"usual" | "key" | "model" | "group"} Scope
 * @typedef {"retry_after" | "reset_fields" | "midnight_pacific" | "month_start_utc" | {field: string} | {json: string}} RuleTime
 * @typedef {object} Condition One of its first five members makes its kind; beside `json` stands one test.
 * @property {string} [header]
 * @property {true} [says_when]
 * @property {string[]} [json]
 * @property {string[]} [says]
 * @property {string[]} [body_contains]
 * @property {true} [exists]
 * @property {string[]} [equals]
 * @property {string | string[]} [contains]
 * @property {string[]} [begins]
 * @property {number[]} [number]
 *
 * @typedef {object} Rule
 * @property {(number | string)[]} statuses
 * @property {Condition[]} [conditions]
 * @property {Verdict} verdict
 * @property {Scope} [scope]
 * @property {RuleTime[]} [until]
 * @property {string} reason
 */

/** @type {Verdict[]} */
export const VERDICTS = ["rate_limited", "exhausted", "key_rejected", "forbidden", "upstream_failed", "success"];
/** @type {Scope[]} */
export const SCOPES = ["usual", "key", "model", "group"];
/** Tests of a JSON value. */
export const TESTS = /** @type {const} */ (["equals", "contains", "begins", "number", "exists"]);

/** More alternatives than this are folded. */
const SHOWN = 4;

/**
 * Whether a verdict says what rests and until when.
 *
 * @param {Verdict} verdict
 */
export const hasRest = (verdict) => verdict === "rate_limited" || verdict === "exhausted";

/**
 * A rule as the server writes it, so that two that mean the same are the same text.
 *
 * @param {Rule} rule
 * @returns {Rule}
 */
export function canonical(rule) {
  const fold = (/** @type {string} */ text) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  const folded = (/** @type {any} */ value) => typeof value === "string" ? fold(value) : Array.isArray(value) ? value.map((one) => typeof one === "string" ? fold(one) : one) : value;
  const conditions = (rule.conditions ?? []).map((condition) => {
    /** @type {Record<string, any>} */
    const written = {};
    // A JSON pointer is the one text in which case counts.
    for (const member of ["header", "says_when", "json", "says", "body_contains", "exists", "equals", "contains", "begins", "number"]) {
      const value = /** @type {any} */ (condition)[member];
      if (value !== undefined) written[member] = member === "json" ? value : folded(value);
    }
    return written;
  });
  const until = (rule.until ?? []).map((time) => typeof time === "object" && "field" in time ? { field: fold(time.field) } : time);
  return /** @type {Rule} */ ({
    statuses: rule.statuses, conditions, verdict: rule.verdict, ...hasRest(rule.verdict) ? { scope: rule.scope ?? "usual", until } : {}, reason: rule.reason,
  });
}

/** @param {string} text */
const code = (text) => h("code", { class: "term" }, text);

/**
 * Alternatives, joined by “or”; many of them are folded.
 *
 * @param {Child[]} pieces
 * @returns {Child}
 */
function either(pieces) {
  const join = (/** @type {Child[]} */ some) => some.map((piece, index) => [index > 0 && ` ${t("rules.or")} `, piece]);
  if (pieces.length <= SHOWN + 1) return join(pieces);
  const folded = h("span", {}, join(pieces.slice(0, SHOWN)), " ");
  folded.append(button(t("rules.moreOf", { count: pieces.length - SHOWN }), () => {
    const rest = h("span", { tabindex: -1 }, ` ${t("rules.or")} `, join(pieces.slice(SHOWN)));
    folded.lastElementChild?.replaceWith(rest);
    rest.focus();
  }, { kind: "link" }));
  return folded;
}

/** @param {number | string} status */
const statusText = (status) => String(status).replace("-", "–");

/**
 * When a condition holds, as elements.
 *
 * @param {Condition} condition
 * @returns {Child}
 */
function conditionSentence(condition) {
  const quoted = (/** @type {readonly string[] | undefined} */ texts) => either((texts ?? []).map((text) => code(`“${text}”`)));
  if (condition.header !== undefined) {
    const header = code(condition.header);
    return typeof condition.contains === "string" ? phrase("rules.when.headerContains", { header, text: code(`“${condition.contains}”`) }) : phrase("rules.when.header", { header });
  }
  if (condition.says_when !== undefined) return phrase("rules.when.saysWhen", { header: code("Retry-After") });
  if (condition.says !== undefined) return phrase("rules.when.says", { texts: quoted(condition.says) });
  if (condition.body_contains !== undefined) return phrase("rules.when.body", { texts: quoted(condition.body_contains) });
  const places = either((condition.json ?? []).map((pointer) => code(pointer === "" ? t("rules.wholeBody") : pointer)));
  if (condition.exists !== undefined) return phrase("rules.when.exists", { places });
  if (condition.equals !== undefined) return phrase("rules.when.equals", { places, texts: quoted(condition.equals) });
  if (condition.begins !== undefined) return phrase("rules.when.begins", { places, texts: quoted(condition.begins) });
  if (condition.number !== undefined) return phrase("rules.when.number", { places, numbers: either(condition.number.map((one) => code(String(one)))) });
  return phrase("rules.when.contains", { places, texts: quoted(/** @type {string[] | undefined} */ (condition.contains)) });
}

/**
 * Where a time of return stands, as elements.
 *
 * @param {RuleTime} time
 * @returns {Child}
 */
function timeSentence(time) {
  if (typeof time === "string") return word("rules.time", time);
  return "field" in time ? phrase("rules.time.field", { field: code(time.field) }) : phrase("rules.time.json", { place: code(time.json === "" ? t("rules.wholeBody") : time.json) });
}

/**
 * @param {Rule} rule
 * @returns {Child}
 */
function restSentence(rule) {
  const scope = t(/** @type {any} */ (`rules.rests.${rule.verdict}.${rule.scope ?? "usual"}`));
  const times = rule.until ?? [];
  if (times.length === 0) return [scope, t("rules.comma"), t(rule.verdict === "exhausted" ? "rules.until.growsLong" : "rules.until.grows")];
  return [scope, t("rules.comma"), phrase("rules.until.first", { times: times.map((time, index) => [index > 0 && t("rules.until.else"), timeSentence(time)]) })];
}

/**
 * A rule as a sentence: when it holds, and what it then does.
 *
 * @param {Rule} rule
 */
export function ruleSentence(rule) {
  const statuses = either(rule.statuses.map((status) => h("strong", {}, statusText(status))));
  return h(
    "div", { class: "rule-sentence" },
    h(
      "p", { class: "rule-when" }, phrase("rules.when.status", { statuses }),
      (rule.conditions ?? []).map((condition) => [" ", h("span", { class: "rule-and" }, t("rules.and")), " ", conditionSentence(condition)])),
    h("p", { class: "rule-then" }, badge(rule.verdict, "rules.verdict"), " ", hasRest(rule.verdict) ? restSentence(rule) : t(/** @type {any} */ (`rules.then.${rule.verdict}`))));
}

/**
 * All words of a rule, to search in.
 *
 * @param {Rule} rule
 */
export function ruleWords(rule) {
  const { statuses, conditions = [], verdict, until = [], reason } = rule;
  return [statuses.join(" "), JSON.stringify(conditions), word("rules.verdict", verdict), verdict, JSON.stringify(until), reason].join(" ").toLowerCase();
}
