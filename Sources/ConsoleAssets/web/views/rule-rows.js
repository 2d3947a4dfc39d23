// SPDX-License-Identifier: MIT

import { h, replace, uniqueID } from "../core/dom.js";
import { t } from "../core/text.js";
import { button } from "../components/controls.js";

/** @typedef {import("../components/forms.js").Field} Field */

/**
 * Places of a rule, by their JSON pointers within the rule, with the fields that stand for them.
 *
 * @typedef {{place: string, field: Field}[]} Places
 */

/**
 * What one row of a list is made of.
 *
 * @template Value
 * @typedef {{element: HTMLElement, value: () => Value, places: Places}} Row
 */

/**
 * @template Value
 * @typedef {{row: Row<Value>, element: HTMLElement, legend: HTMLElement}} ShownRow
 */

/**
 * Any number of rows, in order, each a group of fields.
 *
 * @template Value
 */
export class RowList {
  #options;
  /** @type {ShownRow<Value>[]} */
  #rows = [];
  #list = h("div", { class: "stack" });
  #none;
  #add;

  element;

  /**
   * @param {object} options
   * @param {string} options.legend
   * @param {string} options.hint
   * @param {string} options.none What is said where there is no row.
   * @param {string} options.add
   * @param {(number: number) => string} options.rowLegend
   * @param {Value[]} options.rows
   * @param {Value} options.blank
   * @param {(value: Value, changed: () => void) => Row<Value>} options.make
   * @param {() => void} options.changed
   */
  constructor(options) {
    this.#options = options;
    const legendID = uniqueID();
    this.#none = h("p", { class: "quiet" }, options.none);
    this.#add = button(options.add, () => {
      const added = this.#insert(options.blank);
      this.#changed();
      /** @type {HTMLElement | null} */ (added.element.querySelector("select, input, textarea"))?.focus();
    }, { kind: "plain", icon: "plus" });
    this.element = h(
      "div", { class: "field", role: "group", "aria-labelledby": legendID }, h("span", { class: "label", id: legendID }, options.legend),
      h("p", { class: "hint" }, options.hint), this.#none, this.#list, h("div", {}, this.#add));
    for (const value of options.rows) this.#insert(value);
    this.#number();
  }

  /** @param {Value} value */
  #insert(value) {
    const row = this.#options.make(value, () => this.#options.changed());
    const legend = h("legend", {});
    /** @type {ShownRow<Value>} */
    const made = {
      row, legend,
      element: h(
        "fieldset", { class: "rule-part" }, legend, row.element,
        h(
          "div", { class: "row end" }, button("", () => this.#move(made, -1), { kind: "plain", icon: "up", label: t("rules.edit.up") }),
          button("", () => this.#move(made, 1), { kind: "plain", icon: "down", label: t("rules.edit.down") }),
          button(t("action.remove"), () => this.#remove(made), { kind: "plain", icon: "trash" }))),
    };
    this.#rows.push(made);
    this.#list.append(made.element);
    return made;
  }

  /** @param {ShownRow<Value>} made */
  #remove(made) {
    this.#rows = this.#rows.filter((other) => other !== made);
    made.element.remove();
    this.#changed();
    this.#add.focus();
  }

  /**
   * @param {ShownRow<Value>} made
   * @param {number} by
   */
  #move(made, by) {
    const from = this.#rows.indexOf(made), to = from + by;
    if (to < 0 || to >= this.#rows.length) return;
    const focused = /** @type {HTMLElement | null} */ (document.activeElement);
    this.#rows.splice(from, 1);
    this.#rows.splice(to, 0, made);
    this.#list.append(...this.#rows.map((row) => row.element));
    focused?.focus();
    this.#changed();
  }

  #changed() {
    this.#number();
    this.#options.changed();
  }

  #number() {
    this.#none.hidden = this.#rows.length > 0;
    this.#rows.forEach((row, index) => replace(row.legend, this.#options.rowLegend(index + 1)));
  }

  value() { return this.#rows.map(({ row }) => row.value()); }

  /**
   * @param {string} place
   * @returns {Places}
   */
  places(place) {
    return this.#rows.flatMap(({ row }, index) => row.places.filter(({ field }) => !field.element.hidden).map((one) => ({ place: `${place}/${index}${one.place}`, field: one.field })));
  }
}
