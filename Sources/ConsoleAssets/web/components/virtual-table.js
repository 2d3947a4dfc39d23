// SPDX-License-Identifier: MIT

import { h, icon, replace } from "../core/dom.js";
import { t } from "../core/text.js";
import { failed } from "./controls.js";

/** @typedef {import("../core/dom.js").Child} Child */

/**
 * @template Row
 * @typedef {object} Column
 * @property {string} name Also the server's word to sort by, where `isSortable`.
 * @property {string} label
 * @property {(row: Row) => Child} cell
 * @property {string} width A track of CSS grid.
 * @property {boolean} [isSortable]
 * @property {boolean} [isNumber]
 * @property {boolean} [isSecondary] Left out on a phone.
 * @property {boolean} [isExtra] Left out where the window is not wide.
 */

/**
 * @template Row
 * @typedef {object} TableOptions
 * @property {string} label
 * @property {Column<Row>[]} columns
 * @property {(row: Row) => number} id
 * @property {(query: {offset: number, limit: number, sort: string}, signal: AbortSignal) => Promise<{rows: Row[], total: number}>} load
 * @property {string} [sort] The column to sort by at first, after `-` for descending.
 * @property {(row: Row) => void} [open] What Enter and a click do.
 * @property {(row: Row) => string} [rowLabel] What a row's checkbox is called; without it, rows cannot be selected.
 * @property {() => void} [selectionChanged]
 * @property {() => Child} [empty]
 * @property {(total: number) => void} [totalChanged]
 */

/**
 * A row that is in the page, and what it shows.
 *
 * @template Row
 * @typedef {{element: HTMLElement, checkbox: HTMLInputElement | null, cells: HTMLElement[], row: Row | undefined, isFilled: boolean}} ShownRow
 */

/**
 * A table of any number of rows, of which only those in sight are in the page. Rows come from the server by their position, a hundred at a time, and are kept
 * while they are near.
 *
 * Follows the grid pattern of WAI-ARIA: one row has the focus, arrow keys, Page Up and Down, Home and End move it, Space selects, Enter opens.
 *
 * @template Row
 */
export class VirtualTable {
  static rowHeight = 44;
  static pageSize = 100;
  static pagesKept = 12;
  /** What could not be had is asked for again after so many milliseconds. */
  static retryAfter = 3_000;
  /** Browsers cannot scroll further than some 2^24 pixels: beyond, positions are scaled. */
  static heightMax = 8_000_000;

  /** @type {TableOptions<Row>} */
  #options;
  /** @type {Map<number, {rows: Row[] | null, abort: AbortController}>} */
  #pages = new Map();
  /** The rows in the page, by position. @type {Map<number, ShownRow<Row>>} */
  #rows = new Map();
  #total = 0;
  #isKnown = false;
  #sort;
  #focused = 0;
  #drawing = 0;
  /** Counts what was asked for: an answer to an older question is not shown. */
  #generation = 0;
  /** @type {Set<number>} */
  selected = new Set();
  /** Whether all that the filter takes is selected, in sight or not. */
  isAllSelected = false;

  /** @type {HTMLElement} */
  element;
  #viewport;
  #spacer;
  #body;
  #head;
  #note;

