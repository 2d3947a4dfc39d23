// SPDX-License-Identifier: MIT

import { ApiError, api } from "../core/api.js";
import { h, icon, replace } from "../core/dom.js";
import { readJSON } from "../core/json-text.js";
import { address } from "../core/router.js";
import { t, word } from "../core/text.js";
import { badge, busy, button, failure, segmented } from "../components/controls.js";
import { confirm } from "../components/dialogs.js";
import { notify } from "../components/toasts.js";
import { editRule, faultOf } from "./rule-editor.js";
import { RuleExplainer } from "./rule-explain.js";
import { RuleText, tableText } from "./rule-json.js";
import { canonical } from "./rule-sentence.js";
import { RuleTable } from "./rule-table.js";

/** @typedef {import("../core/types.js").Service} Service */
/** @typedef {import("../core/types.js").ApiFormat} ApiFormat */
/** @typedef {import("./rule-sentence.js").Rule} Rule */
/** @typedef {{is_default: boolean, rules: Rule[]}} ServiceRules */

/**
 * Tables that were changed and not saved, by service: whoever looks elsewhere in between finds them again. In memory alone.
 *
 * @type {Map<number, {base: string, rules: Rule[], text: string | null}>} `base` is what was in force then; `text` what stands in the JSON editor, where that is open.
 */
const drafts = new Map();

/** @type {Rule} */
const BLANK = { statuses: [429], conditions: [], verdict: "rate_limited", scope: "usual", until: ["retry_after"], reason: "rate_limited" };

/** @param {Rule[]} rules */
const textOf = (rules) => JSON.stringify(rules.map(canonical));

/**
 * The table of a service, or of a format: to read, to change, and to try.
 *
 * @param {import("../core/router.js").ViewContext} context
 * @param {ApiFormat | number} subject A format, or the number of a service.
 */
export async function rulesPage(context, subject) {
  const { root, signal, setTitle } = context;
  replace(root, busy());
  try {
    if (typeof subject === "string") {
      /** @type {{rules: Rule[]}} */
      const { rules } = await api.get(`/admin/rules/${subject}`, signal);
      const name = word("services.format", subject);
      setTitle(t("rules.titleOf", { name }));
      replace(root, new FormatPage(subject, name, rules).elements);
      return;
    }
    if (!Number.isSafeInteger(subject) || subject < 1) throw new Error(t("rules.noService"));
    /** @type {[Service, ServiceRules]} */
    const [service, present] = await Promise.all([api.get(`/admin/proxy-configs/${subject}`, signal), api.get(`/admin/proxy-configs/${subject}/rules`, signal)]);
    /** @type {{rules: Rule[]}} */
    const defaults = await api.get(`/admin/rules/${service.api_format}`, signal);
    setTitle(t("rules.titleOf", { name: service.name }));
    const page = new ServicePage(service, present, defaults.rules);
    replace(root, page.elements);
    // Closing the window would lose what is not saved; going elsewhere in the console does not.
    addEventListener("beforeunload", (event) => { if (page.isChanged) event.preventDefault(); }, { signal });
  } catch (error) {
    if (signal.aborted) return;
    const shown = error instanceof ApiError && error.status === 404 ? new Error(t("rules.noService")) : error;
    replace(root, backLink(), failure(shown, () => void rulesPage(context, subject)));
  }
}

const backLink = () => h("a", { class: "back", href: address(["rules"]) }, icon("left"), t("rules.back"));

/** @param {RuleTable} table */
function searchField(table) {
  return h("input", { type: "search", "aria-label": t("rules.search"), placeholder: t("rules.search"), on: { input: (/** @type {any} */ event) => table.search(event.target.value) } });
}

/**
 * Goes down to where an answer is tried, where that does not stand beside the table.
 *
 * @param {RuleExplainer} explainer
 */
const explainButton = (explainer) => button(t("rules.toExplain"), () => explainer.focus(), { icon: "down", class: "to-explain" });

/** The table that a format has by default: to read and to try. */
class FormatPage {
  elements;

  /**
   * @param {ApiFormat} format
   * @param {string} name
   * @param {Rule[]} rules
   */
  constructor(format, name, rules) {
    const table = new RuleTable({ defaults: rules, marksOrigin: false, changed: null, edit: null, insert: null });
    table.show(rules);
    const explainer = new RuleExplainer({ subject: { api_format: format }, table: () => null, decided: (index) => table.mark(index), show: (index) => table.focus(index) });
    this.elements = [
      h(
        "div", { class: "stack" }, backLink(), h("div", { class: "row" }, h("h1", {}, t("rules.titleOf", { name })), badge("format", "rules.table")),
        h("p", { class: "hint" }, t("rules.formatIntro"))),
      h(
        "div", { class: "rules-page" },
        h("section", { class: "stack", "aria-label": t("rules.table") }, h("div", { class: "rules-tools" }, searchField(table), explainButton(explainer)), table.element),
        explainer.element),
    ];
  }
}

