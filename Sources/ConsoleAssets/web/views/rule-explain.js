// SPDX-License-Identifier: MIT

import { api } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { countdown, dateTime } from "../core/format.js";
import { phrase, t } from "../core/text.js";
import { badge, button, menuButton } from "../components/controls.js";
import { areaField, numberField, section, textField } from "../components/forms.js";
import { isAnswer, parseAnswer, parseHeaders } from "./rule-answer.js";
import { effectSentence } from "./rule-effects.js";
import { faultOf } from "./rule-editor.js";

/** @typedef {import("./rule-sentence.js").Rule} Rule */

/**
 * @typedef {object} RuleExplanation
 * @property {import("./rule-sentence.js").Verdict} outcome
 * @property {string | null} reason
 * @property {string | null} until
 * @property {Rule | null} rule
 * @property {number | null} rule_index
 * @property {string} key_effect
 * @property {string} request_effect
 */

const BODY_MAX = 65_536;

/**
 * Answers of providers to try with.
 *
 * @type {{label: string, text: string}[]}
 */
const EXAMPLES = [
  {
    label: "OpenAI · 429 rate_limit_exceeded",
    text: 'HTTP/2 429\nretry-after: 20\nx-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 20s\n\n'
      + '{"error": {"message": "Rate limit reached for gpt-4o", "type": "requests", "param": null, "code": "rate_limit_exceeded"}}',
  },
  {
    label: "OpenAI · 429 insufficient_quota",
    text: 'HTTP/2 429\ncontent-type: application/json\n\n'
      + '{"error": {"message": "You exceeded your current quota, please check your plan and billing details.", "type": "insufficient_quota", "code": "insufficient_quota"}}',
  },
  {
    label: "Anthropic · 529 overloaded_error", text: 'HTTP/2 529\ncontent-type: application/json\n\n{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}',
  },
  {
    label: "Gemini · 400 API_KEY_INVALID",
    text: 'HTTP/2 400\ncontent-type: application/json\n\n{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", '
      + '"status": "INVALID_ARGUMENT", "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]}}',
  },
  { label: "503 Service Unavailable", text: "HTTP/1.1 503 Service Unavailable\nRetry-After: 30\n\n" },
];

/** What an upstream answer that somebody has pasted would bring about, by the table as it stands in the editor. */
export class RuleExplainer {
  #subject;
  #table;
  #decided;
  #show;
  #whole;
  #status;
  #headers;
  #body;
  #model;
  #message = h("div", { class: "form-error", role: "alert" });
  #taken = h("p", { class: "hint", role: "status" });
  #result = h("div", { class: "explanation", role: "status" });
  /** Counts what was asked: the answer to an older question is not shown. */
  #asked = 0;
  #hasAsked = false;
  #fold;

  element;

