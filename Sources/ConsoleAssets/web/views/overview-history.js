// SPDX-License-Identifier: MIT

import { h, replace } from "../core/dom.js";
import { compact, duration, percent, span } from "../core/format.js";
import { preferences } from "../core/preferences.js";
import { address } from "../core/router.js";
import { t } from "../core/text.js";
import { LineChart } from "../components/charts.js";
import { busy, failure, segmented } from "../components/controls.js";
import { plainTable } from "../components/virtual-table.js";

/** @typedef {import("../core/types.js").Percentiles} Percentiles */
/** @typedef {import("../core/types.js").SeriesPoint} SeriesPoint */
/** @typedef {import("../core/types.js").Stats} Stats */
/** @typedef {import("../core/types.js").Tally} Tally */
/** @typedef {"5m" | "1h" | "24h" | "7d" | "30d" | "90d"} Window */

/**
 * The windows, and how long one is looked at until it is asked for again, in milliseconds: no sooner than its last point can have changed to the eye.
 *
 * @type {Record<Window, number>}
 */
const WINDOWS = { "5m": 5_000, "1h": 10_000, "24h": 60_000, "7d": 300_000, "30d": 300_000, "90d": 300_000 };
const LISTED_MAX = 8;

/** @type {{text: import("../core/text.js").TextKey, of: (point: SeriesPoint) => Percentiles}[]} */
const TIMES = [
  { text: "overview.chart.latency", of: (point) => point.latency_ms }, { text: "overview.chart.firstByte", of: (point) => point.first_byte_ms }, { text: "overview.chart.added", of: (point) => point.added_ms },
];

/** What was counted in a window that can be chosen: as charts, and as the services, clients and models with the most requests. */
export class History {
  #load;
  #signal;
  /** @type {Window} */
  #window;
  /** When it is asked for again. */
  #due = 0;
  #isLoading = false;
  #requests = new LineChart({ label: t("overview.chart.requests"), format: compact });
  #tokens = new LineChart({ label: t("overview.chart.tokens"), format: compact });
  #times = TIMES.map(({ text, of }) => ({ of, chart: new LineChart({ label: t(text), format: duration }) }));
  #hint = h("p", { class: "hint" });
  #place = h("div", { class: "stack" }, busy());
  #charts = h("div", { class: "grid charts" }, [this.#requests, this.#tokens, ...this.#times.map(({ chart }) => chart)].map((chart) => h("div", { class: "card" }, chart.element)));
  #tables = h("div", { class: "grid tops" });

  element;

  /**
   * @param {(window: Window) => Promise<Stats>} load
   * @param {AbortSignal} signal
   */
  constructor(load, signal) {
    this.#load = load;
    this.#signal = signal;
    const kept = preferences.get("window");
    this.#window = kept !== null && kept in WINDOWS ? /** @type {Window} */ (kept) : "1h";
    const choices = /** @type {Window[]} */ (Object.keys(WINDOWS)).map((value) => ({ value, label: t(`overview.window.${value}`) }));
    this.element = h(
      "section", { class: "stack", "aria-labelledby": "overview-history" },
      h("div", { class: "spread" }, h("h2", { id: "overview-history" }, t("overview.history")), segmented(t("overview.window"), choices, this.#window, (value) => {
        this.#window = value;
        preferences.set("window", value);
        this.#place.setAttribute("aria-busy", "true");
        this.#due = 0;
        void this.refresh();
      })),
      this.#hint, this.#place);
  }

