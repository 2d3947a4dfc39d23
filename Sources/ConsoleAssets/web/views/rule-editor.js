// SPDX-License-Identifier: MIT

import { ApiError, api } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { t } from "../core/text.js";
import { formDialog } from "../components/dialogs.js";
import { areaField, selectField, textField, tokensField } from "../components/forms.js";
import { RowList } from "./rule-rows.js";
import { canonical, hasRest, ruleSentence, SCOPES, TESTS, VERDICTS } from "./rule-sentence.js";

/** @typedef {import("../components/forms.js").Field} Field */
/** @typedef {import("./rule-sentence.js").Rule} Rule */
/** @typedef {import("./rule-sentence.js").Condition} Condition */
/** @typedef {import("./rule-sentence.js").RuleTime} RuleTime */

/** @typedef {import("./rule-rows.js").Places} Places */
/**
 * @template Value
 * @typedef {import("./rule-rows.js").Row<Value>} Row
 */

const CONDITION_KINDS = /** @type {const} */ (["json", "says", "header", "body_contains", "says_when"]);
const TIME_KINDS = /** @type {const} */ (["retry_after", "reset_fields", "field", "json", "midnight_pacific", "month_start_utc"]);

/** @param {string} text */
const linesOf = (text) => text.split("\n").map((line) => line.trim()).filter((line) => line !== "");

/**
 * Texts, one on each line: they may hold commas.
 *
 * @param {Parameters<typeof areaField>[0]} options
 */
function linesField(options) {
  const made = areaField({ rows: 2, isCode: true, ...options, value: options.value?.join("\n") });
  return { ...made, value: () => linesOf(made.value()) };
}

/**
 * Asks for a rule; null where it stays as it is. The server judges it before the dialog closes.
 *
 * @param {object} options
 * @param {string} options.title
 * @param {Rule} options.rule What it is at first.
 * @param {{service_id: number} | {api_format: string}} options.subject Whose rule it is to be.
 * @returns {Promise<Rule | null>}
 */
export function editRule(options) {
  const form = new RuleForm(options.rule);
  return formDialog({
    title: options.title, action: t("rules.edit.done"), shape: "wide", fields: form.element, validated: [form.field],
    submit: async () => {
      const rule = form.value();
      try {
        await api.post("/admin/rules/explain", { ...options.subject, status: 429, rules: [rule] });
      } catch (error) {
        if (error instanceof ApiError) {
          const fault = faultOf(error.message);
          if (fault !== null) {
            form.refuse(fault.place.replace(/^\/0/, ""), fault.reason);
            throw new Error(t("rules.edit.refused", { place: fault.place.replace(/^\/0/, "") || "/", reason: fault.reason }));
          }
        }
        throw error;
      }
      return rule;
    },
  });
}

/**
 * The place that the server says is wrong in a table, as a JSON pointer within the table; null where it names none.
 *
 * @param {string} detail
 * @returns {{place: string, reason: string} | null}
 */
export function faultOf(detail) {
  const found = /^“\/rules((?:\/[^”]*)?)” (.*)$/s.exec(detail);
  return found === null ? null : { place: found[1], reason: found[2] };
}

/** The fields of one rule. */
class RuleForm {
  #statuses;
  #conditions;
  #verdict;
  #scope;
  #times;
  #reason;
  #preview = h("div", { class: "rule-preview", role: "status" });
  #rest;

  element;
  /**
   * All of it as one field, for the dialog.
   *
   * @type {Field}
   */
  field;

