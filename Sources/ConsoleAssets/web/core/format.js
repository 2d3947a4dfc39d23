// SPDX-License-Identifier: MIT

import { h } from "./dom.js";
import { locale, t } from "./text.js";

/** What stands where there is no value. */
export const NONE = "–";

/** @type {Map<string, Intl.NumberFormat>} */
const numberFormats = new Map();

/**
 * @param {number} value
 * @param {Intl.NumberFormatOptions} [options]
 */
export function number(value, options = {}) {
  const key = locale() + JSON.stringify(options);
  let format = numberFormats.get(key);
  if (format === undefined) numberFormats.set(key, format = new Intl.NumberFormat(locale(), options));
  return format.format(value);
}

/**
 * A large number in few characters, such as 1.2M.
 *
 * @param {number} value
 */
export const compact = (value) => number(value, value < 10_000 ? { maximumFractionDigits: value < 10 ? 1 : 0 } : { notation: "compact", maximumFractionDigits: 1 });

/**
 * A share of 0 to 1; what is not all is never shown as 100 %.
 *
 * @param {number | null} share
 */
export function percent(share) {
  if (share === null) return NONE;
  const shown = share < 1 ? Math.min(share, 0.9999) : share;
  return number(shown, { style: "percent", maximumFractionDigits: shown > 0.99 && shown < 1 ? 2 : 1 });
}

/**
 * Milliseconds as a person reads them.
 *
 * @param {number | null | undefined} ms
 */
export function duration(ms) {
  if (ms === null || ms === undefined) return NONE;
  if (ms < 1) return `${number(Math.round(ms * 1000))} µs`;
  if (ms < 10) return `${number(ms, { maximumFractionDigits: 1 })} ms`;
  if (ms < 1000) return `${number(Math.round(ms))} ms`;
  if (ms < 60_000) return `${number(ms / 1000, { maximumFractionDigits: 2 })} s`;
  return span(ms / 1000);
}

/**
 * A length of time in its two largest units, such as 2 h 5 min.
 *
 * @param {number} seconds
 */
export function span(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  const days = Math.floor(whole / 86_400), hours = Math.floor(whole / 3600) % 24, minutes = Math.floor(whole / 60) % 60, rest = whole % 60;
  if (days > 0) return t("span.days", { days, hours });
  if (hours > 0) return t("span.hours", { hours, minutes });
  if (minutes > 0) return t("span.minutes", { minutes, seconds: rest });
  return t("span.seconds", { seconds: rest });
}

/** @type {Map<string, Intl.DateTimeFormat>} */
const dateFormats = new Map();

/**
 * A moment in the browser's time zone.
 *
 * @param {string | number | Date} moment
 * @param {Intl.DateTimeFormatOptions} [options]
 */
export function dateTime(moment, options = { dateStyle: "medium", timeStyle: "medium" }) {
  const key = locale() + JSON.stringify(options);
  let format = dateFormats.get(key);
  if (format === undefined) dateFormats.set(key, format = new Intl.DateTimeFormat(locale(), options));
  return format.format(new Date(moment));
}

/**
 * How long ago a moment was, or in how long it will be.
 *
 * @param {number} then In milliseconds since 1970.
 * @param {number} now
 */
export function relative(then, now) {
  const seconds = Math.round((then - now) / 1000);
  const format = new Intl.RelativeTimeFormat(locale(), { numeric: "auto", style: "short" });
  const distance = Math.abs(seconds);
  if (distance < 60) return format.format(seconds, "second");
  if (distance < 3600) return format.format(Math.trunc(seconds / 60), "minute");
  if (distance < 86_400) return format.format(Math.trunc(seconds / 3600), "hour");
  return format.format(Math.trunc(seconds / 86_400), "day");
}

/** Elements whose text follows the clock, each with what it says then. They are forgotten when they have left the page. */
/** @type {Map<HTMLElement, (now: number) => string>} */
const following = new Map();
/** @type {ReturnType<typeof setInterval> | undefined} */
let ticking;

function tick() {
  const now = Date.now();
  for (const [element, say] of following) {
    if (!element.isConnected) {
      following.delete(element);
      continue;
    }
    const text = say(now);
    if (element.textContent !== text) element.textContent = text;
  }
  if (following.size === 0) {
    clearInterval(ticking);
    ticking = undefined;
  }
}

/**
 * @param {HTMLElement} element
 * @param {(now: number) => string} say
 */
function follow(element, say) {
  element.textContent = say(Date.now());
  following.set(element, say);
  // Begins when the element is in the page: whoever made it puts it there before the next second.
  ticking ??= setInterval(tick, 1000);
  return element;
}

/**
 * A moment as `<time>`: relative, with the absolute time in its title. Follows the clock.
 *
 * @param {string | null | undefined} moment RFC 3339.
 */
export function timeElement(moment) {
  if (!moment) return h("span", { class: "none" }, NONE);
  const then = Date.parse(moment);
  return follow(h("time", { datetime: moment, title: dateTime(then) }), (now) => relative(then, now));
}

/**
 * How long it is until a moment, as `<time>` that counts down.
 *
 * @param {string} moment RFC 3339.
 */
export function countdown(moment) {
  const then = Date.parse(moment);
  return follow(h("time", { datetime: moment, title: dateTime(then), class: "countdown" }), (now) => then <= now ? t("time.now") : span((then - now) / 1000));
}

/** @param {number} octets */
export function octets(octets) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let value = octets, unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${number(value, { maximumFractionDigits: 1 })} ${units[unit]}`;
}
