// SPDX-License-Identifier: MIT

import { h, icon, replace, uniqueID } from "../core/dom.js";
import { t, word } from "../core/text.js";
import { notify } from "./toasts.js";

/** @typedef {import("../core/dom.js").Child} Child */

/**
 * A button. While what it does takes its time, it cannot be pressed again; an error of it is told.
 *
 * @param {Child} label
 * @param {(event: MouseEvent) => unknown} press
 * @param {{kind?: "primary" | "danger" | "plain" | "link", icon?: Parameters<typeof icon>[0], label?: string, title?: string, type?: "button" | "submit", disabled?: boolean, class?: string}} [options]
 *   `label` is what is read out where the button shows an icon alone.
 */
export function button(label, press, options = {}) {
  const element = h(
    "button",
    {
      type: options.type ?? "button", class: `button ${options.kind ?? ""} ${options.class ?? ""}`.trim(), "aria-label": options.label, title: options.title ?? options.label,
      disabled: options.disabled ?? false,
      on: {
        click: async (/** @type {MouseEvent} */ event) => {
          const result = press(event);
          if (!(result instanceof Promise)) return;
          const hadFocus = document.activeElement === element;
          element.disabled = true;
          element.setAttribute("aria-busy", "true");
          try {
            await result;
          } catch (error) {
            failed(error);
          } finally {
            element.disabled = false;
            element.removeAttribute("aria-busy");
            // Being disabled took the focus away; whoever works by the keyboard goes on where they were.
            if (hadFocus && document.activeElement === document.body) element.focus();
          }
        },
      },
    },
    options.icon && icon(options.icon), label !== "" && label !== null ? h("span", {}, label) : null);
  return element;
}

/**
 * Tells an error, unless it is that somebody has gone elsewhere in the meantime.
 *
 * @param {unknown} error
 */
export function failed(error) {
  if (error instanceof DOMException && error.name === "AbortError") return;
  notify(error instanceof Error ? error.message : String(error), { kind: "error" });
}

/**
 * A button that puts a text into the clipboard.
 *
 * @param {string | (() => string)} text
 * @param {string} [label]
 * @param {{hidesLabel?: boolean}} [options] `hidesLabel` leaves the icon alone to be seen.
 */
export function copyButton(text, label = t("action.copy"), options = {}) {
  return button(options.hidesLabel ? "" : label, async () => {
    await copy(typeof text === "string" ? text : text());
    notify(t("copy.done"));
  }, { icon: "copy", kind: "plain", label: options.hidesLabel ? label : undefined });
}

/** @param {string} text */
async function copy(text) {
  // Over http:// from another machine there is no clipboard to ask for: a selection that is copied by command works everywhere.
  if (navigator.clipboard !== undefined && window.isSecureContext) return await navigator.clipboard.writeText(text);
  const area = h("textarea", { class: "offscreen", "aria-hidden": "true" }, text);
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  if (!isDone) throw new Error(t("copy.failed"));
  return undefined;
}

/**
 * A key's or a job's state as a word in its colour; never by colour alone.
 *
 * @param {string} state
 * @param {string} [prefix] Of the word's text.
 */
export function badge(state, prefix = "state") {
  return h("span", { class: "badge", data: { state } }, word(prefix, state));
}

/**
 * What is shown while something is on its way.
 *
 * @param {string} [label]
 */
export function busy(label = t("busy")) {
  return h("p", { class: "busy", role: "status" }, label);
}

/**
 * Says that there is nothing yet, and what to do about it.
 *
 * @param {string} title
 * @param {Child[]} children
 */
export function emptyState(title, ...children) {
  return h("div", { class: "empty" }, h("h2", {}, title), ...children);
}

/**
 * Fills an element with what a promise brings; with the error and a button to try again where it fails.
 *
 * @param {HTMLElement} element
 * @param {() => Promise<Child>} load
 */
export async function fill(element, load) {
  replace(element, busy());
  try {
    replace(element, await load());
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return;
    replace(element, failure(error, () => void fill(element, load)));
  }
}

/**
 * An error in the place of what it kept from being shown.
 *
 * @param {unknown} error
 * @param {() => void} retry
 */
export function failure(error, retry) {
  return h("div", { class: "failure", role: "alert" }, icon("warning"), h("p", {}, error instanceof Error ? error.message : String(error)), button(t("action.retry"), retry, { icon: "refresh" }));
}

