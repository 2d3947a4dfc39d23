// SPDX-License-Identifier: MIT

import { api, ApiError, withQuery } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { feed } from "../core/feed.js";
import { repeat } from "../core/repeat.js";
import { t } from "../core/text.js";
import { busy, failure } from "../components/controls.js";
import { confirm } from "../components/dialogs.js";
import { notify } from "../components/toasts.js";
import { AttentionList, concernsOf, isFailing } from "./overview-attention.js";
import { History } from "./overview-history.js";
import { LiveCounters, LiveLines, LiveTiles } from "./overview-live.js";
import { PoolCard, PoolCounts, sumOf } from "./overview-pools.js";
import { startPanel } from "./overview-start.js";
import { outcomeText } from "./request-words.js";
import { setActive } from "./service-actions.js";
import { withoutSlash } from "./service-address.js";

/** @typedef {import("../core/types.js").Client} Client */
/** @typedef {import("../core/types.js").Exchange} Exchange */
/** @typedef {import("../core/types.js").Service} Service */
/** @typedef {import("../core/types.js").Stats} Stats */

const TICK = 1_000;
const STATS_INTERVAL = 15_000;
const CATALOGUE_INTERVAL = 30_000;
/** Of so many services at most it is asked why they fail. */
const REASONS_MAX = 5;

/**
 * The state of everything: what needs somebody, what happens now, what happened.
 *
 * @type {import("../core/router.js").View}
 */
