// SPDX-License-Identifier: MIT

import { h } from "../core/dom.js";
import { compact, duration, NONE, number, percent } from "../core/format.js";
import { t } from "../core/text.js";
import { LineChart } from "../components/charts.js";

/** @typedef {import("../core/types.js").Counters} Counters */
/** @typedef {import("../core/types.js").Percentiles} Percentiles */
/** @typedef {import("../core/types.js").Tally} Tally */

/** How many seconds are remembered: as many as the live chart shows. */
const SECONDS_KEPT = 120;
/** Numbers of fewer requests than these jump about: a longer time is looked at instead. */
const REQUESTS_ENOUGH = 20;

/**
 * What was counted in a while.
 *
 * @typedef {object} Span
 * @property {number} seconds
 * @property {number} requests
 * @property {number} failures
 * @property {{input: number, output: number, total: number}} tokens
 * @property {Percentiles} added
 * @property {Percentiles} firstByte
 */

/** The last seconds of the server's counters. */
export class LiveCounters {
  /** @type {{at: number, event: Counters}[]} */
  #seconds = [];

  /** @param {Counters[]} events */
  take(events) {
    for (const event of events) this.#seconds.push({ at: Date.parse(event.at), event });
    const latest = this.#seconds[this.#seconds.length - 1].at;
    // A server whose clock was set back begins anew.
    this.#seconds = this.#seconds.filter(({ at }) => at <= latest && at > latest - SECONDS_KEPT * 1000).slice(-SECONDS_KEPT);
  }

