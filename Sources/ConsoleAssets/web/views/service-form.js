// SPDX-License-Identifier: MIT

import { h, replace } from "../core/dom.js";
import { number, span } from "../core/format.js";
import { t, word } from "../core/text.js";
import { checkField, choiceField, numberField, pairsField, selectField, textField } from "../components/forms.js";
import { dialectOf, pathOf } from "./service-address.js";

/** @typedef {import("../core/types.js").Service} Service */
/** @typedef {import("../components/forms.js").Field} Field */
/** @typedef {Omit<Service, "id" | "is_active">} ServiceValues What the form holds. */

const STRATEGIES = ["round_robin", "weighted", "random", "least_in_flight", "headroom", "sequential", "affinity"];
const FORMATS = ["openai_compatible", "anthropic_native", "gemini_native", "azure_openai", "generic"];
/** What clients may speak where it differs from the provider's format. The server keeps other values, but passes everything on unconverted. */
const SERVED_OUTPUT_FORMATS = ["none"];
/** The server takes numbers of 31 bits. */
const COUNT_MAX = 2_147_483_647;

/**
 * A new service's values, before anything has been filled in.
 *
 * @type {ServiceValues}
 */
export const EMPTY_SERVICE = {
  name: "", slug: "", config_type: "LLM", api_format: "openai_compatible", output_format: "none", target_base_url: "", target_url: null, method: null, api_key_location: null,
  api_key_name: null, api_key_prefix: null, rotation_strategy: "round_robin", max_attempts: null, max_wait_ms: 0, replay: null, stream_usage: false, hold_startup_ms: 0,
  affinity_header: null, extra_headers: {},
};

/**
 * @param {Service} service
 * @returns {ServiceValues}
 */
export function valuesOf(service) {
  return /** @type {any} */ (Object.fromEntries(Object.keys(EMPTY_SERVICE).map((member) => [member, /** @type {any} */ (service)[member]])));
}

/**
 * Whether two of a member's values are the same to the server.
 *
 * @param {unknown} one
 * @param {unknown} other
 */
const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/**
 * What differs between two states of a service: the new values, and the ones they take the place of.
 *
 * @param {ServiceValues} before
 * @param {ServiceValues} after
 */
export function differences(before, after) {
  const members = /** @type {(keyof ServiceValues)[]} */ (Object.keys(EMPTY_SERVICE)).filter((member) => !isSame(before[member], after[member]));
  const pick = (/** @type {ServiceValues} */ from) => Object.fromEntries(members.map((member) => [member, from[member]]));
  return { count: members.length, after: pick(after), before: pick(before) };
}

/**
 * Where a key stands in a request to the provider, as the server works it out: the format's own place, under what the service says.
 *
 * @param {ServiceValues} values
 */
function placement(values) {
  let name = { anthropic_native: "x-api-key", gemini_native: "x-goog-api-key", azure_openai: "api-key" }[/** @type {string} */ (values.api_format)] ?? "Authorization";
  let prefix = name === "Authorization" ? "Bearer " : "";
  if (values.api_key_name !== null) {
    if (values.api_key_name.toLowerCase() !== name.toLowerCase()) prefix = "";
    name = values.api_key_name;
  }
  const isQuery = values.api_key_location === "query";
  if (isQuery) prefix = "";
  prefix = values.api_key_prefix ?? prefix;
  return isQuery ? `?${name}=${prefix}KEY` : `${name}: ${prefix}KEY`;
}

/**
 * Empty is nothing.
 *
 * @param {string} text
 */
const orNull = (text) => /** @type {any} */ (text === "" ? null : text);

/**
 * The form of a service: what everybody needs is open, the rest is folded under headings that say what is set there.
 *
 * @param {object} options
 * @param {ServiceValues} options.values
 * @param {string} [options.placeholder] What a base URL looks like.
 * @param {string[]} [options.targets] Base URLs that are suggested.
 * @param {string} [options.blank] What in the base URL has to be replaced.
 * @param {boolean} [options.isNew] A new service's type and format are those of the preset, and its slug follows its name.
 * @param {string[]} options.slugs Those that other services have.
 * @param {HTMLElement} [options.between] What stands between what is open and what is folded.
 * @param {(values: ServiceValues) => void} [options.changed]
 */
