// SPDX-License-Identifier: MIT

import { h, icon, replace } from "../core/dom.js";
import { compact, dateTime, duration, NONE, number } from "../core/format.js";
import { t } from "../core/text.js";
import { statusElement } from "./request-words.js";

/** @typedef {import("../core/types.js").Exchange} Exchange */
/** @typedef {import("../core/dom.js").Child} Child */

/** More rows than these make the page slow: the oldest leave it, and can be asked for again. */
const ROWS_MAX = 1_000;
/** What comes is held back for so long after the pointer has moved over the rows. */
const POINTER_REST = 4_000;

/** @type {{name: "time" | "service" | "client" | "model" | "method" | "status" | "attempts" | "latency" | "firstByte" | "tokens" | "key", isNumber?: boolean, isSecondary?: boolean, isExtra?: boolean, isClipped?: boolean}[]} */
const COLUMNS = [
  { name: "time" }, { name: "service", isClipped: true }, { name: "client", isClipped: true, isSecondary: true }, { name: "model", isClipped: true, isSecondary: true }, { name: "method", isExtra: true }, { name: "status" }, { name: "attempts", isNumber: true, isSecondary: true },
  { name: "latency", isNumber: true }, { name: "firstByte", isNumber: true, isSecondary: true }, { name: "tokens", isNumber: true, isSecondary: true }, { name: "key", isNumber: true, isSecondary: true },
];

/**
 * Requests, newest first, that grow at the top. While somebody reads further down, points at a row or works in one, new ones wait until they are wanted: nothing
 * moves under the eyes or the hand.
 */
export class RequestList {
  #open;
  #serviceName;
  #dropped;
  /** @type {Exchange[]} */
  #rows = [];
  /** @type {Exchange[]} */
  #held = [];
  /** Whether there were more meanwhile than are held. */
  #isOverfull = false;
  #pointerAt = -Infinity;
  #body = h("tbody");
  #table;
  #news;

  element;

