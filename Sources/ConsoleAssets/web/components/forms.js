// SPDX-License-Identifier: MIT

import { h, icon, replace, uniqueID } from "../core/dom.js";
import { t } from "../core/text.js";

/** @typedef {import("../core/dom.js").Child} Child */

/**
 * A labelled control with its hint and its error.
 *
 * @typedef {object} Field
 * @property {string} name The member of the API that it stands for; empty where it is none.
 * @property {HTMLElement} element
 * @property {() => any} value
 * @property {(value: any) => void} set
 * @property {() => boolean} validate Shows what is wrong; whether nothing is.
 * @property {(message: string) => void} refuse Shows what the server says is wrong.
 * @property {() => void} focus
 *
 * @typedef {object} FieldOptions
 * @property {string} label
 * @property {string} [name]
 * @property {Child} [hint]
 * @property {any} [value]
 * @property {boolean} [required]
 * @property {(value: any) => string | null} [check] What is wrong with a value; null where nothing is.
 * @property {(value: any) => void} [onInput]
 */

/**
 * @param {HTMLElement} control
 * @param {FieldOptions} options
 * @param {{read: () => any, write: (value: any) => void, isInline?: boolean}} access
 * @returns {Field}
 */
function field(control, options, access) {
  const id = uniqueID(), hintID = uniqueID(), errorID = uniqueID();
  control.id = id;
  const error = h("p", { class: "field-error", id: errorID });
  const describe = () => {
    const ids = [options.hint ? hintID : "", error.textContent !== "" ? errorID : ""].filter((text) => text !== "").join(" ");
    if (ids === "") control.removeAttribute("aria-describedby");
    else control.setAttribute("aria-describedby", ids);
  };
  const show = (/** @type {string | null} */ message) => {
    replace(error, message);
    if (message === null) control.removeAttribute("aria-invalid");
    else control.setAttribute("aria-invalid", "true");
    describe();
  };
  const label = h("label", { htmlFor: id }, options.label, options.required && h("span", { class: "required", "aria-hidden": "true" }, "*"));
  if (options.required) control.setAttribute("aria-required", "true");
  const hint = options.hint ? h("p", { class: "hint", id: hintID }, options.hint) : null;
  control.addEventListener("input", () => {
    if (control.hasAttribute("aria-invalid")) show(null);
    options.onInput?.(access.read());
  });
  if (options.value !== undefined && options.value !== null) access.write(options.value);
  describe();
  return {
    name: options.name ?? "",
    element: h("div", { class: `field ${access.isInline ? "inline" : ""}` }, access.isInline ? [control, label] : [label, control], hint, error),
    value: access.read,
    set: access.write,
    validate() {
      const value = access.read();
      let message = options.required && (value === "" || value === null || Array.isArray(value) && value.length === 0) ? t("field.required") : null;
      message ??= options.check?.(value) ?? null;
      show(message);
      return message === null;
    },
    refuse: show,
    focus: () => control.focus(),
  };
}

/**
 * One line of text.
 *
 * @param {FieldOptions & {type?: "text" | "url" | "password" | "search" | "datetime-local", placeholder?: string, autocomplete?: string, isCode?: boolean, options?: string[], keepsSpaces?: boolean}} options
 *   `options` are suggestions; spaces at both ends are not a part of the value unless it keeps them.
 */
export function textField(options) {
  const input = h("input", {
    type: options.type ?? "text", placeholder: options.placeholder, autocomplete: options.autocomplete ?? "off", spellcheck: "false", class: options.isCode ? "code" : "",
  });
  const made = field(input, options, { read: () => input.type === "password" || options.keepsSpaces ? input.value : input.value.trim(), write: (value) => { input.value = value; } });
  if (options.options !== undefined) {
    const id = uniqueID();
    input.setAttribute("list", id);
    made.element.append(h("datalist", { id }, options.options.map((value) => h("option", { value }))));
  }
  return made;
}

/**
 * A whole number, or nothing: null.
 *
 * @param {FieldOptions & {min?: number, max?: number, placeholder?: string, suffix?: string}} options
 */