/** The table of a service: to read, to change as a list or as JSON, and to try before it is saved. */
class ServicePage {
  #service;
  #present;
  #defaults;
  #path;
  #subject;
  /** @type {Rule[]} */
  #rules;
  /** The table that was in force when the first change was made: where it is another one now, saving would take somebody's change back. */
  #base;
  /** @type {"list" | "json"} */
  #mode = "list";
  #table;
  #text;
  #explainer;
  #title = h("div", { class: "row" });
  #tools = h("div", { class: "rules-tools" });
  #place = h("div", {});
  #bar = h("div", { class: "rules-bar", role: "region", "aria-label": t("rules.unsaved") });
  #message = h("div", { role: "alert" });
  #search;

  elements;

  /**
   * @param {Service} service
   * @param {ServiceRules} present
   * @param {Rule[]} defaults
   */
  constructor(service, present, defaults) {
    this.#service = service;
    this.#present = present;
    this.#defaults = defaults;
    this.#path = `/admin/proxy-configs/${service.id}/rules`;
    this.#subject = { service_id: service.id };
    const draft = drafts.get(service.id);
    this.#rules = draft?.rules ?? present.rules;
    this.#base = draft?.base ?? textOf(present.rules);
    this.#table = new RuleTable({
      defaults, marksOrigin: true, changed: (rules) => this.#changed(rules), edit: (index) => void this.#edit(index), insert: (index) => void this.#insert(index),
    });
    this.#text = new RuleText(this.#subject, () => this.#drawBar());
    this.#explainer = new RuleExplainer({
      subject: this.#subject, table: () => this.#tableToTry(), decided: (index) => this.#table.mark(index),
      show: (index) => {
        if (this.#mode === "list") this.#table.focus(index);
        else this.#text.show(index);
      },
    });
    this.#search = searchField(this.#table);
    this.elements = [
      h("div", { class: "stack" }, backLink(), this.#title, h("p", { class: "hint" }, t("rules.serviceIntro"))),
      h("div", { class: "rules-page" }, h("section", { class: "stack", "aria-label": t("rules.table") }, this.#tools, this.#message, this.#place, this.#bar), this.#explainer.element),
    ];
    if (draft !== undefined && draft.text !== null) {
      this.#mode = "json";
      this.#text.text = draft.text;
    }
    this.#draw();
    if (draft !== undefined) notify(t("rules.draftKept"));
  }

  /** What an answer is tried with: the table as it stands here; null: the one in force. */
  #tableToTry() {
    if (!this.isChanged) return null;
    if (this.#mode === "list") return this.#rules;
    try {
      return readJSON(this.#text.text).value;
    } catch {
      throw new Error(t("rules.json.syntax"));
    }
  }

  /** Whether there is something to save. */
  get isChanged() {
    return this.#mode === "json" ? this.#text.text !== tableText(this.#present.rules) : textOf(this.#rules) !== textOf(this.#present.rules);
  }

  #draw() {
    const { name, slug, api_format: format } = this.#service;
    replace(
      this.#title, h("h1", {}, t("rules.titleOf", { name })), badge(this.#present.is_default ? "format" : "own", "rules.table"),
      h("a", { href: address(["services", this.#service.id]) }, slug), h("a", { href: address(["rules", format]) }, word("services.format", format)));
    const modes = segmented(
      t("rules.mode"), [{ value: "list", label: t("rules.mode.list") }, { value: "json", label: t("rules.mode.json") }], this.#mode, (mode) => void this.#switchTo(mode));
    this.#search.hidden = this.#mode === "json";
    replace(
      this.#tools, modes, this.#search, this.#mode === "list" && button(t("rules.add"), () => this.#insert(0), { icon: "plus" }),
      !this.#present.is_default && button(t("rules.toDefaults"), () => this.#reset()), explainButton(this.#explainer));
    this.#table.show(this.#rules);
    replace(this.#place, this.#mode === "list" ? this.#table.element : this.#text.element);
    this.#drawBar();
  }

  #drawBar() {
    const isChanged = this.isChanged;
    this.#bar.hidden = !isChanged;
    if (isChanged) drafts.set(this.#service.id, { base: this.#base, rules: this.#rules, text: this.#mode === "json" ? this.#text.text : null });
    else drafts.delete(this.#service.id);
    if (!isChanged || this.#bar.childElementCount > 0) return;
    replace(
      this.#bar, h("p", {}, h("strong", {}, t("rules.unsaved")), " ", t("rules.unsavedHint")),
      h("div", { class: "row" }, button(t("rules.discard"), () => this.#discard()), button(t("rules.save"), () => this.#save(), { kind: "primary" })));
  }

  /** @param {Rule[]} rules */
  #changed(rules) {
    this.#rules = rules;
    replace(this.#message);
    this.#drawBar();
    this.#explainer.tableChanged();
  }

  /** @param {"list" | "json"} mode */
  async #switchTo(mode) {
    if (mode === "json") {
      this.#text.text = tableText(this.#rules);
    } else {
      const read = await this.#text.read();
      if (read === null) {
        this.#draw();
        this.#focusMode();
        return;
      }
      this.#rules = read;
    }
    this.#mode = mode;
    this.#draw();
    this.#focusMode();
    this.#explainer.tableChanged();
  }

  #focusMode() {
    /** @type {HTMLElement | null} */ (this.#tools.querySelector("input:checked"))?.focus();
  }

  /** @param {number} index */
  async #edit(index) {
    const rule = await editRule({ title: t("rules.edit.title", { number: index + 1 }), rule: this.#rules[index], subject: this.#subject });
    if (rule === null) return;
    this.#table.show(this.#rules.map((other, at) => at === index ? rule : other));
    this.#changed(this.#rules.map((other, at) => at === index ? rule : other));
    this.#table.focus(index);
  }

  /** @param {number} index */
  async #insert(index) {
    const rule = await editRule({ title: t("rules.edit.newTitle", { number: index + 1 }), rule: BLANK, subject: this.#subject });
    if (rule === null) return;
    const rules = [...this.#rules.slice(0, index), rule, ...this.#rules.slice(index)];
    this.#table.show(rules);
    this.#changed(rules);
    this.#table.focus(index);
  }

  #discard() {
    const lost = this.#mode === "list" ? this.#rules : null;
    this.#show(this.#present);
    if (lost === null) return;
    notify(t("rules.discarded"), {
      undo: () => {
        this.#table.show(lost);
        this.#changed(lost);
      },
    });
  }

  /**
   * Shows what is in force.
   *
   * @param {ServiceRules} present
   */
  #show(present) {
    this.#present = present;
    this.#rules = present.rules;
    this.#base = textOf(present.rules);
    drafts.delete(this.#service.id);
    replace(this.#message);
    this.#text.text = tableText(present.rules);
    this.#draw();
    this.#explainer.tableChanged();
  }

  async #save() {
    replace(this.#message);
    let rules = this.#rules;
    if (this.#mode === "json") {
      const read = await this.#text.read();
      if (read === null) return;
      rules = read;
    }
    /** @type {ServiceRules} */
    const found = await api.get(this.#path);
    if (textOf(found.rules) !== this.#base) {
      const isSure = await confirm({ title: t("rules.conflict.title"), message: t("rules.conflict.loss"), action: t("rules.conflict.action") });
      if (!isSure) return;
    }
    try {
      /** @type {ServiceRules} */
      const saved = await api.put(this.#path, { rules });
      this.#show(saved);
      notify(t("rules.saved", { name: this.#service.name }), { undo: () => this.#putBack(found) });
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** @param {unknown} error */
  #refuse(error) {
    if (this.#mode === "json" && this.#text.refuse(error)) return;
    const text = error instanceof Error ? error.message : String(error);
    const fault = faultOf(text);
    const index = Number(fault?.place.split("/")[1]);
    if (fault !== null && fault.place !== "" && index < this.#rules.length) {
      this.#table.refuse(index, t("rules.edit.refused", { place: fault.place.replace(/^\/\d+/, "") || "/", reason: fault.reason }));
    } else {
      replace(this.#message, h("p", { class: "form-error" }, text));
    }
  }

  /**
   * Takes a change back.
   *
   * @param {ServiceRules} before
   */
  async #putBack(before) {
    if (before.is_default) await api.delete(this.#path);
    else await api.put(this.#path, { rules: before.rules });
    this.#show(await api.get(this.#path));
  }

  async #reset() {
    const before = this.#present;
    const own = before.rules.filter((rule) => !this.#defaults.some((other) => textOf([other]) === textOf([rule]))).length;
    const isSure = await confirm({
      title: t("rules.reset.title", { name: this.#service.name }), message: t("rules.reset.loss", { count: before.rules.length, own }), action: t("rules.toDefaults"),
    });
    if (!isSure) return;
    await api.delete(this.#path);
    this.#show(await api.get(this.#path));
    notify(t("rules.resetDone", { name: this.#service.name }), { undo: () => this.#putBack(before) });
  }
}
