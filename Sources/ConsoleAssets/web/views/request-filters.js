// SPDX-License-Identifier: MIT

import { h, replace } from "../core/dom.js";
import { t } from "../core/text.js";
import { button } from "../components/controls.js";
import { checkField, numberField, selectField, textField } from "../components/forms.js";

/** @typedef {import("../core/types.js").Service} Service */

/** What requests may be found by, as the address and the server name it. `last` is a span up to now, in place of `from` and `to`. */
const NAMES = /** @type {const} */ (["service", "client", "model", "status", "failed", "last", "key_id", "request_id", "from", "to"]);
/** @typedef {Partial<Record<typeof NAMES[number], string>>} Query */

const SPANS = /** @type {const} */ ({ "5m": 300, "15m": 900, "1h": 3600, "6h": 21_600, "24h": 86_400 });
/** How long it is waited for more to be typed. */
const TYPING = 400;

/**
 * The filter that an address names; what makes no sense is left out.
 *
 * @param {URLSearchParams} parameters
 * @returns {Query}
 */
export function queryOf(parameters) {
  /** @type {Query} */
  const query = {};
  for (const name of NAMES) {
    const value = parameters.get(name)?.trim() ?? "";
    if (value === "") continue;
    if (name === "status" && !/^[1-5]\d\d$/.test(value) || name === "key_id" && !/^[1-9]\d{0,15}$/.test(value) || name === "failed" && value !== "true" || name === "last" && !(value in SPANS)) continue;
    if ((name === "from" || name === "to") && Number.isNaN(Date.parse(value))) continue;
    query[name] = value;
  }
  return query;
}

/**
 * The same as the server takes it.
 *
 * @param {Query} query
 * @returns {Record<string, string>}
 */
export function parametersOf({ last, ...query }) {
  if (last === undefined) return query;
  return { ...query, from: new Date(Date.now() - SPANS[/** @type {keyof typeof SPANS} */ (last)] * 1000).toISOString() };
}

/** The fields that requests are found by. On a phone they are folded. */
export class RequestFilters {
  #changed;
  /** @type {Query} */
  #query;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #typing;
  #service;
  #client;
  #model;
  #status;
  #key;
  #id;
  #failed;
  #span;
  #from;
  #to;
  #range;
  #clear;
  #summary = h("summary");

  element;

