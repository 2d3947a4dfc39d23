// SPDX-License-Identifier: MIT

/**
 * Elements are made of values, never of markup: whatever a text holds is shown as text. Nothing in the console parses HTML.
 *
 * @typedef {Node | string | number | null | undefined | false | readonly any[]} Child
 * @typedef {Record<string, unknown> & {class?: string, on?: Record<string, (event: any) => unknown>, data?: Record<string, string>}} Attributes
 */

const SVG = "http://www.w3.org/2000/svg";

/** What is set as a property, since the attribute of that name says only what it was at first. */
const PROPERTIES = new Set(["value", "checked", "disabled", "selected", "indeterminate", "open", "hidden", "readOnly", "required", "multiple", "htmlFor"]);

/**
 * @param {Element} element
 * @param {Attributes} attributes
 */
function apply(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false && !PROPERTIES.has(name)) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(attributes.on ?? {})) element.addEventListener(event, listener);
    } else if (name === "data") {
      for (const [key, text] of Object.entries(attributes.data ?? {})) /** @type {HTMLElement} */ (element).dataset[key] = text;
    } else if (PROPERTIES.has(name) && name in element) {
      /** @type {any} */ (element)[name] = value;
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
}

/**
 * @param {Element} element
 * @param {Child[]} children
 */
export function append(element, ...children) {
  for (const child of children) {
    if (Array.isArray(child)) append(element, ...child);
    else if (child instanceof Node) element.append(child);
    else if (child !== null && child !== undefined && child !== false) element.append(String(child));
  }
}

/**
 * An HTML element.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes] `on` holds listeners, `data` the data attributes; null, undefined and false are left out.
 * @param {Child[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  append(element, ...children);
  // After the children: the value of a select is one of them.
  apply(element, attributes);
  return element;
}

/**
 * An SVG element.
 *
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {Child[]} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  append(element, ...children);
  apply(element, attributes);
  return element;
}

/**
 * Puts children in the place of what an element holds.
 *
 * @param {Element} element
 * @param {Child[]} children
 */
export function replace(element, ...children) {
  element.replaceChildren();
  append(element, ...children);
}

let lastID = 0;

/** An id that no element has yet, for labels and descriptions. */
export function uniqueID() {
  lastID += 1;
  return `e${lastID}`;
}

/** Paths of the icons, on a grid of 24 by 24, drawn as strokes. */
const ICONS = /** @type {const} */ ({
  overview: "M4 19V10M10 19V5M16 19v-7M21 19H3",
  services: "M4 7h16M4 12h16M4 17h16M8 5v4M16 10v4M11 15v4",
  clients: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20a7.5 7.5 0 0 1 15 0",
  requests: "M5 6h14M5 12h9M5 18h11M18 10l3 2-3 2",
  rules: "M6 4v6M6 14v6M12 4v2M12 10v10M18 4v10M18 18v2M4 12h4M10 8h4M16 16h4",
  settings: "M12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM12 3v3M12 18v3M3 12h3M18 12h3M5.6 5.6l2.2 2.2M16.2 16.2l2.2 2.2M18.4 5.6l-2.2 2.2M7.8 16.2l-2.2 2.2",
  plus: "M12 5v14M5 12h14",
  copy: "M9 9h10v10H9zM5 15V5h10",
  close: "M6 6l12 12M18 6L6 18",
  check: "M5 13l4 4L19 7",
  more: "M12 6v.01M12 12v.01M12 18v.01",
  up: "M6 15l6-6 6 6",
  down: "M6 9l6 6 6-6",
  left: "M15 6l-6 6 6 6",
  right: "M9 6l6 6-6 6",
  warning: "M12 4l9 16H3zM12 10v4M12 17v.01",
  key: "M15 9a4 4 0 1 1-3.5 6L8 15l-4 4-1-1 5.5-5.5A4 4 0 0 1 15 9zM15.5 12.5v.01",
  pause: "M9 5v14M15 5v14",
  play: "M8 5l11 7-11 7z",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l5 5",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  upload: "M12 16V4M7 9l5-5 5 5M5 20h14",
  download: "M12 4v12M7 11l5 5 5-5M5 20h14",
  refresh: "M19 12a7 7 0 1 1-2-5M19 4v4h-4",
  menu: "M4 7h16M4 12h16M4 17h16",
  leave: "M14 4h5v16h-5M4 12h11M11 8l4 4-4 4",
});

/**
 * A drawing beside a text that says the same; it is not read out.
 *
 * @param {keyof typeof ICONS} name
 */
export function icon(name) {
  return s("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" }, s("path", { d: ICONS[name] }));
}