export function numberField(options) {
  const input = h("input", { type: "text", inputmode: "numeric", autocomplete: "off", placeholder: options.placeholder });
  return field(input, {
    ...options,
    check: (value) => {
      if (value === null) return null;
      if (!Number.isInteger(value) || value < (options.min ?? 0) || value > (options.max ?? Number.MAX_SAFE_INTEGER)) {
        return t("field.number", { min: options.min ?? 0, max: options.max ?? Number.MAX_SAFE_INTEGER });
      }
      return options.check?.(value) ?? null;
    },
  }, {
    // What separates groups of three digits is not a part of the number; anything else is no whole number, as “1,5” and “1.000” may mean this or that.
    read: () => {
      const text = input.value.trim();
      if (text === "") return null;
      return /^\d+$|^\d{1,3}([\s,_]\d{3})+$/.test(text) ? Number(text.replace(/\D/g, "")) : NaN;
    },
    write: (value) => { input.value = String(value); },
  });
}

/**
 * @param {FieldOptions & {rows?: number, placeholder?: string, isCode?: boolean}} options
 */
export function areaField(options) {
  const area = h("textarea", { rows: options.rows ?? 4, placeholder: options.placeholder, spellcheck: "false", autocomplete: "off", class: options.isCode ? "code" : "" });
  return field(area, options, { read: () => area.value, write: (value) => { area.value = value; } });
}

/**
 * One of a list.
 *
 * @param {FieldOptions & {options: {value: string, label: string}[]}} options
 */
export function selectField(options) {
  const select = h("select", {}, options.options.map((option) => h("option", { value: option.value }, option.label)));
  return field(select, options, { read: () => select.value, write: (value) => { select.value = value; } });
}

/**
 * One of a few, each with a sentence that explains it.
 *
 * @param {{label: string, name: string, value: string, options: {value: string, label: string, hint?: Child}[], onInput?: (value: string) => void}} options
 * @returns {Field}
 */
export function choiceField(options) {
  const group = uniqueID(), legendID = uniqueID();
  const error = h("p", { class: "field-error", role: "alert" });
  const radios = options.options.map((option) => h("input", {
    type: "radio", name: group, value: option.value, checked: option.value === options.value, id: uniqueID(), "aria-describedby": option.hint ? `${group}-${option.value}` : null,
    on: { change: () => options.onInput?.(option.value) },
  }));
  return {
    name: options.name,
    element: h(
      "div", { class: "field", role: "radiogroup", "aria-labelledby": legendID }, h("span", { class: "label", id: legendID }, options.label),
      options.options.map((option, index) => h(
        "div", { class: "choice" }, radios[index], h("label", { htmlFor: radios[index].id }, option.label), option.hint && h("p", { class: "hint", id: `${group}-${option.value}` }, option.hint))),
      error),
    value: () => radios.find((radio) => radio.checked)?.value ?? "",
    set: (value) => { for (const radio of radios) radio.checked = radio.value === value; },
    validate: () => {
      replace(error);
      return true;
    },
    refuse: (message) => replace(error, message),
    focus: () => (radios.find((radio) => radio.checked) ?? radios[0])?.focus(),
  };
}

/**
 * A switch.
 *
 * @param {FieldOptions} options
 */
export function checkField(options) {
  const input = h("input", { type: "checkbox" });
  return field(input, options, { read: () => input.checked, write: (value) => { input.checked = value; }, isInline: true });
}

/**
 * Words, separated by commas or lines; null where there are none.
 *
 * @param {FieldOptions & {placeholder?: string}} options
 */
export function wordsField(options) {
  const input = h("input", { type: "text", autocomplete: "off", spellcheck: "false", placeholder: options.placeholder });
  return field(input, options, {
    read: () => {
      const words = input.value.split(/[,\n]/).map((text) => text.trim()).filter((text) => text !== "");
      return words.length === 0 ? null : words;
    },
    write: (value) => { input.value = value.join(", "); },
  });
}

/**
 * Words as pieces that can each be taken away; null where there are none. Enter or a comma adds what was typed; what still stands in the field counts as well.
 *
 * @param {FieldOptions & {placeholder?: string, suggestions?: string[], isCode?: boolean}} options
 */