/**
 * Tabs that are links, so that each has an address.
 *
 * @param {{label: string, href: string, isCurrent: boolean}[]} tabs
 * @param {string} label
 */
export function tabLinks(tabs, label) {
  return h("nav", { class: "tabs", "aria-label": label }, tabs.map((tab) => h("a", { href: tab.href, "aria-current": tab.isCurrent ? "page" : null }, tab.label)));
}

/**
 * A choice of a few that are all seen, such as a window of time.
 *
 * @template {string} Value
 * @param {string} legend
 * @param {{value: Value, label: string}[]} choices
 * @param {Value} chosen
 * @param {(value: Value) => void} choose
 */
export function segmented(legend, choices, chosen, choose) {
  const name = uniqueID();
  return h(
    "fieldset", { class: "segmented" }, h("legend", { class: "offscreen" }, legend),
    choices.map((choice) => h(
      "label", {}, h("input", { type: "radio", name, value: choice.value, checked: choice.value === chosen, on: { change: () => choose(choice.value) } }), h("span", {}, choice.label))));
}

/**
 * A switch that is in force at once. While the change takes its time it cannot be moved again; where the change fails, it goes back.
 *
 * @param {string} label What is read out; beside the switch stands whether it is on.
 * @param {boolean} isOn
 * @param {(isOn: boolean) => Promise<unknown>} change
 */
export function switchControl(label, isOn, change) {
  const says = h("span", { "aria-hidden": "true" });
  const input = h("input", {
    type: "checkbox", role: "switch", "aria-label": label,
    on: {
      change: async () => {
        const wanted = input.checked;
        set(wanted);
        // Not disabled: that would take the focus away.
        input.setAttribute("aria-busy", "true");
        try {
          await change(wanted);
        } catch (error) {
          set(!wanted);
          failed(error);
        } finally {
          input.removeAttribute("aria-busy");
        }
      },
      click: (/** @type {Event} */ event) => { if (input.hasAttribute("aria-busy")) event.preventDefault(); },
    },
  });
  const set = (/** @type {boolean} */ value) => {
    input.checked = value;
    says.textContent = value ? t("switch.on") : t("switch.off");
  };
  set(isOn);
  return { element: h("label", { class: "switch" }, input, says), set };
}

/**
 * A button that opens a list of things to do. Arrow keys move in it, Escape closes it.
 *
 * @param {string} label
 * @param {{label: string, press: () => unknown, kind?: "danger", icon?: Parameters<typeof icon>[0]}[]} items
 * @param {{icon?: Parameters<typeof icon>[0], hidesLabel?: boolean}} [options]
 */
export function menuButton(label, items, options = {}) {
  const id = uniqueID();
  const menu = h("div", { class: "menu", role: "menu", id, popover: "auto", "aria-label": label });
  for (const item of items) {
    menu.append(h("button", {
      type: "button", role: "menuitem", tabindex: -1, class: item.kind ?? "",
      on: {
        click: () => {
          menu.hidePopover();
          try {
            const result = item.press();
            if (result instanceof Promise) result.catch(failed);
          } catch (error) {
            failed(error);
          }
        },
      },
    }, item.icon && icon(item.icon), h("span", {}, item.label)));
  }
  const opener = h("button", {
    type: "button", class: "button plain", "aria-haspopup": "menu", "aria-expanded": "false", "aria-controls": id, "aria-label": options.hidesLabel ? label : null, title: options.hidesLabel ? label : null,
    popovertarget: id,
  }, icon(options.icon ?? "more"), options.hidesLabel ? null : h("span", {}, label));
  const buttons = () => /** @type {HTMLButtonElement[]} */ ([...menu.children]);
  menu.addEventListener("toggle", (event) => {
    const isOpen = /** @type {any} */ (event).newState === "open";
    opener.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) return;
    const place = opener.getBoundingClientRect();
    const size = menu.getBoundingClientRect();
    menu.style.left = `${Math.max(8, Math.min(place.right - size.width, innerWidth - size.width - 8))}px`;
    menu.style.top = `${place.bottom + size.height + 8 > innerHeight ? Math.max(8, place.top - size.height - 4) : place.bottom + 4}px`;
    buttons()[0]?.focus();
  });
  menu.addEventListener("keydown", (event) => {
    const all = buttons();
    const at = all.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const next = { ArrowDown: (at + 1) % all.length, ArrowUp: (at - 1 + all.length) % all.length, Home: 0, End: all.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    all[next].focus();
  });
  return h("span", { class: "menu-holder" }, opener, menu);
}
