// SPDX-License-Identifier: MIT

import { api, withQuery } from "../core/api.js";
import { h, icon, replace } from "../core/dom.js";
import { repeat } from "../core/repeat.js";
import { address, rewrite } from "../core/router.js";
import { t } from "../core/text.js";
import { busy, button, emptyState, failure } from "../components/controls.js";
import { showRequest } from "./request-dialog.js";
import { parametersOf, queryOf, RequestFilters } from "./request-filters.js";
import { RequestList } from "./request-list.js";

/** @typedef {import("../core/types.js").Client} Client */
/** @typedef {import("../core/types.js").Exchange} Exchange */
/** @typedef {import("../core/types.js").Service} Service */
/** @typedef {import("../core/types.js").Stats} Stats */
/** @typedef {import("../core/types.js").Page<Exchange>} ExchangePage */

const TAIL_INTERVAL = 1_500;
const PAGE = 100;

/**
 * Requests as they come, and those before, found by what is known of them.
 *
 * @type {import("../core/router.js").View}
 */
export async function requestsView({ root, query: parameters, signal, onLeave }) {
  let query = queryOf(parameters);
  let isLive = true;
  /** Counts the searches: what belongs to an older one is not shown any more. */
  let search = 0;
  let isLoaded = false;
  /** @type {Map<string, string>} */
  let names = new Map();

  const serviceName = (/** @type {string} */ slug) => names.get(slug) ?? slug;
  const list = new RequestList({ serviceName, open: (exchange) => void showRequest(exchange, serviceName, signal), dropped: () => drawFoot(true) });
  const state = h("span", { class: "connection", role: "status" });
  const pause = button("", () => {
    isLive = !isLive;
    drawState();
    if (isLive) return tail();
    return undefined;
  });
  const filterPlace = h("div");
  const place = h("div", { class: "stack" }, busy());
  const foot = h("div", { class: "row request-foot" });
  root.append(h("div", { class: "view-head" }, h("h1", {}, t("nav.requests")), h("div", { class: "row" }, state, pause)), filterPlace, place);

  /** Whether nothing new can fit, as the wanted time is over. */
  const isOver = () => query.to !== undefined && Date.parse(query.to) <= Date.now();
  const drawState = () => {
    state.dataset.state = isOver() || !isLive ? "still" : "live";
    state.textContent = isOver() ? t("requests.over") : isLive ? t("requests.live") : t("requests.paused");
    pause.hidden = isOver();
    replace(pause, icon(isLive ? "pause" : "play"), h("span", {}, isLive ? t("requests.pause") : t("requests.resume")));
  };

  /** @param {Record<string, string | number>} [more] */
  const fetchPage = (more = {}) => /** @type {Promise<ExchangePage>} */ (api.get(withQuery("/admin/requests", { ...parametersOf(query), limit: PAGE, ...more }), signal));

  const load = async () => {
    const mine = search += 1;
    isLoaded = false;
    drawState();
    place.setAttribute("aria-busy", "true");
    try {
      const page = await fetchPage();
      if (mine !== search || signal.aborted) return;
      list.set(page.items);
      isLoaded = true;
      draw(page.next !== null);
    } catch (error) {
      if (mine === search && !signal.aborted) replace(place, failure(error, () => void load()));
    } finally {
      if (mine === search) place.removeAttribute("aria-busy");
    }
  };

  /** Asks for what is newer than all that is known. */
  const tail = async () => {
    if (!isLoaded || !isLive || isOver()) return;
    const mine = search;
    const { items } = await fetchPage();
    if (mine !== search || signal.aborted || !isLive) return;
    const newest = list.newest;
    const fresh = items.filter((item) => item.id > newest);
    const wasEmpty = list.count === 0;
    list.add(fresh, fresh.length === PAGE && newest !== 0);
    if (wasEmpty && list.count > 0) draw(fresh.length === PAGE);
  };

  /** @param {boolean} hasOlder */
  const draw = (hasOlder) => {
    if (list.count === 0) return replace(place, nothing());
    if (!place.contains(list.element)) replace(place, list.element, foot);
    return drawFoot(hasOlder);
  };
  /** @param {boolean} hasOlder */
  const drawFoot = (hasOlder) => replace(foot, hasOlder
    ? button(t("requests.older"), async () => {
      const mine = search;
      const page = await fetchPage({ after: list.oldest ?? 0 });
      if (mine !== search || signal.aborted) return;
      list.append(page.items);
      // The button stays where it is, and keeps the focus, as long as there is more.
      if (page.next === null) drawFoot(false);
    }, { icon: "down" })
    : h("p", { class: "hint", role: "status" }, t("requests.noOlder")));

  const nothing = () => filters !== null && filters.count > 0
    ? emptyState(t("requests.nothingFits"), h("p", { class: "hint" }, t("requests.nothingFitsHint")), button(t("requests.filter.clear"), () => filters?.clear()))
    : emptyState(
      t("requests.empty"), h("p", { class: "hint" }, t("requests.emptyHint")),
      h("a", { class: "button", href: names.size === 0 ? address(["services", "new"]) : address(["services"]) }, t(names.size === 0 ? "requests.makeService" : "requests.toServices")), h("p", { class: "hint" }, t("requests.emptyLog")));

  /** @type {RequestFilters | null} */
  let filters = null;
  const begin = async () => {
    replace(place, busy());
    try {
      const [services, clients, stats] = await Promise.all([
        /** @type {Promise<Service[]>} */ (api.all("/admin/proxy-configs")), /** @type {Promise<Client[]>} */ (api.all("/admin/client-keys")),
        // For suggestions alone: they are kept in the store, which may be away, and the requests are not.
        /** @type {Promise<Stats | null>} */ (api.get(withQuery("/admin/stats", { window: "24h", top: 200 }), signal)).catch(() => null),
      ]);
      if (signal.aborted) return;
      names = new Map(services.map((service) => [service.slug, service.name]));
      filters = new RequestFilters({
        query, services, clients: [...new Set([...stats?.clients.map((one) => one.client) ?? [], ...clients.map((one) => one.name)])], models: stats?.models.map((one) => one.model) ?? [],
        changed: (wanted) => {
          query = wanted;
          rewrite(["requests"], wanted);
          void load();
        },
      });
      replace(filterPlace, filters.element);
    } catch (error) {
      if (!signal.aborted) replace(place, failure(error, () => void begin()));
      return;
    }
    await load();
  };
  drawState();
  repeat(TAIL_INTERVAL, tail, onLeave);
  await begin();
}