  /**
   * @param {object} options
   * @param {{service_id: number} | {api_format: string}} options.subject
   * @param {() => Rule[] | null} options.table The table to judge by; null: the one in force.
   * @param {(index: number | null) => void} options.decided Is told which rule decides.
   * @param {(index: number) => void} options.show Shows a rule of the table.
   */
  constructor(options) {
    this.#subject = options.subject;
    this.#table = options.table;
    this.#decided = options.decided;
    this.#show = options.show;
    const spread = (/** @type {string} */ text) => { if (isAnswer(text)) this.#takeApart(text); };
    this.#whole = areaField({
      label: t("rules.explain.whole"), hint: t("rules.explain.wholeHint"), rows: 4, isCode: true, placeholder: "HTTP/2 429\nretry-after: 20\n\n{\"error\": …}", onInput: spread,
    });
    this.#status = numberField({ label: t("rules.explain.status"), required: true, min: 200, max: 599, value: 429 });
    this.#model = textField({ label: t("rules.explain.model"), hint: t("rules.explain.modelHint"), isCode: true, value: "" });
    this.#headers = areaField({
      label: t("rules.explain.headers"), hint: t("rules.explain.headersHint"), rows: 3, isCode: true, placeholder: "Retry-After: 20", onInput: spread,
      check: (value) => {
        const { wrong } = parseHeaders(value);
        return wrong === null ? null : t("rules.explain.headerWrong", { line: wrong.slice(0, 80) });
      },
    });
    this.#body = areaField({
      label: t("rules.explain.body"), rows: 4, isCode: true, onInput: spread, check: (value) => new TextEncoder().encode(value).length > BODY_MAX ? t("rules.explain.bodyLong") : null,
    });
    this.#fold = section(t("rules.explain.paste"), this.#whole.element);
    this.#fold.open = true;
    this.element = h(
      "section", { class: "card explain", "aria-labelledby": "explain-title" }, h("h2", { id: "explain-title" }, t("rules.explain.title")),
      h("p", { class: "hint" }, t("rules.explain.intro")),
      h("form", { class: "form", novalidate: true, on: { submit: (/** @type {Event} */ event) => {
        event.preventDefault();
        void this.#ask(true);
      } } },
      this.#fold, this.#taken, h("div", { class: "columns" }, this.#status.element, this.#model.element), this.#headers.element, this.#body.element, this.#message,
      h("div", { class: "row" }, button(t("rules.explain.action"), () => {}, { kind: "primary", type: "submit" }), menuButton(t("rules.explain.examples"), EXAMPLES.map((example) => ({
        label: example.label, press: () => {
          this.#takeApart(example.text);
          return this.#ask(true);
        },
      })), { icon: "down" }))),
      this.#result);
  }

  /** Brings it into sight and the focus to it. */
  focus() {
    this.element.scrollIntoView({ block: "start" });
    (this.#fold.open ? this.#whole : this.#status).focus();
  }

  /** Asks once more, since the table has changed. */
  tableChanged() {
    if (this.#hasAsked) void this.#ask(false);
  }

  /** @param {string} text */
  #takeApart(text) {
    const answer = parseAnswer(text);
    if (answer === null) return;
    this.#status.set(answer.status);
    this.#headers.set(answer.headers.map(({ name, value }) => `${name}: ${value}`).join("\n"));
    this.#body.set(answer.body);
    this.#whole.set("");
    // Its fields are to be seen now.
    this.#fold.open = false;
    replace(this.#taken, t("rules.explain.taken", { status: String(answer.status), count: answer.headers.length, length: answer.body.length }));
  }

  /** @param {boolean} isAskedByHand Then a fault gets the focus. */
  async #ask(isAskedByHand) {
    this.#asked += 1;
    const mine = this.#asked;
    this.#hasAsked = true;
    replace(this.#message);
    const wrong = [this.#status, this.#headers, this.#body].filter((field) => !field.validate());
    if (wrong.length > 0) {
      if (isAskedByHand) wrong[0].focus();
      return;
    }
    try {
      const rules = this.#table();
      /** @type {RuleExplanation} */
      const explanation = await api.post("/admin/rules/explain", {
        ...this.#subject, status: this.#status.value(), headers: parseHeaders(this.#headers.value()).headers, body: this.#body.value(), model: this.#model.value() || null,
        ...rules === null ? {} : { rules },
      });
      if (mine !== this.#asked) return;
      this.#explain(explanation);
      if (isAskedByHand) this.#result.scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (mine !== this.#asked) return;
      const fault = error instanceof Error ? faultOf(error.message) : null;
      replace(this.#result);
      replace(this.#message, fault === null ? error instanceof Error ? error.message : String(error) : t("rules.explain.tableWrong", { place: fault.place, reason: fault.reason }));
      this.#decided(null);
    }
  }

  /** @param {RuleExplanation} explanation */
  #explain(explanation) {
    const index = explanation.rule_index;
    replace(
      this.#result, h("h3", {}, t("rules.explain.result")),
      index === null
        ? h("p", {}, badge("success", "rules.verdict"), " ", t("rules.explain.noRule"))
        : h(
          "p", { class: "row" }, badge(explanation.outcome, "rules.verdict"),
          button(t("rules.explain.rule", { number: index + 1 }), () => this.#show(index), { kind: "link" }),
          h("code", {}, explanation.reason ?? explanation.rule?.reason ?? "")),
      h(
        "dl", { class: "facts" }, h("dt", {}, t("rules.explain.key")), h("dd", {}, effectSentence(explanation.key_effect)), h("dt", {}, t("rules.explain.request")),
        h("dd", {}, effectSentence(explanation.request_effect)),
        explanation.until !== null && [
          h("dt", {}, t("rules.explain.until")),
          h("dd", {}, phrase("rules.explain.providerTime", { span: countdown(explanation.until), when: dateTime(explanation.until) })),
        ]));
    this.#decided(index);
  }
}
