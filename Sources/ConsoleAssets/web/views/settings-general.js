// SPDX-License-Identifier: MIT

import { api, withQuery } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { feed } from "../core/feed.js";
import { dateTime, NONE, span } from "../core/format.js";
import { setTheme, theme } from "../core/preferences.js";
import { repeat } from "../core/repeat.js";
import { currentLanguage, setLanguage, t } from "../core/text.js";
import { badge, copyButton, fill } from "../components/controls.js";
import { selectField } from "../components/forms.js";
import { installToasts } from "../components/toasts.js";

const REFRESH_MS = 5_000;
/** A difference between two clocks that is worth a word, in milliseconds. */
const CLOCK_DIFFERENCE = 5_000;

/** The select that changed how the page looks has the focus again once the page is drawn anew. */
let refocused = "";

/**
 * What the server is, how it fares, and how the console looks.
 *
 * @param {import("./settings.js").TabContext} context
 */
export async function generalTab({ root, signal, onLeave }) {
  const server = h("section", { class: "card", "aria-label": t("settings.server") });
  const health = h("section", { class: "card", "aria-label": t("settings.health") });
  root.append(h("div", { class: "grid settings-grid" }, server, health, appearance(), documents()));
  await Promise.all([fill(server, () => serverFacts(signal, onLeave)), fill(health, () => healthFacts(signal, onLeave))]);
}

/**
 * @param {AbortSignal} signal
 * @param {(end: () => void) => void} onLeave
 */
async function serverFacts(signal, onLeave) {
  /** @type {{version: string, proxy_public_base_url: string}} */
  const config = await api.get("/admin/app-config", signal);
  const clock = h("dd", {}, t("busy"));
  const difference = h("p", { class: "notice warning", hidden: true });
  onLeave(feed.listen("counters", (events) => {
    const at = Date.parse(events[events.length - 1].at);
    replace(clock, dateTime(at));
    const apart = Math.abs(Date.now() - at);
    difference.hidden = apart < CLOCK_DIFFERENCE;
    if (!difference.hidden) replace(difference, t("settings.clocksDiffer", { span: span(apart / 1000) }));
  }));
  return [
    h("h2", {}, t("settings.server")),
    h(
      "dl", { class: "facts" }, h("dt", {}, t("settings.version")), h("dd", {}, config.version), h("dt", {}, t("settings.baseURL")),
      h("dd", { class: "row tight" }, h("code", {}, config.proxy_public_base_url), copyButton(config.proxy_public_base_url, t("settings.copyURL"), { hidesLabel: true })),
      h("dt", {}, t("settings.time")), clock),
    h("p", { class: "hint" }, t("settings.baseURLHint")), difference,
  ];
}

/** @typedef {{ready: boolean, missing: string[]}} Readiness */

/**
 * What may be missing; of a store that cannot be reached, the server tells why in the store's own words.
 *
 * @type {Record<string, import("../core/text.js").TextKey>}
 */
const MISSING = { "shutting down": "settings.missing.shutting_down", "catalogue not loaded": "settings.missing.catalogue_not_loaded" };

/**
 * @param {AbortSignal} signal
 * @param {(end: () => void) => void} onLeave
 */
async function healthFacts(signal, onLeave) {
  const ready = h("dd", {}), store = h("dd", {}), lost = h("dd", {});
  const showStore = () => replace(store, feed.isStoreUp === null ? t("settings.storeUnknown") : feed.isStoreUp ? badge("up", "settings.store") : badge("down", "settings.store"));
  const load = async () => {
    const [answer, stats] = await Promise.all([
      // Not by the API's own way: a 503 is an answer here, and it asks for no token.
      fetch("/readyz", { cache: "no-store", credentials: "omit", signal }).then((response) => /** @type {Promise<Readiness>} */ (response.json())),
      // They are kept in the store: while it is away they cannot be told, and it is the more important to say what is amiss.
      /** @type {Promise<import("../core/types.js").Stats | null>} */ (api.get(withQuery("/admin/stats", { window: "5m", top: 1 }), signal)).catch(() => null),
    ]);
    replace(
      ready,
      answer.ready ? badge("ready", "settings.readiness") : [
        badge("missing", "settings.readiness"),
        h("ul", { class: "plain-list" }, answer.missing.map((what) => h("li", {}, MISSING[what] === undefined ? what : t(MISSING[what])))),
      ]);
    const dropped = Object.entries(stats?.dropped ?? {}).filter(([, count]) => count > 0);
    replace(
      lost,
      stats === null ? NONE : dropped.length === 0 ? t("settings.nothingLost") : h(
        "ul", { class: "plain-list" }, dropped.map(([what, count]) => h("li", {}, t(/** @type {any} */ (`settings.lost.${what}`), { count })))));
    showStore();
  };
  await load();
  feed.addEventListener("change", showStore, { signal });
  repeat(REFRESH_MS, load, onLeave);
  return [
    h("h2", {}, t("settings.health")),
    h("dl", { class: "facts" }, h("dt", {}, t("settings.ready")), ready, h("dt", {}, t("settings.storeLabel")), store, h("dt", {}, t("settings.lost")), lost),
    h("p", { class: "hint" }, t("settings.lostHint")),
  ];
}

/** The choices of language and theme; the browser remembers them. */
function appearance() {
  const language = selectField({
    label: t("language.label"), value: currentLanguage(), options: [{ value: "en", label: "English" }, { value: "zh", label: "中文" }],
    onInput: (value) => {
      setLanguage(value);
      installToasts();
      redraw("language");
    },
  });
  const look = selectField({
    label: t("theme.label"), value: theme(),
    options: [{ value: "auto", label: t("theme.auto") }, { value: "light", label: t("theme.light") }, { value: "dark", label: t("theme.dark") }],
    onInput: (value) => {
      setTheme(value);
      redraw("theme");
    },
  });
  const focused = { language, theme: look }[refocused];
  refocused = "";
  if (focused !== undefined) queueMicrotask(() => focused.focus());
  return h(
    "section", { class: "card", "aria-label": t("settings.appearance") }, h("h2", {}, t("settings.appearance")),
    h("div", { class: "columns" }, language.element, look.element), h("p", { class: "hint" }, t("settings.appearanceHint")));
}

/**
 * Has the whole page drawn anew, the navigation with it.
 *
 * @param {"language" | "theme"} focused
 */
function redraw(focused) {
  refocused = focused;
  dispatchEvent(new HashChangeEvent("hashchange"));
}

function documents() {
  const link = (/** @type {string} */ href) => h("a", { href, target: "_blank", rel: "noopener" }, h("code", {}, href));
  return h(
    "section", { class: "card", "aria-label": t("settings.documents") }, h("h2", {}, t("settings.documents")),
    h(
      "dl", { class: "facts" }, h("dt", {}, t("settings.openAPI")), h("dd", {}, link("/openapi.json")), h("dt", {}, t("settings.metrics")),
      h("dd", {}, link("/metrics"))), h("p", { class: "hint" }, t("settings.metricsHint")));
}