  /**
   * @param {object} options
   * @param {Query} options.query
   * @param {Service[]} options.services
   * @param {string[]} options.clients Names that are proposed.
   * @param {string[]} options.models
   * @param {(query: Query) => void} options.changed
   */
  constructor({ query, services, clients, models, changed }) {
    this.#query = query;
    this.#changed = changed;
    const known = services.map((service) => ({ value: service.slug, label: service.name }));
    // One that is gone may still be asked for.
    if (query.service !== undefined && !services.some((service) => service.slug === query.service)) known.push({ value: query.service, label: query.service });
    this.#service = selectField({ label: t("requests.column.service"), name: "service", options: [{ value: "", label: t("requests.filter.all") }, ...known], value: query.service, onInput: () => this.#apply() });
    this.#client = this.#suggesting("client", t("requests.column.client"), clients);
    this.#model = this.#suggesting("model", t("requests.column.model"), models);
    this.#status = numberField({ label: t("requests.column.status"), name: "status", min: 100, max: 599, value: query.status, placeholder: t("requests.filter.all"), onInput: () => this.#typed() });
    this.#key = numberField({ label: t("requests.filter.key"), name: "key_id", min: 1, value: query.key_id, placeholder: t("requests.filter.all"), onInput: () => this.#typed() });
    this.#id = textField({ label: t("requests.filter.requestID"), name: "request_id", value: query.request_id, isCode: true, onInput: () => this.#typed() });
    this.#failed = checkField({ label: t("requests.filter.failed"), name: "failed", value: query.failed === "true", onInput: () => this.#apply() });
    const hasRange = query.from !== undefined || query.to !== undefined;
    this.#span = selectField({
      label: t("requests.filter.time"), name: "last", value: hasRange ? "range" : query.last ?? "",
      options: [{ value: "", label: t("requests.filter.anyTime") }, .../** @type {(keyof typeof SPANS)[]} */ (Object.keys(SPANS)).map((value) => ({ value, label: t(`requests.span.${value}`) })), { value: "range", label: t("requests.filter.range") }],
      onInput: () => {
        this.#range.hidden = this.#span.value() !== "range";
        this.#apply();
      },
    });
    this.#from = textField({ label: t("requests.filter.from"), type: "datetime-local", value: localTime(query.from), onInput: () => this.#typed() });
    this.#to = textField({ label: t("requests.filter.to"), type: "datetime-local", value: localTime(query.to), onInput: () => this.#typed() });
    this.#range = h("div", { class: "request-range", hidden: !hasRange }, this.#from.element, this.#to.element);
    this.#clear = button(t("requests.filter.clear"), () => this.clear(), { kind: "link" });
    const fields = h("div", { class: "request-fields" }, [this.#service, this.#client, this.#model, this.#status, this.#key, this.#id, this.#span].map((one) => one.element), this.#range, h("div", { class: "request-failed" }, this.#failed.element, this.#clear));
    this.element = h("details", { class: "card request-filters", open: innerWidth > 760 }, this.#summary, h("form", { "aria-label": t("requests.filters"), on: { submit: (/** @type {Event} */ event) => { event.preventDefault(); this.#apply(); } } }, fields));
    this.#say();
  }

  /** How many fields say something. */
  get count() { return Object.keys(this.#query).length - (this.#query.from !== undefined && this.#query.to !== undefined ? 1 : 0); }

  /** Empties all fields. */
  clear() {
    for (const field of [this.#service, this.#client, this.#model, this.#id, this.#span, this.#from, this.#to]) field.set("");
    for (const field of [this.#status, this.#key]) {
      field.set("");
      field.validate();
    }
    this.#failed.set(false);
    this.#range.hidden = true;
    this.#apply();
    this.#service.focus();
  }

  /**
   * @param {"client" | "model"} name
   * @param {string} label
   * @param {string[]} suggestions
   */
  #suggesting(name, label, suggestions) {
    // A name that is half typed finds nothing: it is taken when it is chosen or the field is left.
    const field = textField({ label, name, value: this.#query[name], options: suggestions, placeholder: t("requests.filter.all"), onInput: (value) => { if (value === "" || suggestions.includes(value)) this.#apply(); } });
    field.element.addEventListener("change", () => this.#apply());
    return field;
  }

  #typed() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#apply(), TYPING);
  }

  #apply() {
    clearTimeout(this.#typing);
    if ([this.#status, this.#key].filter((field) => !field.validate()).length > 0) return;
    const isRange = this.#span.value() === "range";
    const text = (/** @type {unknown} */ value) => value === null || value === undefined ? "" : String(value);
    const query = queryOf(new URLSearchParams({
      service: this.#service.value(), client: this.#client.value(), model: this.#model.value(), status: text(this.#status.value()), key_id: text(this.#key.value()), request_id: this.#id.value(),
      failed: this.#failed.value() ? "true" : "", last: isRange ? "" : this.#span.value(), from: isRange ? moment(this.#from.value()) : "", to: isRange ? moment(this.#to.value()) : "",
    }));
    if (JSON.stringify(query) === JSON.stringify(this.#query)) return;
    this.#query = query;
    this.#say();
    this.#changed(query);
  }

  #say() {
    this.#clear.hidden = this.count === 0;
    replace(this.#summary, this.count === 0 ? t("requests.filters") : t("requests.filtersUsed", { count: this.count }));
  }
}

/**
 * A moment as a field of the browser takes it, in the browser's zone.
 *
 * @param {string | undefined} text
 */
function localTime(text) {
  if (text === undefined) return "";
  const then = new Date(text);
  return new Date(then.getTime() - then.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** @param {string} text */
function moment(text) {
  const then = new Date(text);
  return text === "" || Number.isNaN(then.getTime()) ? "" : then.toISOString();
}
