// SPDX-License-Identifier: MIT

import en from "../text/en.js";
import zh from "../text/zh.js";
import { preferences } from "./preferences.js";

/** @typedef {keyof typeof en} TextKey */
/** @typedef {"en" | "zh"} Language */

/** @type {Record<Language, {locale: string, texts: Record<TextKey, string>, plural: Intl.PluralRules}>} */
const LANGUAGES = {
  en: { locale: "en", texts: en, plural: new Intl.PluralRules("en") },
  zh: { locale: "zh-CN", texts: zh, plural: new Intl.PluralRules("zh-CN") },
};

/** @returns {Language} */
function first() {
  const wanted = preferences.get("language") ?? navigator.language;
  return wanted.toLowerCase().startsWith("zh") ? "zh" : "en";
}

let language = first();

/** The language that texts are in. */
export const currentLanguage = () => language;

/** The language as `Intl` names it. */
export const locale = () => LANGUAGES[language].locale;

/**
 * Sets and keeps the language. Whoever shows texts has to show them anew.
 *
 * @param {Language} wanted
 */
export function setLanguage(wanted) {
  language = wanted;
  preferences.set("language", wanted);
  document.documentElement.lang = locale();
}

document.documentElement.lang = locale();

/**
 * The text of a key in the present language. `{name}` stands for a parameter; where a text has the forms `one|other`, the parameter `count` chooses.
 * Numbers are written as the language writes them.
 *
 * @param {TextKey} key
 * @param {Record<string, string | number>} [parameters]
 * @returns {string}
 */
export function t(key, parameters = {}) {
  const { texts, plural, locale: tag } = LANGUAGES[language];
  let text = texts[key];
  const count = parameters.count;
  if (typeof count === "number" && text.includes("|")) {
    const [one, other] = text.split("|");
    text = plural.select(count) === "one" ? one : other;
  }
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = parameters[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? value.toLocaleString(tag) : value;
  });
}

/**
 * The pieces of a text some of whose parameters are elements, in their order.
 *
 * @param {TextKey} key
 * @param {Record<string, import("./dom.js").Child>} elements
 * @param {Record<string, string | number>} [parameters]
 * @returns {import("./dom.js").Child[]}
 */
export function phrase(key, elements, parameters = {}) {
  return t(key, parameters).split(/(\{\w+\})/).map((piece) => {
    const name = piece.slice(1, -1);
    return piece.startsWith("{") && name in elements ? elements[name] : piece;
  });
}

/**
 * The text of a word that the server uses, such as a key's state; the word itself where there is none, as a newer server may use more of them.
 *
 * @param {string} prefix
 * @param {string} word
 * @returns {string}
 */
export function word(prefix, word) {
  const key = `${prefix}.${word}`;
  return key in LANGUAGES[language].texts ? t(/** @type {TextKey} */ (key)) : word.replaceAll("_", " ");
}
