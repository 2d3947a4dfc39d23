// SPDX-License-Identifier: MIT

import { api, withQuery } from "../core/api.js";
import { h, icon, replace } from "../core/dom.js";
import { feed } from "../core/feed.js";
import { compact, NONE, number, percent } from "../core/format.js";
import { address, go, rewrite } from "../core/router.js";
import { t, word } from "../core/text.js";
import { shareBar } from "../components/charts.js";
import { badge, busy, button, copyButton, emptyState, failure, menuButton, switchControl } from "../components/controls.js";
import { pathOf, targetOf, withoutSlash } from "./service-address.js";
import { deleteService, setActive } from "./service-actions.js";
import { hostOf } from "./service-presets.js";

/** @typedef {import("../core/types.js").Service} Service */
/** @typedef {import("../core/types.js").KeyState} KeyState */

/** @type {KeyState[]} */
export const KEY_STATES = ["active", "cooling", "exhausted", "invalid", "disabled"];

/**
 * A service with what is known of it; null is what has not been told yet.
 *
 * @typedef {object} Entry
 * @property {Service} service
 * @property {Record<KeyState, number> | null} keys
 * @property {import("../core/types.js").Tally | null} tally Of the last hour; null where there was no request.
 * @property {() => void} [drawKeys] Where it is in the page.
 * @property {() => void} [drawTraffic]
 */

const ORDERS = /** @type {const} */ (["trouble", "name", "requests", "keys", "newest"]);
/** @typedef {typeof ORDERS[number]} Order */

/** How many services are shown before there is a button for more. */
const SHOWN_AT_ONCE = 100;
/** From how many services on there is a search. */
const SEARCH_FROM = 6;
/** Summaries asked for at a time: a browser keeps six connections to a server, and the page needs some for other things. */
const SUMMARIES_AT_ONCE = 3;
const REFRESH_INTERVAL = 15_000;

/** @param {Entry} entry */
const keyCount = ({ keys }) => keys === null ? null : KEY_STATES.reduce((sum, state) => sum + keys[state], 0);

/**
 * How much a service needs somebody: 0 is not at all.
 *
 * @param {Entry} entry
 */
function trouble(entry) {
  if (!entry.service.is_active) return 0;
  const count = keyCount(entry);
  if (count === 0 || count !== null && entry.keys?.active === 0) return 3;
  const rate = entry.tally?.success_rate ?? null;
  if (rate !== null && rate < 0.9) return 2;
  return count !== null && entry.keys !== null && entry.keys.active < count / 2 ? 1 : 0;
}

/** @type {Record<Order, (one: Entry, other: Entry) => number>} */
const COMPARE = {
  trouble: (one, other) => trouble(other) - trouble(one) || byName(one, other),
  name: byName,
  requests: (one, other) => (other.tally?.requests ?? 0) - (one.tally?.requests ?? 0) || byName(one, other),
  keys: (one, other) => (keyCount(other) ?? 0) - (keyCount(one) ?? 0) || byName(one, other),
  newest: (one, other) => other.service.id - one.service.id,
};

/**
 * @param {Entry} one
 * @param {Entry} other
 */
function byName(one, other) { return one.service.name.localeCompare(other.service.name) || one.service.id - other.service.id; }

/**
 * @param {Entry} entry
 * @param {string} wanted
 */
function matches({ service }, wanted) {
  return `${service.name}\n${service.slug}\n${targetOf(service)}\n${service.api_format}`.toLowerCase().includes(wanted.toLowerCase());
}

/**
 * All services, each with its keys and its traffic.
 *
 * @type {import("../core/router.js").View}
 */