  get isEmpty() { return this.#seconds.length === 0; }

  /** The latest second; null before the first. */
  get latest() { return this.#seconds[this.#seconds.length - 1]?.event ?? null; }

  /**
   * What was counted in the last seconds, of those that there are.
   *
   * @param {number} count
   * @returns {Span}
   */
  last(count) {
    const end = this.#seconds[this.#seconds.length - 1]?.at ?? 0;
    const events = this.#seconds.filter(({ at }) => at > end - count * 1000 + 500).map(({ event }) => event);
    const sum = (/** @type {(event: Counters) => number} */ of) => events.reduce((total, event) => total + of(event), 0);
    return {
      seconds: events.length, requests: sum((event) => event.requests), failures: sum((event) => event.failures),
      tokens: { input: sum((event) => event.tokens.input), output: sum((event) => event.tokens.output), total: sum((event) => event.tokens.total) },
      added: merged(events.map((event) => ({ weight: event.requests, percentiles: event.added_ms }))),
      firstByte: merged(events.map((event) => ({ weight: event.requests, percentiles: event.first_byte_ms }))),
    };
  }

  /** Requests and failures of each second that is remembered, with gaps where none was told. */
  series() {
    const end = this.#seconds[this.#seconds.length - 1]?.at ?? 0;
    // The whole two minutes from the beginning, so that a second is as wide throughout.
    const start = end - (SECONDS_KEPT - 1) * 1000, length = this.#seconds.length === 0 ? 0 : SECONDS_KEPT;
    /** @type {(number | null)[]} */
    const requests = Array.from({ length }, () => null);
    const failures = [...requests];
    for (const { at, event } of this.#seconds) {
      const index = Math.max(0, Math.round((at - start) / 1000));
      requests[index] = event.requests;
      failures[index] = event.failures;
    }
    return { times: requests.map((_, index) => start + index * 1000), requests, failures };
  }
}

/**
 * Percentiles of several seconds together. Each second tells three points of its own: what lies below a point is taken to be as long as it, so that the answer is
 * never too good.
 *
 * @param {{weight: number, percentiles: Percentiles | undefined}[]} seconds
 * @returns {Percentiles}
 */
export function merged(seconds) {
  /** @type {{weight: number, value: number}[]} */
  const points = [];
  for (const { weight, percentiles } of seconds) {
    if (percentiles === undefined || percentiles.p50 === null || weight === 0) continue;
    points.push(
      { weight: weight * 0.5, value: percentiles.p50 }, { weight: weight * 0.45, value: percentiles.p95 ?? percentiles.p50 }, { weight: weight * 0.05, value: percentiles.p99 ?? percentiles.p50 });
  }
  points.sort((one, other) => one.value - other.value);
  const whole = points.reduce((sum, point) => sum + point.weight, 0);
  const at = (/** @type {number} */ share) => {
    let sum = 0;
    // A little less: sums of fractions are not exact.
    for (const point of points) if ((sum += point.weight) >= whole * share - 1e-9) return point.value;
    return null;
  };
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

/**
 * The while that is short enough to be live and long enough to be steady. Where the last minute is too quiet, the five minutes that statistics tell; null where
 * nothing is known.
 *
 * @param {LiveCounters} live
 * @param {Tally | null} fiveMinutes
 * @returns {Span | null}
 */
export function steadySpan(live, fiveMinutes) {
  const short = live.last(10);
  if (short.requests >= REQUESTS_ENOUGH) return short;
  const minute = live.last(60);
  if (minute.requests >= REQUESTS_ENOUGH || minute.requests > 0 && minute.requests >= (fiveMinutes?.requests ?? 0)) return minute;
  if (fiveMinutes === null || fiveMinutes.requests === 0) return null;
  return { seconds: 300, requests: fiveMinutes.requests, failures: fiveMinutes.failures, tokens: fiveMinutes.tokens, added: fiveMinutes.added_ms, firstByte: fiveMinutes.first_byte_ms };
}

/** The numbers of the present. */
export class LiveTiles {
  #rate = new Tile(t("overview.tile.rate"));
  #success = new Tile(t("overview.tile.success"));
  #added = new Tile(t("overview.tile.added"));
  #firstByte = new Tile(t("overview.tile.firstByte"));
  #tokens = new Tile(t("overview.tile.tokens"));
  #streams = new Tile(t("overview.tile.streams"));

  element = h("dl", { class: "tiles live-tiles" }, [this.#rate, this.#success, this.#added, this.#firstByte, this.#tokens, this.#streams].map((tile) => tile.element));

  /**
   * @param {LiveCounters} live
   * @param {Tally | null} fiveMinutes
   */
  show(live, fiveMinutes) {
    const short = live.last(10), minute = live.last(60), span = steadySpan(live, fiveMinutes);
    const during = span === null ? t("overview.tile.quiet") : span.seconds === 300 ? t("overview.tile.lastMinutes", { count: 5 }) : t("overview.tile.lastSeconds", { count: span.seconds });
    this.#rate.show(live.isEmpty ? NONE : rate(short.requests / short.seconds), fiveMinutes === null ? "" : t("overview.tile.recent", { count: Math.max(fiveMinutes.requests, minute.requests) }));
    this.#success.show(
      span === null ? NONE : percent(1 - span.failures / span.requests), span === null ? "" : t("overview.tile.failed", { failures: span.failures, count: span.requests }), during,
      span !== null && span.failures / span.requests > 0.1);
    this.#added.show(duration(span?.added?.p50), tail(span?.added), during);
    this.#firstByte.show(duration(span?.firstByte?.p50), tail(span?.firstByte), during);
    this.#tokens.show(live.isEmpty ? NONE : compact(minute.tokens.total / minute.seconds * 60), live.isEmpty ? "" : t("overview.tile.inOut", {
      input: compact(minute.tokens.input / minute.seconds * 60), output: compact(minute.tokens.output / minute.seconds * 60) }));
    this.#streams.show(live.latest === null ? NONE : number(live.latest.open_streams), t("overview.tile.streamsHint"));
  }
}

/** @param {number} value */
const rate = (value) => number(value, { maximumFractionDigits: value < 10 ? 1 : 0 });

/** @param {Percentiles | undefined} percentiles */
const tail = (percentiles) => (percentiles?.p50 ?? null) === null ? "" : t("overview.tile.tail", { p95: duration(percentiles?.p95), p99: duration(percentiles?.p99) });

/** One number with its name; only what differs is written. */
class Tile {
  #value = h("span");
  #detail = h("small");
  #during = h("small");

  element;

  /** @param {string} label */
  constructor(label) {
    this.element = h("div", { class: "tile" }, h("dt", {}, label), h("dd", {}, this.#value, this.#detail, this.#during));
  }

  /**
   * @param {string} value
   * @param {string} detail
   * @param {string} [during]
   * @param {boolean} [isBad]
   */
  show(value, detail, during = "", isBad = false) {
    write(this.#value, value);
    write(this.#detail, detail);
    write(this.#during, during);
    if (this.#value.classList.contains("bad") !== isBad) this.#value.classList.toggle("bad", isBad);
  }
}

/**
 * @param {HTMLElement} element
 * @param {string} text
 */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A chart of the last two minutes, second by second. */
export class LiveLines {
  #chart = new LineChart({ label: t("overview.chart.live"), format: compact });

  element = h("section", { class: "card", "aria-label": t("overview.chart.live") }, this.#chart.element);

  /** @param {LiveCounters} live */
  show(live) {
    const { times, requests, failures } = live.series();
    this.#chart.show(times, [{ label: t("overview.line.requests"), color: 1, values: requests }, { label: t("overview.line.failures"), color: 2, values: failures }]);
  }
}