  /**
   * @param {object} options
   * @param {(exchange: Exchange) => void} options.open
   * @param {(slug: string) => string} options.serviceName
   * @param {() => void} options.dropped Told when old ones have left the list.
   */
  constructor({ open, serviceName, dropped }) {
    this.#open = open;
    this.#dropped = dropped;
    this.#serviceName = serviceName;
    this.#table = h(
      "div", { class: "table-holder card requests", tabindex: 0, role: "region", "aria-label": t("requests.list") },
      h(
        "table", {}, h("caption", { class: "offscreen" }, t("requests.list")),
        h("thead", {}, h("tr", {}, COLUMNS.map((column) => h("th", { scope: "col", class: classOf(column) }, t(`requests.column.${column.name}`))))), this.#body));
    this.#news = h("button", { type: "button", class: "button primary news", hidden: true, on: { click: () => this.showHeld() } });
    this.element = h("div", { class: "request-list" }, this.#news, this.#table);
    this.#body.addEventListener("pointermove", () => { this.#pointerAt = performance.now(); }, { passive: true });
    this.#body.addEventListener("pointerleave", () => { this.#pointerAt = -Infinity; });
    this.#body.addEventListener("keydown", (event) => this.#keyPressed(event));
  }

  /** The number of the newest that is known; 0 where there is none. */
  get newest() { return this.#held[0]?.id ?? this.#rows[0]?.id ?? 0; }

  /** The number of the oldest that is shown; null where there is none. */
  get oldest() { return this.#rows[this.#rows.length - 1]?.id ?? null; }

  get count() { return this.#rows.length; }

  /**
   * Shows these in the place of all.
   *
   * @param {Exchange[]} rows
   */
  set(rows) {
    this.#held = [];
    this.#isOverfull = false;
    this.#rows = rows;
    replace(this.#body, rows.map((row) => this.#element(row, false)));
    this.#drawNews();
  }

  /**
   * Takes newer ones.
   *
   * @param {Exchange[]} rows Newest first.
   * @param {boolean} isGap Whether some between these and the present ones are missing.
   */
  add(rows, isGap) {
    if (rows.length === 0 && this.#held.length === 0) return;
    this.#held = isGap ? rows : [...rows, ...this.#held];
    this.#isOverfull ||= isGap;
    if (this.#held.length > ROWS_MAX / 2) {
      this.#held = this.#held.slice(0, ROWS_MAX / 2);
      this.#isOverfull = true;
    }
    if (this.#isBusy()) this.#drawNews();
    else this.#release();
  }

  /** Shows what was held back. */
  showHeld() {
    this.#release();
    this.element.scrollIntoView({ block: "start" });
    // The button that had the focus is gone.
    this.#table.focus({ preventScroll: true });
  }

  /**
   * Takes older ones.
   *
   * @param {Exchange[]} rows
   */
  append(rows) {
    this.#rows.push(...rows);
    this.#body.append(...rows.map((row) => this.#element(row, false)));
  }

  /** Whether somebody would be disturbed. */
  #isBusy() {
    return this.#body.contains(document.activeElement) || performance.now() - this.#pointerAt < POINTER_REST || this.#table.getBoundingClientRect().top < 0 || document.querySelector("dialog[open]") !== null;
  }

  #release() {
    const rows = this.#held;
    const hasDropped = this.#isOverfull || this.#rows.length + rows.length > ROWS_MAX;
    if (this.#isOverfull) {
      this.#rows = [];
      replace(this.#body);
    }
    this.#held = [];
    this.#isOverfull = false;
    this.#rows.unshift(...rows);
    this.#body.prepend(...rows.map((row) => this.#element(row, true)));
    while (this.#rows.length > ROWS_MAX) {
      this.#rows.pop();
      this.#body.lastElementChild?.remove();
    }
    this.#drawNews();
    if (hasDropped) this.#dropped();
  }

  #drawNews() {
    const count = this.#held.length;
    this.#news.hidden = count === 0;
    if (count > 0) replace(this.#news, icon("up"), h("span", {}, this.#isOverfull ? t("requests.manyNew") : t("requests.new", { count })));
  }

  /**
   * @param {Exchange} row
   * @param {boolean} isFresh
   */
  #element(row, isFresh) {
    const time = dateTime(row.started_at, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" });
    const isToday = new Date(row.started_at).toDateString() === new Date().toDateString();
    const opener = h("button", { type: "button", class: "button link", "aria-haspopup": "dialog" }, h("time", { datetime: row.started_at, title: dateTime(row.started_at) }, isToday ? time : `${dateTime(row.started_at, { month: "short", day: "numeric" })} ${time}`));
    /** @type {Record<typeof COLUMNS[number]["name"], Child>} */
    const cells = {
      time: opener,
      service: text(this.#serviceName(row.service)),
      client: text(row.client),
      model: text(row.model),
      method: h("code", {}, row.method),
      status: statusElement(row),
      attempts: row.attempts > 1 ? h("strong", {}, number(row.attempts)) : number(row.attempts),
      latency: duration(row.duration_ms),
      firstByte: duration(row.first_byte_ms),
      tokens: row.tokens === null ? h("span", { class: "quiet" }, NONE) : h("span", { title: t("requests.tokens", { input: row.tokens.input, output: row.tokens.output, total: row.tokens.total }) }, compact(row.tokens.total)),
      key: row.key_id === null ? h("span", { class: "quiet" }, NONE) : `#${row.key_id}`,
    };
    return h(
      "tr", {
        class: `openable ${isFresh ? "fresh" : ""}`.trim(),
        on: {
          click: (/** @type {MouseEvent} */ event) => {
            // Whoever selects a text does not want to go anywhere.
            if (/** @type {Element} */ (event.target).closest("a") !== null || (getSelection()?.toString() ?? "") !== "") return;
            opener.focus({ preventScroll: true });
            this.#open(row);
          },
        },
      }, COLUMNS.map((column) => h("td", { class: classOf(column) }, cells[column.name])));
  }

  /** @param {KeyboardEvent} event */
  #keyPressed(event) {
    const buttons = /** @type {HTMLElement[]} */ ([...this.#body.querySelectorAll("button")]);
    const at = buttons.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (at < 0 || next === undefined) return;
    event.preventDefault();
    buttons[Math.max(0, Math.min(buttons.length - 1, next))].focus();
  }
}

/**
 * A text that may be too long for its column.
 *
 * @param {string | null} value
 */
const text = (value) => value === null || value === "" ? h("span", { class: "quiet" }, NONE) : h("span", { title: value }, value);

/** @param {typeof COLUMNS[number]} column */
const classOf = (column) => `${column.isNumber ? "number" : ""} ${column.isSecondary ? "secondary" : ""} ${column.isExtra ? "extra" : ""} ${column.isClipped ? "clip" : ""}`.trim();