export function tokensField(options) {
  /** @type {string[]} */
  let words = [];
  const list = h("ul", { class: "tokens" });
  const input = h("input", { type: "text", autocomplete: "off", spellcheck: "false", class: options.isCode ? "code" : "" });
  const draw = () => {
    list.hidden = words.length === 0;
    // It says what no word at all means.
    input.placeholder = words.length === 0 ? options.placeholder ?? "" : "";
    replace(list, words.map((word) => h(
      "li", {}, h("span", { class: options.isCode ? "code" : "" }, word),
      h("button", { type: "button", "aria-label": t("tokens.remove", { word }), on: { click: () => {
        words = words.filter((other) => other !== word);
        draw();
        input.focus();
        options.onInput?.(read());
      } } }, icon("close")))));
  };
  const split = (/** @type {string} */ text) => text.split(/[,\n]/).map((word) => word.trim()).filter((word) => word !== "");
  const all = () => [...new Set([...words, ...split(input.value)])];
  const read = () => all().length === 0 ? null : all();
  const take = () => {
    if (input.value.trim() === "") return false;
    words = all();
    input.value = "";
    draw();
    options.onInput?.(read());
    return true;
  };
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    // An empty field leaves Enter to the form.
    if ((event.key === "Enter" || event.key === ",") && take()) event.preventDefault();
    else if (event.key === "Backspace" && input.value === "" && words.length > 0) {
      words = words.slice(0, -1);
      draw();
      options.onInput?.(read());
    }
  });
  const made = field(input, options, {
    read,
    write: (value) => {
      words = [...value ?? []];
      input.value = "";
      draw();
    },
  });
  draw();
  input.before(list);
  if (options.suggestions !== undefined) {
    const id = uniqueID();
    input.setAttribute("list", id);
    made.element.append(h("datalist", { id }, options.suggestions.map((value) => h("option", { value }))));
  }
  return made;
}

/**
 * Names with values, a row each.
 *
 * @param {{label: string, name: string, hint?: Child, value: Record<string, string>, nameLabel: string, valueLabel: string}} options
 * @returns {Field}
 */
export function pairsField(options) {
  const rows = h("div", { class: "pairs" });
  const error = h("p", { class: "field-error", role: "alert" });
  const add = (/** @type {string} */ name, /** @type {string} */ value) => {
    /** @type {HTMLElement} */
    const row = h(
      "div", { class: "pair" }, h("input", { type: "text", value: name, "aria-label": options.nameLabel, autocomplete: "off", spellcheck: "false" }),
      h("input", { type: "text", value, "aria-label": options.valueLabel, autocomplete: "off", spellcheck: "false" }),
      h("button", { type: "button", class: "button plain", "aria-label": t("action.remove"), on: { click: () => row.remove() } }, icon("close")));
    rows.append(row);
    return row;
  };
  const fill = (/** @type {Record<string, string>} */ value) => {
    replace(rows);
    for (const [name, text] of Object.entries(value)) add(name, text);
  };
  fill(options.value);
  const legendID = uniqueID();
  return {
    name: options.name,
    element: h(
      "div", { class: "field", role: "group", "aria-labelledby": legendID }, h("span", { class: "label", id: legendID }, options.label), options.hint && h("p", { class: "hint" }, options.hint), rows, error,
      h("button", { type: "button", class: "button plain", on: { click: () => add("", "").querySelector("input")?.focus() } }, icon("plus"), h("span", {}, t("action.addRow")))),
    value: () => {
      /** @type {Record<string, string>} */
      const value = {};
      for (const row of rows.children) {
        const [name, text] = [...row.querySelectorAll("input")].map((input) => input.value);
        if (name.trim() !== "") value[name.trim()] = text;
      }
      return value;
    },
    set: fill,
    validate: () => {
      replace(error);
      return true;
    },
    refuse: (message) => replace(error, message),
    focus: () => rows.querySelector("input")?.focus(),
  };
}

/**
 * Fields under a heading that can be folded.
 *
 * @param {string} summary
 * @param {Child[]} children
 */
export function section(summary, ...children) {
  return h("details", { class: "form-section" }, h("summary", {}, summary), h("div", {}, ...children));
}