export async function overviewView({ root, signal, onLeave }) {
  const live = new LiveCounters();
  const pools = new PoolCounts(signal);
  /** @type {Service[]} */
  let services = [];
  /** @type {Client[]} */
  let clients = [];
  /** @type {Stats | null} */
  let fiveMinutes = null;
  /** @type {Map<number, string>} */
  let reasons = new Map();
  let strayRequests = 0;
  let base = location.origin;
  /** Whether there ever was a request, as far back as is counted. */
  let hasTraffic = false;

  const tiles = new LiveTiles();
  const lines = new LiveLines();
  const poolCard = new PoolCard();
  const attention = new AttentionList();
  const loadStats = async (/** @type {import("./overview-history.js").Window} */ window) => {
    const stats = /** @type {Stats} */ (await api.get(withQuery("/admin/stats", { window, top: window === "5m" ? 1000 : 8 }), signal));
    if (window === "5m") fiveMinutes = stats;
    if (stats.totals.requests > 0) hasTraffic = true;
    return stats;
  };
  const history = new History(loadStats, signal);
  /** The same, where the rest of the page is to be seen without it: statistics are kept in the store, which may be away. */
  const tryStats = async (/** @type {import("./overview-history.js").Window} */ window) => {
    try {
      await loadStats(window);
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "store_unavailable") throw error;
      // Nobody who cannot be told of traffic is shown how to begin.
      hasTraffic = true;
    }
  };
  const start = h("div", { hidden: true });
  const now = h(
    "section", { class: "stack", "aria-labelledby": "overview-now" }, h("h2", { id: "overview-now" }, t("overview.now")), tiles.element, h("p", { class: "hint" }, t("overview.nowHint")),
    h("div", { class: "grid now-grid" }, poolCard.element, lines.element));
  const body = h("div", { class: "stack overview" }, busy());
  root.append(h("h1", {}, t("nav.overview")), body);

  const loadCatalogue = async () => {
    [services, clients] = await Promise.all([/** @type {Promise<Service[]>} */ (api.all("/admin/proxy-configs")), /** @type {Promise<Client[]>} */ (api.all("/admin/client-keys"))]);
  };
  const countPools = () => pools.count(services.map((service) => service.id));

  /** Why services fail, and how many requests ask for what is not served. */
  const loadReasons = async () => {
    const failing = (fiveMinutes?.services ?? []).filter((one) => one.service !== null && isFailing(one)).slice(0, REASONS_MAX);
    const from = new Date(Date.now() - 300_000).toISOString();
    const find = (/** @type {Record<string, string | number>} */ query) => /** @type {Promise<{items: Exchange[]}>} */ (api.get(withQuery("/admin/requests", { from, ...query }), signal)).then(({ items }) => items);
    const [stray, ...latest] = await Promise.all([find({ status: 404, limit: 1000 }), ...failing.map((one) => find({ service: one.service ?? "", failed: "true", limit: 1 }))]);
    strayRequests = stray.filter((one) => one.error_code === "service_not_found").length;
    reasons = new Map();
    failing.forEach((one, index) => {
      const [exchange] = latest[index];
      if (exchange !== undefined && one.service_id !== null) reasons.set(one.service_id, outcomeText(exchange));
    });
  };
  const loadFiveMinutes = async () => {
    await loadStats("5m");
    await loadReasons();
  };

  /** @type {import("./overview-attention.js").Remedies} */
  const remedies = {
    async deleteInvalid(service, count) {
      const isSure = await confirm({
        title: t("overview.delete.title", { name: service.name }),
        message: [h("p", {}, t("overview.delete.loss", { count, name: service.name })), h("p", {}, t("overview.delete.final"))], action: t("overview.delete.action", { count }),
      });
      if (!isSure) return;
      /** @type {{changed_count: number}} */
      const result = await api.post(`/admin/proxy-configs/${service.id}/keys/bulk`, { action: "delete", filter: { state: "invalid" } });
      notify(t("overview.delete.done", { count: result.changed_count, name: service.name }));
      await recount(service);
    },
    async enableKeys(service, count) {
      const bulk = (/** @type {string} */ action, /** @type {Record<string, string>} */ filter) => api.post(`/admin/proxy-configs/${service.id}/keys/bulk`, { action, filter });
      await bulk("enable", { state: "disabled" });
      notify(t("overview.enabled", { count, name: service.name }), {
        undo: async () => {
          // All were off: so it is exactly undone.
          await bulk("disable", {});
          await recount(service);
        },
      });
      await recount(service);
    },
    async switchOn(service) {
      const again = async () => {
        await loadCatalogue();
        draw();
      };
      await setActive(service, true, () => void again());
      strayRequests = 0;
      await again();
    },
  };
  const recount = async (/** @type {Service} */ service) => {
    await pools.countOne(service.id);
    draw();
  };

  let drawnStart = "", drawnPools = "", drawnAt = "", isShown = false;
  const draw = () => {
    if (!isShown || signal.aborted) return;
    const known = services.every((service) => pools.counts.has(service.id));
    const counts = [...pools.counts.values()];
    const keys = counts.reduce((sum, one) => sum + sumOf(one), 0), active = counts.reduce((sum, one) => sum + one.active, 0);
    const isNew = services.length === 0 || known && (keys === 0 || !hasTraffic);
    const startState = isNew ? JSON.stringify([services.map(({ id, name, slug, is_active }) => [id, name, slug, is_active]), keys === 0]) : "";
    if (startState !== drawnStart) {
      drawnStart = startState;
      start.hidden = !isNew;
      const hadFocus = start.contains(document.activeElement);
      replace(start, isNew && startPanel(services, known ? keys : null, base));
      if (hadFocus) /** @type {HTMLElement | null} */ (start.querySelector("a"))?.focus();
    }
    const facts = { services, pools: pools.counts, clients, fiveMinutes, reasons, strayRequests, isStoreUp: feed.isStoreUp };
    // What the first steps say already need not be said twice.
    const concerns = concernsOf(facts, remedies).filter((concern) => !(isNew && keys === 0 && concern.id.startsWith("noKeys")));
    attention.element.hidden = isNew && concerns.length === 0 || !known && concerns.length === 0;
    attention.show(concerns, t("overview.wellHint", { active, count: keys }));
    now.hidden = history.element.hidden = services.length === 0;
    const poolState = `${pools.version} ${services.length}`;
    if (poolState !== drawnPools) {
      drawnPools = poolState;
      poolCard.show(services, pools.counts);
    }
    tiles.show(live, fiveMinutes?.totals ?? null);
    // Nothing of the chart is different before the next second.
    const at = live.latest?.at ?? "";
    if (at !== drawnAt) {
      drawnAt = at;
      lines.show(live);
    }
  };

  const begin = async () => {
    replace(body, busy());
    try {
      const [config] = await Promise.all([/** @type {Promise<{proxy_public_base_url: string}>} */ (api.get("/admin/app-config", signal)), loadCatalogue(), tryStats("5m")]);
      if (signal.aborted) return;
      base = withoutSlash(config.proxy_public_base_url);
      if (!hasTraffic) await tryStats("90d");
    } catch (error) {
      if (!signal.aborted) replace(body, failure(error, () => void begin()));
      return;
    }
    if (signal.aborted) return;
    replace(body, start, attention.element, now, history.element);
    isShown = true;
    draw();
    void history.refresh();
    await Promise.all([countPools(), loadReasons().catch(() => {})]);
    draw();
  };
  const again = async () => {
    await Promise.all([loadCatalogue(), loadFiveMinutes()]);
    await countPools();
    draw();
  };

  onLeave(feed.listen("counters", (events) => {
    live.take(events);
    if (!hasTraffic && events.some((event) => event.requests > 0)) hasTraffic = true;
  }));
  let isCatalogueOld = false;
  onLeave(feed.listen("key_state", (changes) => {
    if (pools.take(changes)) isCatalogueOld = true;
  }));
  let wasAway = false;
  feed.addEventListener("change", () => {
    if (!feed.isConnected || feed.isStoreUp === false) wasAway = true;
    else if (wasAway) {
      wasAway = false;
      if (isShown) again().catch(() => {});
    }
    draw();
  }, { signal });
  const isSeen = () => document.visibilityState === "visible";
  const tick = setInterval(() => {
    if (!isShown || !isSeen()) return;
    draw();
    pools.recount();
    if (services.length > 0) void history.refresh();
    if (isCatalogueOld) {
      isCatalogueOld = false;
      loadCatalogue().then(countPools).catch(() => {});
    }
  }, TICK);
  onLeave(() => clearInterval(tick));
  document.addEventListener("visibilitychange", () => { if (isSeen()) draw(); }, { signal });
  repeat(STATS_INTERVAL, async () => { if (isShown) await loadFiveMinutes(); }, onLeave);
  repeat(CATALOGUE_INTERVAL, async () => {
    if (!isShown) return;
    const before = services.map((service) => service.id).join();
    await loadCatalogue();
    if (services.map((service) => service.id).join() !== before) await countPools();
  }, onLeave);
  await begin();
}