  /** Asks again where it is time to. */
  async refresh() {
    if (performance.now() < this.#due) return;
    const wanted = this.#window;
    this.#due = performance.now() + WINDOWS[wanted];
    if (this.#isLoading && !this.#place.hasAttribute("aria-busy")) return;
    this.#isLoading = true;
    try {
      const stats = await this.#load(wanted);
      // Another one may have been chosen since.
      if (wanted === this.#window && !this.#signal.aborted) this.#show(stats);
    } catch (error) {
      const isShown = this.#charts.isConnected && !this.#place.hasAttribute("aria-busy");
      if (this.#signal.aborted || wanted !== this.#window || isShown) return;
      this.#place.removeAttribute("aria-busy");
      replace(this.#place, failure(error, () => {
        this.#due = 0;
        void this.refresh();
      }));
    } finally {
      this.#isLoading = false;
    }
  }

  /** @param {Stats} stats */
  #show(stats) {
    this.#place.removeAttribute("aria-busy");
    if (!this.#charts.isConnected) replace(this.#place, this.#charts, this.#tables);
    const { series } = stats;
    const times = series.map((point) => Date.parse(point.start));
    // What is being counted still grows: without a word it would look like a fall.
    const options = { isLastPartial: true };
    this.#requests.show(times, [
      { label: t("overview.line.requests"), color: 1, values: series.map((point) => point.requests) }, { label: t("overview.line.failures"), color: 2, values: series.map((point) => point.failures) },
    ], options);
    this.#tokens.show(times, [
      { label: t("overview.line.input"), color: 1, values: series.map((point) => point.tokens.input) }, { label: t("overview.line.output"), color: 4, values: series.map((point) => point.tokens.output) },
      { label: t("overview.line.cached"), color: 3, values: series.map((point) => point.tokens.cached_input) },
    ], options);
    for (const { chart, of } of this.#times) {
      chart.show(times, [
        { label: "p50", color: 1, values: series.map((point) => of(point)?.p50 ?? null) }, { label: "p95", color: 3, values: series.map((point) => of(point)?.p95 ?? null) },
        { label: "p99", color: 4, values: series.map((point) => of(point)?.p99 ?? null) },
      ]);
    }
    const says = t("overview.historyHint", { count: stats.totals.requests, share: percent(stats.totals.success_rate), tokens: compact(stats.totals.tokens.total), step: stepText(stats.step_seconds) });
    if (this.#hint.textContent !== says) this.#hint.textContent = says;
    keepingFocus(this.#tables, () => replace(
      this.#tables,
      topTable(t("overview.top.services"), t("overview.top.service"), stats.services, (row) => row.service === null
        ? h("span", { class: "quiet" }, t("overview.top.gone", { id: row.service_id ?? "?" })) : h("a", { href: address(["services", row.service_id ?? ""]) }, row.name ?? row.service), (row) => row.service === null ? null : { service: row.service }),
      topTable(t("overview.top.clients"), t("overview.top.client"), stats.clients, (row) => h("a", { href: address(["clients"], { q: row.client }) }, row.client), (row) => ({ client: row.client })),
      topTable(t("overview.top.models"), t("overview.top.model"), stats.models, (row) => h("span", {}, row.model), (row) => ({ model: row.model }))));
  }
}

/** @param {number} seconds */
const stepText = (seconds) => seconds === 86_400 ? t("overview.step.day") : seconds === 60 ? t("overview.step.minute") : seconds % 3600 === 0 ? t("overview.step.hours", { count: seconds / 3600 }) : span(seconds);

/**
 * @template {Tally} Row
 * @param {string} title
 * @param {string} subject
 * @param {Row[]} rows
 * @param {(row: Row) => import("../core/dom.js").Child} name
 * @param {(row: Row) => Record<string, string> | null} filter What the requests of a row are found by.
 */
function topTable(title, subject, rows, name, filter) {
  return h("div", { class: "card" }, h("h3", {}, title), rows.length === 0 ? h("p", { class: "quiet" }, t("overview.top.none")) : plainTable({
    caption: title, rows: rows.slice(0, LISTED_MAX),
    columns: [
      { label: subject, cell: name },
      { label: t("overview.top.requests"), isNumber: true, cell: (row) => {
        const query = filter(row);
        return query === null ? compact(row.requests) : h("a", { href: address(["requests"], query), "aria-label": t("overview.top.seeRequests", { count: row.requests, name: Object.values(query)[0] }) }, compact(row.requests));
      } },
      { label: t("overview.top.success"), isNumber: true, cell: (row) => h("span", { class: (row.success_rate ?? 1) < 0.9 ? "bad" : "" }, percent(row.success_rate)) },
      { label: t("overview.top.tokens"), isNumber: true, isSecondary: true, cell: (row) => compact(row.tokens.total) },
      { label: t("overview.top.p95"), isNumber: true, isSecondary: true, cell: (row) => duration(row.latency_ms.p95) },
    ],
  }));
}

/**
 * Draws something anew; the link that had the focus has it again.
 *
 * @param {HTMLElement} place
 * @param {() => void} draw
 */
function keepingFocus(place, draw) {
  const focused = place.contains(document.activeElement) ? document.activeElement : null;
  const href = focused?.getAttribute("href") ?? null, label = focused?.getAttribute("aria-label") ?? null;
  draw();
  if (focused === null) return;
  const again = /** @type {HTMLElement | undefined} */ ([...place.querySelectorAll("a, [tabindex]")].find((one) => href !== null ? one.getAttribute("href") === href : one.getAttribute("aria-label") === label));
  again?.focus({ preventScroll: true });
}