  /** @param {TableOptions<Row>} options */
  constructor(options) {
    this.#options = options;
    this.#sort = options.sort ?? options.columns[0].name;
    this.#head = h("div", { class: "vt-head", role: "rowgroup" });
    this.#body = h("div", { class: "vt-rows", role: "presentation" });
    this.#spacer = h("div", { class: "vt-spacer", "aria-hidden": "true" });
    this.#viewport = h("div", { class: "vt-viewport", role: "rowgroup", tabindex: -1 }, this.#spacer, this.#body);
    this.#note = h("div", { class: "vt-note", role: "status" });
    this.element = h("div", { class: "vt", role: "grid", "aria-label": options.label, "aria-multiselectable": options.rowLabel ? "true" : null }, this.#head, this.#viewport, this.#note);
    const tracks = (/** @type {Column<Row>[]} */ columns) => [...options.rowLabel ? ["2.5rem"] : [], ...columns.map((column) => column.width)].join(" ");
    this.element.style.setProperty("--tracks-wide", tracks(options.columns));
    this.element.style.setProperty("--tracks", tracks(options.columns.filter((column) => !column.isExtra)));
    this.element.style.setProperty("--tracks-narrow", tracks(options.columns.filter((column) => !column.isSecondary && !column.isExtra)));
    this.#viewport.addEventListener("scroll", () => this.#scheduleDraw(), { passive: true });
    this.#viewport.addEventListener("keydown", (event) => this.#keyPressed(event));
    new ResizeObserver(() => this.#scheduleDraw()).observe(this.#viewport);
    this.#drawHead();
  }

  get total() { return this.#total; }

  /** Asks for everything anew, for instance since the filter is another one. */
  reload({ keepsPlace = false } = {}) {
    this.#generation += 1;
    for (const page of this.#pages.values()) page.abort.abort();
    if (keepsPlace) {
      // What is in sight stays until its successor is there.
      for (const [number, page] of this.#pages) if (page.rows !== null) page.abort = new AbortController(); else this.#pages.delete(number);
      for (const number of this.#pages.keys()) void this.#load(number, true);
      if (this.#pages.size === 0) void this.#load(0);
      return;
    }
    this.#pages.clear();
    this.#isKnown = false;
    this.#focused = 0;
    this.#viewport.scrollTop = 0;
    this.#scheduleDraw();
    void this.#load(0);
  }

  /** Asks again for the rows in sight. The others that were kept are forgotten, so that they are asked for when they come into sight. */
  async refresh() {
    const inSight = new Set([...this.#rows.keys()].map((index) => Math.floor(index / VirtualTable.pageSize)));
    for (const [number, page] of this.#pages) {
      if (inSight.has(number)) continue;
      page.abort.abort();
      this.#pages.delete(number);
    }
    await Promise.all([...this.#pages].filter(([, page]) => page.rows !== null).map(([number]) => this.#load(number, true, true)));
  }

  /** Forgets which rows are selected. */
  clearSelection() {
    this.selected.clear();
    this.isAllSelected = false;
    this.#scheduleDraw();
    this.#options.selectionChanged?.();
  }

  /** Selects all that the filter takes. */
  selectAll() {
    this.isAllSelected = true;
    this.selected.clear();
    this.#scheduleDraw();
    this.#options.selectionChanged?.();
  }

  /**
   * Shows a row that has changed, where it is in memory.
   *
   * @param {number} id
   * @param {(row: Row) => Row} change
   */
  update(id, change) {
    for (const { rows } of this.#pages.values()) {
      if (rows === null) continue;
      const at = rows.findIndex((row) => this.#options.id(row) === id);
      if (at < 0) continue;
      rows[at] = change(rows[at]);
      this.#scheduleDraw();
      return;
    }
  }

  /** The rows that are in memory. */
  *rowsInMemory() {
    for (const { rows } of this.#pages.values()) if (rows !== null) yield* rows;
  }

  /**
   * @param {number} number
   * @param {boolean} [again] Whether it is there and is to be replaced.
   * @param {boolean} [isQuiet] Whether nobody has asked for it: then nothing is said where it cannot be had.
   */
  async #load(number, again = false, isQuiet = false) {
    if (!again && this.#pages.has(number)) return;
    const generation = this.#generation;
    const abort = new AbortController();
    const before = this.#pages.get(number);
    this.#pages.set(number, { rows: before?.rows ?? null, abort });
    try {
      const { rows, total } = await this.#options.load({ offset: number * VirtualTable.pageSize, limit: VirtualTable.pageSize, sort: this.#sort }, abort.signal);
      // Forgotten, or asked for anew, in the meantime.
      if (generation !== this.#generation || this.#pages.get(number)?.abort !== abort) return;
      this.#pages.set(number, { rows, abort });
      if (this.#total !== total || !this.#isKnown) {
        this.#total = total;
        this.#isKnown = true;
        this.#options.totalChanged?.(total);
      }
    } catch (error) {
      if (generation !== this.#generation || this.#pages.get(number)?.abort !== abort || abort.signal.aborted) return;
      if (!isQuiet) failed(error);
      this.#isKnown = true;
      // What was there stays. What was not is asked for again after a while: at once would be without end where the server is away.
      if (before?.rows === undefined || before.rows === null) {
        setTimeout(() => {
          if (this.#pages.get(number)?.abort !== abort) return;
          this.#pages.delete(number);
          this.#scheduleDraw();
        }, VirtualTable.retryAfter);
      }
    }
    this.#scheduleDraw();
  }

  #scheduleDraw() {
    if (this.#drawing !== 0) return;
    this.#drawing = requestAnimationFrame(() => {
      this.#drawing = 0;
      this.#draw();
    });
  }

  #drawHead() {
    const descends = this.#sort.startsWith("-");
    const by = this.#sort.replace(/^-/, "");
    replace(this.#head, h(
      "div", { class: "vt-row", role: "row" },
      this.#options.rowLabel && h("div", { role: "columnheader", class: "vt-select" }, h("span", { class: "offscreen" }, t("table.select"))),
      this.#options.columns.map((column) => h(
        "div", {
          role: "columnheader", class: classOf(column),
          "aria-sort": column.isSortable ? column.name === by ? descends ? "descending" : "ascending" : "none" : null,
        },
        column.isSortable
          ? h("button", {
            type: "button", class: "button plain sort",
            on: {
              click: () => {
                this.#sort = column.name === by && !descends ? `-${column.name}` : column.name;
                this.#drawHead();
                this.reload();
              },
            },
          }, h("span", {}, column.label), column.name === by ? icon(descends ? "down" : "up") : null)
          : column.label))));
  }

  /** Where the first row in sight stands. */
  #firstInSight() {
    const height = this.#total * VirtualTable.rowHeight;
    const range = Math.min(height, VirtualTable.heightMax) - this.#viewport.clientHeight;
    if (height <= VirtualTable.heightMax || range <= 0) return this.#viewport.scrollTop / VirtualTable.rowHeight;
    return this.#viewport.scrollTop / range * (this.#total - this.#viewport.clientHeight / VirtualTable.rowHeight);
  }

  #draw() {
    const { rowHeight, pageSize } = VirtualTable;
    this.element.setAttribute("aria-rowcount", String(this.#total + 1));
    this.element.setAttribute("aria-busy", String(!this.#isKnown));
    this.element.setAttribute("aria-colcount", String(this.#options.columns.length + (this.#options.rowLabel ? 1 : 0)));
    this.#viewport.style.setProperty("--rows", String(this.#isKnown ? Math.max(2, Math.min(this.#total, 100)) : 20));
    this.#spacer.style.height = `${Math.min(this.#total * rowHeight, VirtualTable.heightMax)}px`;
    const isEmpty = this.#isKnown && this.#total === 0;
    replace(this.#note, isEmpty ? this.#options.empty?.() ?? t("table.empty") : !this.#isKnown ? t("busy") : null);
    this.#note.hidden = !(isEmpty || !this.#isKnown);
    const firstExact = this.#firstInSight();
    const first = Math.max(0, Math.floor(firstExact) - 4);
    const last = Math.min(this.#total, Math.ceil(firstExact + this.#viewport.clientHeight / rowHeight) + 4);
    const top = this.#viewport.scrollTop - (firstExact - first) * rowHeight;
    this.#body.style.transform = `translateY(${Math.max(0, top)}px)`;
    const hadFocus = this.#body.contains(document.activeElement);
    for (const [index, row] of this.#rows) {
      if (index >= first && index < last) continue;
      row.element.remove();
      this.#rows.delete(index);
    }
    let next = this.#body.firstElementChild;
    for (let index = first; index < last; index += 1) {
      const page = Math.floor(index / pageSize);
      const rows = this.#pages.get(page)?.rows;
      if (rows === undefined) void this.#load(page);
      const shown = this.#rowAt(index);
      this.#fill(shown, index, rows?.[index % pageSize]);
      if (shown.element === next) next = next.nextElementSibling;
      else this.#body.insertBefore(shown.element, next);
    }
    // The table can be reached by Tab, wherever it was scrolled to.
    this.#viewport.tabIndex = this.#rows.has(this.#focused) ? -1 : 0;
    if (hadFocus && !this.#body.contains(document.activeElement)) this.#focusRow();
    this.#forgetFarPages(Math.floor((first + last) / 2 / pageSize));
  }

  /** @param {number} center */
  #forgetFarPages(center) {
    if (this.#pages.size <= VirtualTable.pagesKept) return;
    const farthest = [...this.#pages.keys()].sort((one, other) => Math.abs(other - center) - Math.abs(one - center));
    for (const number of farthest.slice(0, this.#pages.size - VirtualTable.pagesKept)) {
      this.#pages.get(number)?.abort.abort();
      this.#pages.delete(number);
    }
  }

  /**
   * The element for a position. It stays in the page while what it shows changes: a press that began on it ends on it.
   *
   * @param {number} index
   * @returns {ShownRow<Row>}
   */
  #rowAt(index) {
    const before = this.#rows.get(index);
    if (before !== undefined) return before;
    /** @type {ShownRow<Row>} */
    const shown = { row: undefined, isFilled: false, checkbox: null, cells: [], element: h("div", { class: this.#options.open === undefined ? "vt-row" : "vt-row openable", role: "row", "aria-rowindex": index + 2, data: { index: String(index) } }) };
    shown.element.addEventListener("click", (event) => {
      this.#focused = index;
      if (/** @type {Element} */ (event.target).closest("button, a, input, label")) return;
      if (shown.row !== undefined) this.#options.open?.(shown.row);
    });
    if (this.#options.rowLabel !== undefined) {
      shown.checkbox = h("input", { type: "checkbox", tabindex: -1, on: { change: () => { if (shown.row !== undefined) this.#toggle(shown.row); } } });
      shown.element.append(h("div", { class: "vt-select", role: "gridcell" }, shown.checkbox));
    }
    shown.cells = this.#options.columns.map((column) => h("div", { role: "gridcell", class: classOf(column) }));
    shown.element.append(...shown.cells);
    this.#rows.set(index, shown);
    return shown;
  }

  /**
   * @param {ShownRow<Row>} shown
   * @param {number} index
   * @param {Row | undefined} row Undefined until it has come.
   */
  #fill(shown, index, row) {
    const isSelected = this.isAllSelected || row !== undefined && this.selected.has(this.#options.id(row));
    shown.element.tabIndex = index === this.#focused ? 0 : -1;
    if (this.#options.rowLabel !== undefined) shown.element.setAttribute("aria-selected", String(isSelected));
    if (shown.checkbox !== null) shown.checkbox.checked = isSelected;
    // Most rows that come again are what they were.
    const isSame = shown.isFilled && (shown.row === row || JSON.stringify(shown.row) === JSON.stringify(row));
    shown.row = row;
    shown.isFilled = true;
    if (isSame) return;
    if (shown.checkbox !== null) {
      shown.checkbox.hidden = row === undefined;
      shown.checkbox.setAttribute("aria-label", row === undefined ? "" : t("table.selectRow", { row: this.#options.rowLabel?.(row) ?? "" }));
    }
    shown.cells.forEach((cell, number) => replace(cell, row === undefined ? h("span", { class: "skeleton" }) : this.#options.columns[number].cell(row)));
  }

  /** @param {Row} row */
  #toggle(row) {
    const id = this.#options.id(row);
    if (this.isAllSelected) {
      // From here on, single rows: those that are in memory but for this one.
      this.isAllSelected = false;
      for (const other of this.rowsInMemory()) this.selected.add(this.#options.id(other));
      this.selected.delete(id);
    } else if (!this.selected.delete(id)) {
      this.selected.add(id);
    }
    this.#scheduleDraw();
    this.#options.selectionChanged?.();
  }

  /** @param {KeyboardEvent} event */
  #keyPressed(event) {
    const page = Math.max(1, Math.floor(this.#viewport.clientHeight / VirtualTable.rowHeight) - 1);
    const target = { ArrowDown: this.#focused + 1, ArrowUp: this.#focused - 1, PageDown: this.#focused + page, PageUp: this.#focused - page, Home: 0, End: this.#total - 1 }[event.key];
    if (target !== undefined) {
      event.preventDefault();
      this.#focused = Math.max(0, Math.min(this.#total - 1, target));
      this.#reveal(this.#focused);
      this.#draw();
      this.#focusRow();
      return;
    }
    if (/** @type {Element} */ (event.target).getAttribute("role") !== "row") return;
    const row = this.#pages.get(Math.floor(this.#focused / VirtualTable.pageSize))?.rows?.[this.#focused % VirtualTable.pageSize];
    if (row === undefined) return;
    if (event.key === "Enter" && this.#options.open !== undefined) {
      event.preventDefault();
      this.#options.open(row);
    } else if (event.key === " " && this.#options.rowLabel !== undefined) {
      event.preventDefault();
      this.#toggle(row);
    }
  }

  /** @param {number} index */
  #reveal(index) {
    const { rowHeight } = VirtualTable;
    const height = this.#total * rowHeight;
    const scale = height <= VirtualTable.heightMax ? 1 : (VirtualTable.heightMax - this.#viewport.clientHeight) / (height - this.#viewport.clientHeight);
    const top = index * rowHeight * scale;
    if (top < this.#viewport.scrollTop) this.#viewport.scrollTop = top;
    else if (top + rowHeight > this.#viewport.scrollTop + this.#viewport.clientHeight) this.#viewport.scrollTop = top + rowHeight - this.#viewport.clientHeight;
  }

  /** Gives the focus to the row that has it, or to the table where that row is out of sight: the keys go on from there. */
  #focusRow() {
    (this.#rows.get(this.#focused)?.element ?? this.#viewport).focus({ preventScroll: true });
  }
}

/** @param {{isNumber?: boolean, isSecondary?: boolean, isExtra?: boolean}} column */
const classOf = (column) => [column.isNumber ? "number" : "", column.isSecondary ? "secondary" : "", column.isExtra ? "extra" : ""].filter((name) => name !== "").join(" ");

/**
 * A plain table of a few rows.
 *
 * @template Row
 * @param {object} options
 * @param {string} options.caption
 * @param {{label: string, cell: (row: Row) => Child, isNumber?: boolean, isSecondary?: boolean, hidesLabel?: boolean}[]} options.columns
 * @param {Row[]} options.rows
 * @param {boolean} [options.showsCaption]
 */
export function plainTable(options) {
  return h(
    "div", { class: "table-holder", tabindex: 0, role: "region", "aria-label": options.caption },
    h(
      "table", {}, h("caption", { class: options.showsCaption ? "" : "offscreen" }, options.caption),
      h("thead", {}, h("tr", {}, options.columns.map((column) => h(
        "th", { scope: "col", class: classOf(column) }, column.hidesLabel ? h("span", { class: "offscreen" }, column.label) : column.label)))),
      h("tbody", {}, options.rows.map((row) => h("tr", {}, options.columns.map((column) => h(
        "td", { class: classOf(column) }, column.cell(row))))))));
}
