// SPDX-License-Identifier: MIT

import { h } from "../core/dom.js";
import { dateTime } from "../core/format.js";
import { currentLanguage, phrase, t } from "../core/text.js";

/** @typedef {import("../core/dom.js").Child} Child */

/**
 * What an explanation says of key and request, clause by clause: the server lives through the answer and tells in English what happened. Each clause that is
 * known here has a text of the console's own; one that is not stands as the server wrote it.
 *
 * @type {[RegExp, import("../core/text.js").TextKey][]}
 */
const CLAUSES = [
  [/^The key has done its work: a row of failures ends\.$/, "rules.effect.success"],
  [/^Nothing is learned of the key\.$/, "rules.effect.nothing"],
  [/^The key does not rest: the time that the provider gives has come\.$/, "rules.effect.noRest"],
  [/^Nothing for the first time; (?<limit>\d+) in a row open the key's circuit for (?<first>\d+ \w+) doubling to (?<last>\d+ \w+), then one trial decides\.$/, "rules.effect.circuit"],
  [/^The key rests for the model “(?<model>.*)” alone until (?<until>\S+?)(?<more>[,;].*)?\.$/s, "rules.effect.model"],
  [/^The key is exhausted (?:for every model )?until (?<until>\S+?)(?<more>[,;].*)?\.$/, "rules.effect.exhausted"],
  [/^The key is cooling (?:for every model )?until (?<until>\S+?)(?<more>[,;].*)?\.$/, "rules.effect.cooling"],
  [/^, and so does every key of its quota group where one is known(?<more>;.*)?$/, "rules.effect.group"],
  [/^; the provider gives no time, so it is (?<first>\d+ \w+) doubling to (?<last>\d+ \w+) with each in a row$/, "rules.effect.grows"],
  [/^; (?<first>\d+ \w+) doubling to (?<last>\d+ \w+) with each in a row, and the key never becomes invalid by it$/, "rules.effect.forbidden"],
  [/^; (?<first>\d+ \w+) doubling to (?<last>\d+ \w+), and the third in a row without a success makes it invalid, unless every key of the service fails so$/, "rules.effect.rejected"],
  [/^GET, HEAD, OPTIONS, PUT and DELETE: (?<safe>.*)\. Other methods: (?<other>.*)\.$/, "rules.effect.methods"],
  [/^the answer is passed on to the client$/i, "rules.effect.passOn"],
  [/^the next key is tried at once; where no key or attempt is left, the client gets this answer$/i, "rules.effect.next"],
  [/^the next key is tried after a pause of at most (?<pause>\d+) ms; where no key or attempt is left, the client gets this answer$/i, "rules.effect.nextLater"],
  [/^the client gets this answer, since “replay” lets nothing be sent again that the upstream may have processed$/i, "rules.effect.noReplay"],
  [/^the client gets an error of the rotator's own$/i, "rules.effect.error"],
];

/** Which parameters are clauses themselves. */
const NESTED = new Set(["more", "safe", "other"]);

/**
 * A length such as “60 s” or “1 h”, as the language writes it.
 *
 * @param {string} text
 */
function lengthOf(text) {
  const [amount, unit] = text.split(" ");
  return unit === "h" ? t("rules.effect.hours", { count: Number(amount) }) : unit === "s" ? t("rules.effect.seconds", { count: Number(amount) }) : text;
}

/**
 * @param {string} clause
 * @returns {Child}
 */
function clauseOf(clause) {
  for (const [pattern, key] of CLAUSES) {
    const groups = pattern.exec(clause)?.groups;
    if (groups === undefined && !pattern.test(clause)) continue;
    /** @type {Record<string, Child>} */
    const parts = { more: "" };
    for (const [name, text] of Object.entries(groups ?? {})) {
      if (text === undefined) continue;
      parts[name] = NESTED.has(name) ? clauseOf(text) : name === "until" ? h("time", { datetime: text }, dateTime(text)) : name === "first" || name === "last" ? lengthOf(text) : text;
    }
    return phrase(key, parts);
  }
  return h("span", { lang: currentLanguage() === "en" ? null : "en" }, clause);
}

/**
 * A sentence of an explanation in the present language, its times in the browser's zone.
 *
 * @param {string} sentence
 * @returns {Child}
 */
export function effectSentence(sentence) {
  const whole = clauseOf(sentence);
  // The effect on a request is one clause as a sentence: a capital before it, a full stop behind it.
  if (Array.isArray(whole)) return whole;
  const clause = clauseOf(sentence.replace(/\.$/, ""));
  return Array.isArray(clause) ? clause : whole;
}
