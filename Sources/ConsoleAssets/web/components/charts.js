// SPDX-License-Identifier: MIT

import { h, replace, s } from "../core/dom.js";
import { dateTime, NONE } from "../core/format.js";
import { t } from "../core/text.js";
import { plainTable } from "./virtual-table.js";

/**
 * @typedef {object} Line
 * @property {string} label
 * @property {number} color 1…4: the number of a colour of the theme.
 * @property {(number | null)[]} values One for each time; null leaves a gap.
 */

/**
 * A chart of lines over time. Its lines can be read as a table too, and pointing at it shows the values of that time.
 */
export class LineChart {
  static #height = 180;
  static #margin = { top: 10, right: 8, bottom: 22, left: 52 };

  /** In pixels of the page, so that its texts keep their shape however wide it is. */
  #width = 640;
  #label;
  #format;
  #plot;
  #table = h("div");
  #details;
  #tip;
  #legend;
  /** @type {number[]} */
  #times = [];
  /** @type {Line[]} */
  #lines = [];
  #ceiling = 1;
  #isLastPartial = false;

  /** @type {HTMLElement} */
  element;

  /**
   * @param {object} options
   * @param {string} options.label
   * @param {(value: number) => string} options.format
   */
  constructor(options) {
    this.#label = options.label;
    this.#format = options.format;
    this.#plot = s("svg", { class: "chart-plot", preserveAspectRatio: "none", role: "img", "aria-label": options.label });
    this.#tip = h("div", { class: "chart-tip", hidden: true });
    this.#legend = h("div", { class: "chart-legend" });
    const frame = h("div", { class: "chart-frame" }, this.#plot, this.#tip);
    frame.addEventListener("pointermove", (event) => this.#point(event));
    frame.addEventListener("pointerleave", () => { this.#tip.hidden = true; });
    this.#details = h("details", { class: "chart-table", on: { toggle: () => this.#drawTable() } }, h("summary", {}, t("chart.asTable")), this.#table);
    this.element = h("figure", { class: "chart" }, h("figcaption", {}, h("span", {}, options.label), this.#legend), frame, this.#details);
    new ResizeObserver(([entry]) => {
      const width = Math.round(entry.contentRect.width);
      if (width === 0 || width === this.#width) return;
      this.#width = width;
      this.#draw();
    }).observe(frame);
  }

  /**
   * Shows lines.
   *
   * @param {number[]} times In milliseconds since 1970, ascending.
   * @param {Line[]} lines
   * @param {{isLastPartial?: boolean}} [options] `isLastPartial`: the last stretch is not over yet, so what was counted in it will still grow; it is drawn dashed.
   */
  show(times, lines, options = {}) {
    this.#times = times;
    this.#lines = lines;
    this.#isLastPartial = options.isLastPartial ?? false;
    this.#draw();
    this.#drawTable();
  }

  #draw() {
    const times = this.#times, lines = this.#lines;
    const { top, right, bottom, left } = LineChart.#margin;
    this.#plot.setAttribute("viewBox", `0 0 ${this.#width} ${LineChart.#height}`);
    const width = this.#width - left - right, height = LineChart.#height - top - bottom;
    this.#ceiling = niceCeiling(Math.max(0, ...lines.flatMap((line) => line.values.map((value) => value ?? 0))));
    const x = (/** @type {number} */ index) => left + (times.length < 2 ? width : index / (times.length - 1) * width);
    const y = (/** @type {number} */ value) => top + height - value / this.#ceiling * height;
    const marks = [0, 0.5, 1].map((share) => share * this.#ceiling);
    const latest = lines.map((line) => `${line.label} ${this.#say(latestOf(line.values))}`).join(", ");
    this.#plot.setAttribute("aria-label", latest === "" ? this.#label : `${this.#label}: ${latest}`);
    replace(
      this.#plot,
      marks.map((mark) => s("line", { class: "chart-grid", x1: left, x2: left + width, y1: y(mark), y2: y(mark) })),
      marks.map((mark) => s("text", { class: "chart-mark", x: left - 6, y: y(mark) + 4, "text-anchor": "end" }, this.#format(mark))),
      this.#timeMarks().map(({ index, text, anchor }) => s("text", { class: "chart-mark", x: x(index), y: LineChart.#height - 5, "text-anchor": anchor }, text)),
      lines.map((line) => [
        s("path", { class: `chart-line points color-${line.color}`, d: points(line.values, x, y) }),
        s("path", { class: `chart-line color-${line.color}`, d: path(this.#isLastPartial && line.values.length > 1 ? line.values.slice(0, -1) : line.values, x, y) }),
        this.#isLastPartial && line.values.length > 1 && s("path", { class: `chart-line partial color-${line.color}`, d: path(line.values.map((value, index) => index < line.values.length - 2 ? null : value), x, y) }),
      ]));
    replace(this.#legend, lines.length < 2 ? null : lines.map((line) => h("span", { class: `chart-key color-${line.color}` }, line.label)));
  }

  /** Fills the table where it is open. */
  #drawTable() {
    if (!this.#details.open) return;
    const before = this.#table.firstElementChild;
    const table = plainTable({
      caption: this.#label, rows: this.#times.map((time, index) => ({ time, index })),
      columns: [
        { label: t("chart.time"), cell: ({ time }) => dateTime(time) },
        ...this.#lines.map((line) => ({ label: line.label, cell: (/** @type {{index: number}} */ { index }) => this.#say(line.values[index] ?? null), isNumber: true })),
      ],
    });
    const top = before?.scrollTop ?? 0, hadFocus = before !== null && before === document.activeElement;
    replace(this.#table, table);
    table.scrollTop = top;
    if (hadFocus) table.focus({ preventScroll: true });
  }

  /** @param {number | null} value */
  #say(value) { return value === null ? NONE : this.#format(value); }

  #timeMarks() {
    if (this.#times.length === 0) return [];
    const last = this.#times.length - 1;
    const isLong = this.#times[last] - this.#times[0] > 86_400_000;
    const isShort = this.#times[last] - this.#times[0] < 600_000;
    const say = (/** @type {number} */ index) => dateTime(
      this.#times[index], isLong ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit", second: isShort ? "2-digit" : undefined });
    return [
      { index: 0, text: say(0), anchor: "start" },
      ...last > 1 ? [{ index: Math.floor(last / 2), text: say(Math.floor(last / 2)), anchor: "middle" }] : [],
      ...last > 0 ? [{ index: last, text: say(last), anchor: "end" }] : [],
    ];
  }

  /** @param {PointerEvent} event */
  #point(event) {
    if (this.#times.length === 0) return;
    const frame = this.#plot.getBoundingClientRect();
    const { left, right } = LineChart.#margin;
    const at = (event.clientX - frame.left) / frame.width * this.#width;
    const share = (at - left) / (this.#width - left - right);
    const index = Math.max(0, Math.min(this.#times.length - 1, Math.round(share * (this.#times.length - 1))));
    replace(
      this.#tip, h("strong", {}, dateTime(this.#times[index])),
      this.#lines.map((line) => h("span", { class: `chart-key color-${line.color}` }, `${line.label} ${this.#say(line.values[index] ?? null)}`)));
    this.#tip.hidden = false;
    const isRight = event.clientX - frame.left > frame.width / 2;
    this.#tip.style.left = isRight ? "" : `${event.clientX - frame.left + 12}px`;
    this.#tip.style.right = isRight ? `${frame.right - event.clientX + 12}px` : "";
  }
}

/**
 * @param {(number | null)[]} values
 * @param {(index: number) => number} x
 * @param {(value: number) => number} y
 */
function path(values, x, y) {
  let text = "", isDown = false;
  values.forEach((value, index) => {
    if (value === null) {
      isDown = false;
      return;
    }
    text += `${isDown ? "L" : "M"}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
    isDown = true;
  });
  return text;
}

/**
 * Values alone between gaps, which a line does not show, as points.
 *
 * @param {(number | null)[]} values
 * @param {(index: number) => number} x
 * @param {(value: number) => number} y
 */
function points(values, x, y) {
  return values.map((value, index) => value === null || (values[index - 1] ?? null) !== null || (values[index + 1] ?? null) !== null ? "" : `M${x(index).toFixed(1)} ${y(value).toFixed(1)}h0.01`).join("");
}

/** @param {(number | null)[]} values */
function latestOf(values) {
  for (let index = values.length - 1; index >= 0; index -= 1) if (values[index] !== null) return values[index];
  return null;
}

/** @param {number} value */
function niceCeiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 2.5, 5, 10].find((candidate) => candidate * power >= value) ?? 10;
  return step * power;
}

/**
 * Shares of a whole as one bar; what it shows is said in words beside it.
 *
 * @param {{label: string, value: number, state: string}[]} parts
 * @param {string} label
 */
export function shareBar(parts, label) {
  const whole = parts.reduce((sum, part) => sum + part.value, 0);
  const bar = h("div", { class: "share-bar", role: "img", "aria-label": `${label}: ${parts.filter((part) => part.value > 0).map((part) => `${part.label} ${part.value}`).join(", ")}` });
  for (const part of parts) {
    if (part.value === 0) continue;
    const piece = h("span", { data: { state: part.state } });
    piece.style.flexGrow = String(part.value / whole);
    bar.append(piece);
  }
  return bar;
}

/**
 * How far something is.
 *
 * @param {string} label
 */
export function progressBar(label) {
  const bar = h("progress", { max: 1, value: 0, "aria-label": label });
  const text = h("span", { class: "progress-text", role: "status" });
  return {
    element: h("div", { class: "progress" }, bar, text),
    /**
     * @param {number} done
     * @param {number} total
     * @param {string} says
     */
    show(done, total, says) {
      bar.max = Math.max(1, total);
      bar.value = done;
      text.textContent = says;
    },
  };
}
