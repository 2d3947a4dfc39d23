// SPDX-License-Identifier: MIT

import { ApiError, api } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { JSONTextError, positionOf, readJSON } from "../core/json-text.js";
import { t } from "../core/text.js";
import { button } from "../components/controls.js";
import { areaField } from "../components/forms.js";
import { faultOf } from "./rule-editor.js";

/** @typedef {import("./rule-sentence.js").Rule} Rule */

/**
 * A table as JSON: a rule on a few lines each, since most of it is read, not written.
 *
 * @param {Rule[]} rules
 */
export function tableText(rules) {
  if (rules.length === 0) return "[]\n";
  const lines = rules.map((rule) => {
    const { conditions = [], ...rest } = rule;
    const { statuses, ...verdict } = rest;
    const flat = (/** @type {object} */ value) => JSON.stringify(value).slice(1, -1).replace(/^"statuses":/, '"statuses": ');
    const middle = conditions.length === 0 ? '"conditions": []' : `"conditions": [${conditions.map((condition) => `\n      ${JSON.stringify(condition)}`).join(",")}\n    ]`;
    return `  {\n    ${flat({ statuses })},\n    ${middle},\n    ${Object.entries(verdict).map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`).join(", ")}\n  }`;
  });
  return `[\n${lines.join(",\n")}\n]\n`;
}

/** A table as text that can be changed. Faults are shown with the line and the JSON pointer at which they stand. */
export class RuleText {
  #subject;
  #area;
  #message = h("div", { class: "json-fault", role: "alert" });

  element;

  /**
   * @param {{service_id: number} | {api_format: string}} subject
   * @param {(text: string) => void} changed
   */
  constructor(subject, changed) {
    this.#subject = subject;
    this.#area = areaField({ label: t("rules.json.label"), hint: t("rules.json.hint"), rows: 24, isCode: true, onInput: changed });
    this.#area.element.querySelector("textarea")?.setAttribute("wrap", "off");
    this.element = h("div", { class: "stack" }, this.#message, this.#area.element, h("div", { class: "row" }, button(t("rules.json.check"), async () => {
      if (await this.read() !== null) replace(this.#message, h("p", { class: "good" }, t("rules.json.fine")));
    }, { icon: "check" })));
  }

  get text() { return this.#area.value(); }
  set text(text) {
    this.#area.set(text);
    replace(this.#message);
  }

  focus() { this.#area.focus(); }

  /**
   * The table that the text spells; null where it is none, which is shown then. The server judges it; nothing is saved.
   *
   * @returns {Promise<Rule[] | null>}
   */
  async read() {
    replace(this.#message);
    const text = this.text;
    let read;
    try {
      read = readJSON(text);
    } catch (error) {
      if (!(error instanceof JSONTextError)) throw error;
      this.#show("", t("rules.json.syntax"), { start: error.offset, end: Math.min(text.length, error.offset + 1) });
      return null;
    }
    try {
      await api.post("/admin/rules/explain", { ...this.#subject, status: 429, rules: read.value });
      return read.value;
    } catch (error) {
      if (!this.refuse(error)) throw error;
      return null;
    }
  }

  /**
   * Shows what the server says is wrong.
   *
   * @param {unknown} error
   * @returns {boolean} Whether it is about the table.
   */
  refuse(error) {
    const fault = error instanceof ApiError ? faultOf(error.message) : null;
    if (fault === null) return false;
    let places;
    try {
      places = readJSON(this.text).places;
    } catch {
      places = new Map();
    }
    // A member that is missing has no place: the nearest that holds it has.
    let place = fault.place;
    while (!places.has(place) && place !== "") place = place.slice(0, place.lastIndexOf("/"));
    this.#show(fault.place === "" ? "/" : fault.place, fault.reason, places.get(place) ?? { start: 0, end: 0 });
    return true;
  }

  /**
   * @param {string} pointer
   * @param {string} reason
   * @param {{start: number, end: number}} range
   */
  #show(pointer, reason, range) {
    const { line, column } = positionOf(this.text, range.start);
    replace(
      this.#message,
      h(
        "div", { class: "form-error spread" }, h("p", {}, t("rules.json.at", { line, column }), " ", pointer !== "" && [h("code", {}, pointer), " "], reason),
        button(t("rules.json.go"), () => this.#select(range))));
  }

  /**
   * Brings a rule into sight and the focus to it.
   *
   * @param {number} index
   */
  show(index) {
    const range = readJSON(this.text).places.get(`/${index}`);
    if (range !== undefined) this.#select(range);
  }

  /** @param {{start: number, end: number}} range */
  #select(range) {
    const area = /** @type {HTMLTextAreaElement} */ (this.#area.element.querySelector("textarea"));
    area.focus();
    area.setSelectionRange(range.start, range.end);
    // A selection alone does not scroll to itself.
    area.scrollTop = Math.max(0, (positionOf(this.text, range.start).line - 4) * parseFloat(getComputedStyle(area).lineHeight));
  }
}