export async function serviceListView({ root, query, signal, onLeave }) {
  const head = h("div", { class: "view-head" }, h("h1", { tabindex: -1 }, t("nav.services")));
  const tools = h("div", { class: "spread", hidden: true });
  const said = h("p", { class: "offscreen", role: "status" });
  const list = h("ul", { class: "service-list" });
  const place = h("div", {}, busy());
  root.append(head, tools, said, place);

  /** @type {Entry[]} */
  let entries = [];
  let base = location.origin;
  let wanted = query.get("q") ?? "";
  let order = /** @type {Order} */ (ORDERS.find((one) => one === query.get("sort")) ?? "trouble");
  let limit = SHOWN_AT_ONCE;

  const load = async () => {
    try {
      const [services, config] = await Promise.all([
        api.all("/admin/proxy-configs"), /** @type {Promise<{proxy_public_base_url: string}>} */ (api.get("/admin/app-config", signal)),
      ]);
      if (signal.aborted) return;
      base = withoutSlash(config.proxy_public_base_url);
      entries = /** @type {Service[]} */ (services).map((service) => ({ service, keys: null, tally: null }));
      // Statistics are kept in the store, which may be away: the services are there without them.
      await refreshTraffic().catch(() => {});
      if (signal.aborted) return;
      drawFrame();
      void loadSummaries(entries);
    } catch (error) {
      if (!signal.aborted) replace(place, failure(error, () => void load()));
    }
  };

  const refreshTraffic = async () => {
    const stats = /** @type {import("../core/types.js").Stats} */ (await api.get(withQuery("/admin/stats", { window: "1h", top: 1000 }), signal));
    const tallies = new Map(stats.services.map((tally) => [tally.service_id, tally]));
    for (const entry of entries) {
      entry.tally = tallies.get(entry.service.id) ?? null;
      entry.drawTraffic?.();
    }
  };

  /** @param {Entry[]} wantedOnes */
  const loadSummaries = async (wantedOnes) => {
    const waiting = [...wantedOnes];
    const work = async () => {
      for (let entry = waiting.shift(); entry !== undefined && !signal.aborted; entry = waiting.shift()) {
        try {
          const summary = /** @type {import("../core/types.js").PoolSummary} */ (await api.get(`/admin/proxy-configs/${entry.service.id}/summary`, signal));
          entry.keys = /** @type {Record<KeyState, number>} */ (Object.fromEntries(KEY_STATES.map((state) => [state, summary.keys_by_state[state] ?? 0])));
        } catch {
          // A service that has gone in the meantime, or one number that is missing: the rest of the page is none the worse for it.
          continue;
        }
        entry.drawKeys?.();
      }
    };
    await Promise.all(Array.from({ length: SUMMARIES_AT_ONCE }, work));
    // What has the focus stays under the hand.
    if (!signal.aborted && (order === "trouble" || order === "keys") && !list.contains(document.activeElement)) drawList();
  };

  /** Shows what others have made, changed and deleted meanwhile; not under the hands of somebody who is using the list. */
  const refreshServices = async () => {
    const services = /** @type {Service[]} */ (await api.all("/admin/proxy-configs"));
    const known = new Map(entries.map((entry) => [entry.service.id, entry]));
    const isSame = services.length === entries.length && services.every((service) => JSON.stringify(known.get(service.id)?.service) === JSON.stringify(service));
    if (isSame || signal.aborted || tools.contains(document.activeElement) || place.contains(document.activeElement)) return;
    entries = services.map((service) => ({ keys: null, tally: null, ...known.get(service.id), service }));
    drawFrame();
    void loadSummaries(entries.filter((entry) => entry.keys === null));
  };

  const drawFrame = () => {
    if (entries.length === 0) {
      tools.hidden = true;
      replace(head, h("h1", { tabindex: -1 }, t("nav.services")));
      replace(place, emptyState(t("services.empty"), h("p", { class: "hint" }, t("services.emptyHint")), createLink()));
      return;
    }
    replace(head, h("h1", { tabindex: -1 }, t("nav.services")), createLink());
    replace(place, list);
    const hasSearch = entries.length >= SEARCH_FROM || wanted !== "";
    tools.hidden = entries.length < 2;
    replace(
      tools,
      h("div", { class: "search", hidden: !hasSearch }, icon("search"), h("input", {
        type: "search", value: wanted, "aria-label": t("services.search"), placeholder: t("services.search"), autocomplete: "off", spellcheck: "false",
        on: { input: (/** @type {any} */ event) => { wanted = event.target.value.trim(); keepPlace(); drawList(); } },
      })),
      h("label", { class: "compact-select row" }, h("span", {}, t("services.order")), h(
        "select", { value: order, on: { change: (/** @type {any} */ event) => { order = event.target.value; keepPlace(); drawList(); } } },
        ORDERS.map((one) => h("option", { value: one }, word("services.order", one))))));
    drawList();
  };

  const keepPlace = () => rewrite(["services"], { q: wanted, sort: order === "trouble" ? null : order });

  const drawList = () => {
    const found = entries.filter((entry) => wanted === "" || matches(entry, wanted)).sort(COMPARE[order]);
    for (const entry of entries) entry.drawKeys = entry.drawTraffic = undefined;
    said.textContent = wanted === "" ? "" : t("services.found", { count: found.length });
    replace(
      list, found.slice(0, limit).map(row),
      found.length === 0 && h("li", { class: "empty" }, h("p", {}, t("services.none", { query: wanted }))),
      found.length > limit && h("li", {}, button(t("services.more", { count: found.length - limit }), () => {
        const before = limit;
        limit += SHOWN_AT_ONCE;
        drawList();
        list.children[before]?.querySelector("a")?.focus();
      })));
  };

  /** @param {Entry} entry */
  const row = (entry) => {
    const { service } = entry;
    const url = base + pathOf(service);
    const condition = h("span", {});
    // Made once: what has the focus must not be replaced by what happens meanwhile.
    const keysLink = h("a", { class: "plain-link", href: address(["services", service.id, "keys"]) });
    const shares = h("div", { class: "stack tight" });
    const keys = h("div", { class: "stack tight service-keys" }, keysLink, shares);
    const traffic = h("dl", { class: "figures service-traffic" });
    entry.drawKeys = () => {
      const count = keyCount(entry);
      replace(condition, !service.is_active ? badge("off", "services.condition") : count === 0 ? badge("warning", "services.condition") : count !== null && entry.keys?.active === 0 ? badge("failed", "services.condition") : null);
      keysLink.textContent = count === null ? t("services.tab.keys") : count === 0 ? t("services.addKeys") : t("services.keys", { count });
      if (count === null) return replace(shares, h("span", { class: "skeleton" }));
      const parts = KEY_STATES.map((state) => ({ state, value: entry.keys?.[state] ?? 0, label: word("state", state) })).filter((part) => part.value > 0);
      return replace(
        shares, count > 0 && shareBar(parts, t("services.keysByState")), count > 0 && h("p", { class: "hint" }, parts.map((part) => `${number(part.value)} ${part.label}`).join(" · ")));
    };
    entry.drawTraffic = () => replace(
      traffic,
      h("div", {}, h("dt", {}, t("services.requests")), h("dd", {}, compact(entry.tally?.requests ?? 0))),
      h("div", {}, h("dt", {}, t("services.success")), h("dd", { class: (entry.tally?.success_rate ?? 1) < 0.9 ? "bad" : "" }, entry.tally === null ? NONE : percent(entry.tally.success_rate))));
    entry.drawKeys();
    entry.drawTraffic();
    return h(
      "li", { class: "card service-row" },
      h(
        "div", { class: "stack tight" }, h("div", { class: "row" }, h("h2", {}, h("a", { href: address(["services", service.id]) }, service.name)), condition),
        h("p", { class: "hint" }, word("services.format", service.api_format), " · ", h("span", { class: "code" }, hostOf(targetOf(service))))),
      h("p", { class: "row address" }, h("code", {}, url), copyButton(url, t("services.copyURLOf", { name: service.name }), { hidesLabel: true })),
      keys, traffic,
      h(
        "div", { class: "row end service-switch" },
        switchControl(t("services.switch", { name: service.name }), service.is_active, async (isOn) => {
          await setActive(service, isOn, (changed) => {
            entry.service = changed;
            drawList();
          });
          entry.service = { ...service, is_active: isOn };
          service.is_active = isOn;
          entry.drawKeys?.();
        }).element,
        menuButton(t("services.actions", { name: service.name }), [
          { label: t("services.tab.use"), icon: "copy", press: () => go(["services", service.id, "use"]) },
          { label: t("services.tab.try"), icon: "play", press: () => go(["services", service.id, "try"]) },
          { label: t("services.tab.settings"), icon: "settings", press: () => go(["services", service.id, "settings"]) },
          { label: t("services.duplicate"), icon: "plus", press: () => go(["services", "new"], { copy: service.id }) },
          { label: t("services.delete"), icon: "trash", kind: "danger", press: () => remove(entry) },
        ], { hidesLabel: true })));
  };

  /** @param {Entry} entry */
  const remove = async (entry) => {
    if (!await deleteService(entry.service)) return;
    entries = entries.filter((one) => one !== entry);
    drawFrame();
    head.querySelector("h1")?.focus();
  };

  onLeave(feed.listen("key_state", (events) => {
    const changed = new Set();
    for (const event of events) {
      const entry = entries.find((one) => one.service.id === event.service_id);
      if (entry === undefined || entry.keys === null) continue;
      entry.keys[event.from] = Math.max(0, entry.keys[event.from] - 1);
      entry.keys[event.to] += 1;
      changed.add(entry);
    }
    for (const entry of changed) entry.drawKeys?.();
  }));
  const timer = setInterval(() => {
    // What is not seen needs no asking. A failure is told by the connection's light already, and the next turn asks again.
    if (document.visibilityState === "visible") refreshServices().then(refreshTraffic).catch(() => {});
  }, REFRESH_INTERVAL);
  onLeave(() => clearInterval(timer));
  await load();
}

function createLink() {
  return h("a", { class: "button primary", href: address(["services", "new"]) }, icon("plus"), h("span", {}, t("services.new")));
}