  /** @param {Rule} rule */
  constructor(rule) {
    const changed = () => this.#show();
    this.#statuses = tokensField({
      label: t("rules.edit.statuses"), required: true, hint: t("rules.edit.statusesHint"), value: rule.statuses.map(String), isCode: true, onInput: changed,
      check: (/** @type {string[] | null} */ words) => words?.every((word) => /^[45]\d\d(-[45]\d\d)?$/.test(word)) === false ? t("rules.edit.statusesWrong") : null,
    });
    this.#conditions = new RowList({
      legend: t("rules.edit.conditions"), hint: t("rules.edit.conditionsHint"), none: t("rules.edit.noConditions"), add: t("rules.edit.addCondition"),
      rowLegend: (count) => t("rules.edit.condition", { number: count }),
      rows: rule.conditions ?? [], blank: /** @type {Condition} */ ({ says: [] }), make: conditionFields, changed,
    });
    this.#verdict = selectField({
      label: t("rules.edit.verdict"), value: rule.verdict, onInput: changed, options: VERDICTS.map((value) => ({ value, label: t(`rules.verdict.${value}`) })),
    });
    this.#scope = selectField({
      label: t("rules.edit.scope"), value: rule.scope ?? "usual", onInput: changed, options: SCOPES.map((value) => ({ value, label: t(`rules.scope.${value}`) })),
    });
    this.#times = new RowList({
      legend: t("rules.edit.until"), hint: t("rules.edit.untilHint"), none: t("rules.edit.noUntil"), add: t("rules.edit.addTime"),
      rowLegend: (count) => t("rules.edit.time", { number: count }),
      rows: rule.until ?? [], blank: /** @type {RuleTime} */ ("retry_after"), make: timeFields, changed,
    });
    this.#reason = textField({
      label: t("rules.edit.reason"), required: true, isCode: true, hint: t("rules.edit.reasonHint"), value: rule.reason, onInput: changed,
      check: (value) => /^[a-z0-9_]{1,64}$/.test(value) ? null : t("rules.edit.reasonWrong"),
    });
    this.#rest = h("div", { class: "stack" }, this.#scope.element, this.#times.element);
    this.element = h(
      "div", { class: "form" }, h("h3", {}, t("rules.edit.when")), this.#statuses.element, this.#conditions.element, h("h3", {}, t("rules.edit.then")),
      this.#verdict.element, this.#rest, this.#reason.element,
      h("h3", {}, t("rules.edit.reads")), this.#preview);
    this.field = {
      name: "", element: this.element, value: () => this.value(), set: () => {}, refuse: () => {},
      validate: () => this.#all().map(({ field }) => field.validate()).every(Boolean),
      // Whatever is wrong is marked by then.
      focus: () => /** @type {HTMLElement | null} */ (this.element.querySelector('[aria-invalid="true"]'))?.focus(),
    };
    this.#show();
  }

  /** @returns {Places} */
  #all() {
    const isResting = hasRest(this.#verdict.value());
    return [
      { place: "/statuses", field: this.#statuses }, ...this.#conditions.places("/conditions"), { place: "/verdict", field: this.#verdict },
      ...isResting ? [{ place: "/scope", field: this.#scope }, ...this.#times.places("/until")] : [], { place: "/reason", field: this.#reason },
    ];
  }

  /** @returns {Rule} */
  value() {
    return canonical({
      statuses: (this.#statuses.value() ?? []).map((/** @type {string} */ word) => word.includes("-") ? word : Number(word)), conditions: this.#conditions.value(),
      verdict: this.#verdict.value(),
      scope: this.#scope.value(), until: this.#times.value(), reason: this.#reason.value(),
    });
  }

  /**
   * Marks what the server does not take.
   *
   * @param {string} place
   * @param {string} reason
   */
  refuse(place, reason) {
    // The most exact of the places that hold it.
    const found = this.#all().filter((one) => place === one.place || place.startsWith(`${one.place}/`)).sort((one, other) => other.place.length - one.place.length)[0];
    found?.field.refuse(reason);
    found?.field.focus();
  }

  #show() {
    this.#rest.hidden = !hasRest(this.#verdict.value());
    replace(this.#preview, ruleSentence(this.value()));
  }
}

/**
 * @param {Condition} condition
 * @param {() => void} changed
 * @returns {Row<Condition>}
 */
function conditionFields(condition, changed) {
  const texts = [condition.says, condition.body_contains, condition.equals, condition.begins, condition.contains].find(Array.isArray) ?? [];
  const chosen = () => {
    show();
    changed();
  };
  const needed = (/** @type {() => boolean} */ isNeeded) => (/** @type {any} */ value) => isNeeded() && value.length === 0 ? t("field.required") : null;
  const kind = selectField({
    label: t("rules.edit.kind"), value: CONDITION_KINDS.find((one) => one in condition) ?? "says", onInput: chosen,
    options: CONDITION_KINDS.map((value) => ({ value, label: t(`rules.kind.${value}`) })),
  });
  const header = textField({ label: t("rules.edit.header"), isCode: true, value: condition.header, onInput: changed, check: needed(() => kind.value() === "header") });
  const part = textField({
    label: t("rules.edit.headerText"), isCode: true, value: typeof condition.contains === "string" ? condition.contains : "", hint: t("rules.edit.headerTextHint"), onInput: changed,
  });
  const pointers = linesField({
    label: t("rules.edit.pointers"), value: condition.json ?? ["/error/code"], hint: t("rules.edit.pointersHint"), onInput: changed,
    check: () => kind.value() === "json" && pointers.value().length === 0 ? t("field.required") : null,
  });
  const test = selectField({
    label: t("rules.edit.test"), value: TESTS.find((one) => one in condition) ?? "equals", onInput: chosen,
    options: TESTS.map((value) => ({ value, label: t(`rules.test.${value}`) })),
  });
  const words = linesField({
    label: t("rules.edit.texts"), value: texts, hint: t("rules.edit.textsHint"), onInput: changed, check: () => words.value().length === 0 ? t("field.required") : null,
  });
  const numbers = tokensField({
    label: t("rules.edit.numbers"), value: condition.number?.map(String), isCode: true, onInput: changed,
    check: (/** @type {string[] | null} */ values) => values === null ? t("field.required") : values.every((value) => /^-?\d{1,15}$/.test(value)) ? null : t("rules.edit.numbersWrong"),
  });
  function show() {
    const shown = kind.value(), asked = test.value();
    header.element.hidden = part.element.hidden = shown !== "header";
    pointers.element.hidden = test.element.hidden = shown !== "json";
    words.element.hidden = shown === "header" || shown === "says_when" || shown === "json" && (asked === "number" || asked === "exists");
    numbers.element.hidden = !(shown === "json" && asked === "number");
  }
  /** @returns {Condition} */
  const value = () => {
    switch (kind.value()) {
      case "header": return { header: header.value(), ...part.value() === "" ? {} : { contains: part.value() } };
      case "says_when": return { says_when: true };
      case "says": return { says: words.value() };
      case "body_contains": return { body_contains: words.value() };
      default: {
        const asked = test.value();
        return { json: pointers.value(), ...asked === "exists" ? { exists: true } : { [asked]: asked === "number" ? (numbers.value() ?? []).map(Number) : words.value() } };
      }
    }
  };
  const element = h(
    "div", { class: "stack" }, kind.element, h("div", { class: "columns" }, header.element, part.element, pointers.element, test.element, words.element, numbers.element));
  show();
  return {
    element, value,
    places: [
      { place: "", field: kind }, { place: "/header", field: header }, { place: "/contains", field: part }, { place: "/json", field: pointers }, { place: "/number", field: numbers },
      ...["/says", "/body_contains", "/equals", "/contains", "/begins"].map((place) => ({ place, field: words })),
    ],
  };
}

/**
 * @param {RuleTime} time
 * @param {() => void} changed
 * @returns {Row<RuleTime>}
 */
function timeFields(time, changed) {
  const chosen = () => {
    show();
    changed();
  };
  const kind = selectField({
    label: t("rules.edit.timeKind"), value: typeof time === "string" ? time : "field" in time ? "field" : "json", onInput: chosen,
    options: TIME_KINDS.map((value) => ({ value, label: t(`rules.timeKind.${value}`) })),
  });
  const field = textField({
    label: t("rules.edit.header"), isCode: true, value: typeof time === "object" && "field" in time ? time.field : "", onInput: changed,
    check: (value) => kind.value() === "field" && value === "" ? t("field.required") : null,
  });
  const pointer = textField({ label: t("rules.edit.pointer"), isCode: true, value: typeof time === "object" && "json" in time ? time.json : "", onInput: changed });
  function show() {
    field.element.hidden = kind.value() !== "field";
    pointer.element.hidden = kind.value() !== "json";
  }
  show();
  return {
    element: h("div", { class: "columns" }, kind.element, field.element, pointer.element),
    value: () => kind.value() === "field" ? { field: field.value() } : kind.value() === "json" ? { json: pointer.value() } : kind.value(),
    places: [{ place: "", field: kind }, { place: "/field", field }, { place: "/json", field: pointer }],
  };
}