export function serviceForm(options) {
  const given = options.values;
  const isLLM = () => type.value() === "LLM";

  const name = textField({ name: "name", label: t("services.field.name"), value: given.name, required: true });
  const slug = textField({
    name: "slug", label: t("services.field.slug"), value: given.slug, required: true, isCode: true,
    check: (/** @type {string} */ value) => !/^[a-z0-9][a-z0-9-]{0,62}$/.test(value) ? t("services.field.slugWrong") : options.slugs.includes(value) ? t("services.field.slugTaken") : null,
  });
  const slugNote = h("p", { class: "hint", "aria-live": "polite" });
  slug.element.insertBefore(slugNote, slug.element.querySelector(".field-error"));
  const type = choiceField({
    name: "config_type", label: t("services.field.type"), value: given.config_type,
    options: [{ value: "LLM", label: t("services.type.LLM"), hint: t("services.type.LLMHint") }, { value: "GENERIC", label: t("services.type.GENERIC"), hint: t("services.type.GENERICHint") }],
    onInput: () => {
      if (!isLLM()) format.set("generic");
      else if (format.value() === "generic") format.set("openai_compatible");
    },
  });
  const format = selectField({
    name: "api_format", label: t("services.field.format"), hint: t("services.field.formatHint"), value: given.api_format,
    options: FORMATS.map((value) => ({ value, label: word("services.format", value) })),
  });
  const target = textField({
    // The server's refusal names the member of the type that is chosen; both begin so.
    name: "target(?:_base)?_url", label: t("services.field.target"), type: "url", isCode: true, required: true, placeholder: options.placeholder, options: options.targets, hint: t("services.field.targetHint"),
    value: given.target_base_url ?? given.target_url ?? "",
    check: (/** @type {string} */ value) => {
      if (!/^https?:\/\/[^/]/i.test(value)) return t("services.field.targetWrong");
      if (/[?#]/.test(value)) return t("services.field.targetQuery");
      return options.blank && value.includes(options.blank) ? t("services.field.targetBlank", { word: options.blank }) : null;
    },
  });
  const method = textField({
    name: "method", label: t("services.field.method"), hint: t("services.field.methodHint"), value: given.method ?? "", isCode: true, options: ["GET", "POST", "PUT", "PATCH", "DELETE"],
    check: (/** @type {string} */ value) => value === "" || /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$/.test(value) ? null : t("services.field.methodWrong"),
  });
  const output = selectField({
    name: "output_format", label: t("services.field.output"), hint: t("services.field.outputHint"), value: given.output_format,
    options: [...new Set([...SERVED_OUTPUT_FORMATS, given.output_format])].map((value) => ({ value, label: word("services.output", value) })),
  });

  const location = selectField({
    name: "api_key_location", label: t("services.field.keyLocation"), value: given.api_key_location ?? "",
    options: [{ value: "", label: t("services.keyLocation.own") }, { value: "header", label: t("services.keyLocation.header") }, { value: "query", label: t("services.keyLocation.query") }],
  });
  const keyName = textField({ name: "api_key_name", label: t("services.field.keyName"), value: given.api_key_name ?? "", isCode: true, hint: t("services.field.keyNameHint") });
  const prefixKind = selectField({
    name: "", label: t("services.field.keyPrefix"), value: given.api_key_prefix === null ? "own" : given.api_key_prefix === "" ? "none" : "text",
    options: [{ value: "own", label: t("services.keyPrefix.own") }, { value: "none", label: t("services.keyPrefix.none") }, { value: "text", label: t("services.keyPrefix.text") }],
  });
  const prefix = textField({ name: "api_key_prefix", label: t("services.field.keyPrefixText"), value: given.api_key_prefix ?? "", isCode: true, keepsSpaces: true, hint: t("services.field.keyPrefixHint") });

  const strategy = choiceField({
    name: "rotation_strategy", label: t("services.field.strategy"), value: given.rotation_strategy,
    options: STRATEGIES.map((value) => ({ value, label: word("services.strategy", value), hint: word("services.strategyHint", value) })),
  });
  const affinity = textField({ name: "affinity_header", label: t("services.field.affinity"), value: given.affinity_header ?? "", placeholder: "x-conversation-id", isCode: true, hint: t("services.field.affinityHint") });

  const attempts = numberField({ name: "max_attempts", label: t("services.field.attempts"), value: given.max_attempts, min: 1, max: COUNT_MAX, hint: t("services.field.attemptsHint") });
  const replay = choiceField({
    name: "replay", label: t("services.field.replay"), value: given.replay ?? "",
    options: ["", "refused", "failed", "unknown"].map((value) => ({ value, label: word("services.replay", value || "own"), hint: word("services.replayHint", value || "own") })),
  });
  const wait = numberField({ name: "max_wait_ms", label: t("services.field.wait"), value: given.max_wait_ms, max: COUNT_MAX, required: true, hint: t("services.field.waitHint") });

  const usage = checkField({ name: "stream_usage", label: t("services.field.usage"), value: given.stream_usage, hint: t("services.field.usageHint") });
  const hold = numberField({ name: "hold_startup_ms", label: t("services.field.hold"), value: given.hold_startup_ms, max: COUNT_MAX, required: true, hint: t("services.field.holdHint") });
  const headers = pairsField({
    name: "extra_headers", label: t("services.field.headers"), hint: t("services.field.headersHint"), value: given.extra_headers, nameLabel: t("services.field.headerName"), valueLabel: t("services.field.headerValue"),
  });

  /** @returns {ServiceValues} */
  const values = () => ({
    name: name.value(), slug: slug.value(), config_type: type.value(), api_format: format.value(), output_format: output.value(),
    target_base_url: isLLM() ? target.value() : null, target_url: isLLM() ? null : target.value(), method: isLLM() ? null : orNull(method.value().toUpperCase()),
    api_key_location: orNull(location.value()), api_key_name: orNull(keyName.value()),
    api_key_prefix: prefixKind.value() === "own" ? null : prefixKind.value() === "none" ? "" : orNull(prefix.value()),
    rotation_strategy: strategy.value(), max_attempts: attempts.value(), max_wait_ms: wait.value() ?? 0, replay: orNull(replay.value()), stream_usage: usage.value(), hold_startup_ms: hold.value() ?? 0,
    affinity_header: orNull(affinity.value()), extra_headers: headers.value(),
  });

  /** @type {{details: HTMLDetailsElement, says: HTMLElement, say: (values: ServiceValues) => string, fields: Field[]}[]} */
  const folded = [];
  const fold = (/** @type {string} */ title, /** @type {(values: ServiceValues) => string} */ say, /** @type {Field[]} */ fields, isOpen = false) => {
    const says = h("span", { class: "hint" });
    const details = h(
      "details", { class: "form-section", open: isOpen }, h("summary", {}, h("h3", {}, title), says), h("div", {}, fields.map((field) => field.element)));
    folded.push({ details, says, say, fields });
    return details;
  };

  const sections = [
    fold(t("services.section.key"), placement, [location, keyName, prefixKind, prefix], options.isNew && given.config_type === "GENERIC"),
    fold(t("services.section.rotation"), (now) => word("services.strategy", now.rotation_strategy), [strategy, affinity]),
    fold(t("services.section.retries"), (now) => [
      now.max_attempts === null ? t("services.says.attemptsOwn") : t("services.says.attempts", { count: now.max_attempts }), word("services.says.replay", now.replay ?? "own"),
      now.max_wait_ms > 0 ? t("services.says.wait", { time: time(now.max_wait_ms) }) : t("services.says.noWait"),
    ].join(" · "), [attempts, replay, wait]),
    fold(t("services.section.streams"), (now) => [
      now.stream_usage ? t("services.says.usage") : t("services.says.noUsage"), now.hold_startup_ms > 0 ? t("services.says.hold", { time: time(now.hold_startup_ms) }) : t("services.says.noHold"),
    ].join(" · "), [usage, hold]),
    fold(t("services.section.headers"), (now) => {
      const names = Object.keys(now.extra_headers);
      return names.length === 0 ? t("services.says.noHeaders") : names.join(", ");
    }, [headers]),
  ];
  const streams = sections[3];

  const basics = options.isNew ? [name, slug, target, method] : [name, slug, type, format, target, method, output];
  const element = h(
    "div", { class: "stack" },
    h("section", { class: "card service-basics" }, h("h2", {}, t("services.basics")), h("div", { class: "form two" }, name.element, slug.element), h("div", { class: "form" }, basics.slice(2).map((field) => field.element))),
    options.between, h("section", { class: "stack tight" }, h("h2", {}, t("services.more.title")), sections));
  const all = [...basics, ...folded.flatMap((one) => one.fields)];

  const refresh = () => {
    const now = values();
    method.element.hidden = isLLM();
    output.element.hidden = given.output_format === "none";
    streams.hidden = !isLLM();
    usage.element.hidden = dialectOf(/** @type {any} */ (now)) !== "openai";
    affinity.element.hidden = now.rotation_strategy !== "affinity";
    prefix.element.hidden = prefixKind.value() !== "text";
    keyName.element.querySelector("input")?.setAttribute("placeholder", placement({ ...now, api_key_name: null }).replace(/^\?|[:=].*$/g, ""));
    for (const one of folded) one.says.textContent = one.say(now);
    replace(slugNote, t("services.field.slugPath", { path: pathOf({ ...now, slug: now.slug || "…" }) }), !options.isNew && now.slug !== given.slug ? h("strong", {}, ` ${t("services.field.slugMoves", { path: pathOf(given) })}`) : null);
    options.changed?.(now);
  };
  // Rows of pairs come and go by their buttons, which say nothing of it.
  for (const event of ["input", "change", "click"]) element.addEventListener(event, refresh);

  const form = {
    element,
    values,
    fields: { name, slug, target },
    /**
     * Shows other values.
     *
     * @param {ServiceValues} wanted
     */
    set(wanted) {
      name.set(wanted.name);
      slug.set(wanted.slug);
      type.set(wanted.config_type);
      format.set(wanted.api_format);
      output.set(wanted.output_format);
      target.set(wanted.target_base_url ?? wanted.target_url ?? "");
      method.set(wanted.method ?? "");
      location.set(wanted.api_key_location ?? "");
      keyName.set(wanted.api_key_name ?? "");
      prefixKind.set(wanted.api_key_prefix === null ? "own" : wanted.api_key_prefix === "" ? "none" : "text");
      prefix.set(wanted.api_key_prefix ?? "");
      strategy.set(wanted.rotation_strategy);
      affinity.set(wanted.affinity_header ?? "");
      attempts.set(wanted.max_attempts ?? "");
      replay.set(wanted.replay ?? "");
      wait.set(wanted.max_wait_ms);
      usage.set(wanted.stream_usage);
      hold.set(wanted.hold_startup_ms);
      headers.set(wanted.extra_headers);
      for (const field of all) if (!field.element.hidden) field.validate();
      refresh();
    },
    /**
     * Shows what is wrong, and goes to the first of it.
     *
     * @returns {boolean} Whether nothing is.
     */
    validate() {
      const wrong = all.filter((field) => !field.element.hidden && !field.validate());
      if (wrong.length > 0) reveal(wrong[0]);
      return wrong.length === 0;
    },
    /**
     * Shows what the server does not take, at the field that it names.
     *
     * @param {string} message
     * @returns {boolean} Whether it names one.
     */
    refuse(message) {
      const field = all.find((one) => one.name !== "" && new RegExp(`(^|[^a-z_])(?:${one.name})([^a-z_]|$)`).test(message));
      if (field === undefined) return false;
      field.refuse(message);
      reveal(field);
      return true;
    },
  };
  const reveal = (/** @type {Field} */ field) => {
    const section = folded.find((one) => one.fields.includes(field));
    if (section !== undefined) section.details.open = true;
    field.focus();
  };
  refresh();
  return form;
}

/** @param {number} ms */
const time = (ms) => ms % 1000 === 0 ? span(ms / 1000) : `${number(ms)} ms`;
