// SPDX-License-Identifier: MIT

import { h, icon, replace } from "../core/dom.js";
import { t } from "../core/text.js";
import { button, menuButton } from "../components/controls.js";
import { notify } from "../components/toasts.js";
import { canonical, ruleSentence, ruleWords } from "./rule-sentence.js";

/** @typedef {import("./rule-sentence.js").Rule} Rule */

/**
 * @typedef {object} RuleTableOptions
 * @property {Rule[]} defaults The rules that the format has: a rule that is one of them is marked so.
 * @property {boolean} marksOrigin Whether rules are marked as the format's or the service's own.
 * @property {((rules: Rule[]) => void) | null} changed Is given the table after a change; null where it cannot be changed.
 * @property {((index: number) => void) | null} edit
 * @property {((index: number) => void) | null} insert Adds a rule at a place.
 */

/** The rules of a table in their order, as sentences, each with what can be done to it. */
export class RuleTable {
  #options;
  /** @type {Rule[]} */
  #rules = [];
  #defaults;
  #search = "";
  #deciding = /** @type {number | null} */ (null);
  #fault = /** @type {{index: number, text: string} | null} */ (null);
  #list = h("ol", { class: "rules-list", "aria-label": t("rules.table") });
  #said = h("p", { class: "offscreen", role: "status" });

  element;

  /** @param {RuleTableOptions} options */
  constructor(options) {
    this.#options = options;
    this.#defaults = new Set(options.defaults.map((rule) => JSON.stringify(canonical(rule))));
    this.element = h("div", {}, this.#said, this.#list);
  }

  /** @param {Rule[]} rules */
  show(rules) {
    this.#rules = rules;
    this.#fault = null;
    this.#draw();
  }

  /**
   * Shows only rules that hold a text.
   *
   * @param {string} text
   */
  search(text) {
    this.#search = text.trim().toLowerCase();
    this.#draw();
  }

  /**
   * Marks the rule that decides about an answer; null: none.
   *
   * @param {number | null} index
   */
  mark(index) {
    this.#deciding = index;
    this.#draw();
  }

  /**
   * Shows what is wrong with a rule.
   *
   * @param {number} index
   * @param {string} text
   */
  refuse(index, text) {
    this.#fault = { index, text };
    this.#draw();
    this.focus(index);
  }

  /**
   * Brings a rule into sight and the focus to it.
   *
   * @param {number} index
   */
  focus(index) {
    const row = /** @type {HTMLElement | null} */ (this.#list.querySelector(`[data-index="${index}"]`));
    row?.scrollIntoView({ block: "nearest" });
    row?.focus({ preventScroll: true });
  }

  #draw() {
    const rows = this.#rules.map((rule, index) => this.#search === "" || ruleWords(rule).includes(this.#search) ? this.#row(rule, index) : null).filter((row) => row !== null);
    replace(this.#list, rows);
    if (rows.length === 0) replace(this.#list, h("li", { class: "quiet" }, t(this.#rules.length === 0 ? "rules.none" : "rules.noneFound")));
  }

  /**
   * @param {Rule} rule
   * @param {number} index
   */
  #row(rule, index) {
    const { marksOrigin, edit } = this.#options;
    const number = index + 1;
    const isDefault = this.#defaults.has(JSON.stringify(canonical(rule)));
    const isDeciding = this.#deciding === index;
    return h(
      "li", { class: `rule ${isDeciding ? "deciding" : ""}`, value: number, tabindex: -1, "aria-current": isDeciding ? "true" : null, data: { index: String(index) } },
      h("span", { class: "rule-number", "aria-hidden": "true" }, String(number)),
      h(
        "div", { class: "rule-body" }, ruleSentence(rule),
        h(
          "p", { class: "row rule-marks" }, h("code", { title: t("rules.reasonTitle") }, rule.reason),
          marksOrigin && h("span", { class: "tag", data: { origin: isDefault ? "format" : "own" } }, t(isDefault ? "rules.origin.format" : "rules.origin.own")),
          isDeciding && h("strong", { class: "rule-decides" }, icon("check"), t("rules.decides"))),
        this.#fault?.index === index && h("p", { class: "form-error", role: "alert" }, this.#fault.text)),
      edit !== null && this.#actions(index));
  }

  /** @param {number} index */
  #actions(index) {
    const { edit, insert } = this.#options;
    const number = index + 1, last = this.#rules.length - 1;
    return h(
      "div", { class: "rule-actions" },
      button("", () => this.#move(index, index - 1, "up"), { kind: "plain", icon: "up", label: t("rules.moveUp", { number }), disabled: index === 0 || this.#search !== "" }),
      button("", () => this.#move(index, index + 1, "down"), { kind: "plain", icon: "down", label: t("rules.moveDown", { number }), disabled: index === last || this.#search !== "" }),
      button(t("action.edit"), () => edit?.(index), { kind: "plain", label: t("rules.editOf", { number }) }),
      menuButton(t("rules.menu", { number }), [
        { label: t("rules.toTop"), press: () => this.#move(index, 0, "menu"), icon: "up" },
        { label: t("rules.toBottom"), press: () => this.#move(index, last, "menu"), icon: "down" },
        { label: t("rules.insertBefore"), press: () => insert?.(index), icon: "plus" },
        { label: t("rules.duplicate"), press: () => this.#change([...this.#rules.slice(0, number), structuredClone(this.#rules[index]), ...this.#rules.slice(number)]), icon: "copy" },
        { label: t("action.remove"), press: () => this.#remove(index), icon: "trash", kind: "danger" },
      ], { hidesLabel: true }));
  }

  /**
   * @param {number} from
   * @param {number} to
   * @param {"up" | "down" | "menu"} part What had been pressed: it keeps the focus, at the rule's new place.
   */
  #move(from, to, part) {
    if (to < 0 || to >= this.#rules.length || to === from) return;
    const rules = [...this.#rules];
    const [moved] = rules.splice(from, 1);
    rules.splice(to, 0, moved);
    this.#change(rules);
    this.focus(to);
    const buttons = /** @type {NodeListOf<HTMLButtonElement>} */ (this.#list.querySelectorAll(`[data-index="${to}"] .rule-actions button`));
    const wanted = part === "up" ? buttons[0] : part === "down" ? buttons[1] : buttons[3];
    // At the end of the way the button is off: the focus then goes to the other one.
    (wanted?.disabled ? [...buttons].find((one) => !one.disabled) : wanted)?.focus({ preventScroll: true });
    this.#said.textContent = t("rules.moved", { from: from + 1, to: to + 1 });
  }

  /** @param {number} index */
  #remove(index) {
    const before = this.#rules;
    this.#change(before.filter((_, other) => other !== index));
    this.focus(Math.min(index, this.#rules.length - 1));
    notify(t("rules.removed", { number: index + 1 }), { undo: () => this.#change(before) });
  }

  /** @param {Rule[]} rules */
  #change(rules) {
    this.show(rules);
    this.#options.changed?.(rules);
  }
}
