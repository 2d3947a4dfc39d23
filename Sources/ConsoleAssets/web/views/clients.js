// SPDX-License-Identifier: MIT

import { api, withQuery } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { compact, dateTime, number, percent, timeElement } from "../core/format.js";
import { repeat } from "../core/repeat.js";
import { address, rewrite } from "../core/router.js";
import { phrase, t } from "../core/text.js";
import { badge, busy, button, emptyState, failed, failure, switchControl } from "../components/controls.js";
import { confirm } from "../components/dialogs.js";
import { levelOf, usageMeter } from "../components/meters.js";
import { notify } from "../components/toasts.js";
import { editClient, makeClient, memberText } from "./client-form.js";
import { showClientKey } from "./client-key.js";

/** @typedef {import("../core/types.js").Client} Client */
/** @typedef {import("../core/types.js").Service} Service */
/** @typedef {import("../core/types.js").Stats["clients"][number]} Traffic */

const REFRESH_MS = 4_000;
const TRAFFIC_MS = 10_000;
const SHOWN_AT_ONCE = 100;

/**
 * What is limited, with what is used of it.
 *
 * @type {{limit: import("./client-form.js").Limit, used: keyof import("../core/types.js").ClientUsage}[]}
 */
const LIMITS = [
  { limit: "monthly_token_budget", used: "tokens_this_month" },
  { limit: "requests_per_minute", used: "requests_last_minute" },
  { limit: "tokens_per_minute", used: "tokens_last_minute" },
  { limit: "concurrent_requests", used: "concurrent_requests" },
];

/** @param {Client} client */
const limitsOf = (client) => LIMITS.filter(({ limit }) => client[limit] !== null);

/** @param {Client} client */
const isNear = (client) => limitsOf(client).some(({ limit, used }) => levelOf(client.usage[used], client[limit] ?? Infinity) !== "fine");

/**
 * Whether a client's requests are let in, in a word.
 *
 * @param {Client} client
 */
function standing(client) {
  if (!client.is_active) return "off";
  if (client.expires_at !== null && Date.parse(client.expires_at) <= Date.now()) return "expired";
  if (client.monthly_token_budget !== null && client.usage.tokens_this_month >= client.monthly_token_budget) return "over_budget";
  return "active";
}

/** @type {Record<string, (client: Client) => boolean>} */
const FILTERS = {
  all: () => true,
  active: (client) => standing(client) === "active",
  near: isNear,
  off: (client) => standing(client) === "off",
  expired: (client) => standing(client) === "expired",
};

/** @type {import("../core/router.js").View} */
export async function clientsView({ root, path, query, signal, onLeave, setTitle }) {
  setTitle(t("nav.clients"));
  /** @type {Client[]} */
  let clients = [];
  /** @type {Service[]} */
  let services = [];
  let base = "";
  /** @type {Map<string, Traffic>} */
  let traffic = new Map();
  /** @type {Map<number, ClientCard>} */
  const cards = new Map();
  let filter = query.get("show") ?? "all";
  let search = query.get("q") ?? "";
  let shownMax = SHOWN_AT_ONCE;

  const make = async (/** @type {string[] | null} */ allowed = null) => {
    const made = await makeClient(services, allowed);
    if (path.length > 0) rewrite(["clients"], {});
    if (made === null) return;
    await showClientKey(made, services, base);
    await load();
    cards.get(made.id)?.focus();
  };
  const list = h("ul", { class: "clients", "aria-label": t("nav.clients") });
  const count = h("p", { class: "quiet", role: "status" });
  const more = h("div", { class: "row" });
  const others = h("p", { class: "hint" });
  const searchInput = h("input", {
    type: "search", value: search, "aria-label": t("clients.search"), placeholder: t("clients.search"), on: { input: () => { search = searchInput.value; choose(); } },
  });
  const filterSelect = h(
    "select", { value: filter in FILTERS ? filter : "all", "aria-label": t("clients.filter"), on: { change: () => { filter = filterSelect.value; choose(); } } },
    Object.keys(FILTERS).map((name) => h("option", { value: name }, t(/** @type {any} */ (`clients.filter.${name}`)))));
  const toolbar = h("div", { class: "client-tools" }, searchInput, filterSelect, count);
  const body = h("div", { class: "stack" }, busy());
  root.append(
    h("div", { class: "view-head" }, h("h1", {}, t("nav.clients")), button(t("clients.new"), () => make(), { kind: "primary", icon: "plus" })),
    h("p", { class: "hint" }, t("clients.intro")), body, h("p", { class: "hint" }, t("clients.environment")), others);

  const choose = () => {
    shownMax = SHOWN_AT_ONCE;
    rewrite(["clients"], { q: search, show: filter === "all" ? "" : filter });
    draw();
  };

  /** Shows what the filter takes; cards that stay are not made anew, so that the focus stays where it is. */
  const draw = () => {
    const wanted = search.trim().toLowerCase();
    const takes = FILTERS[filter] ?? FILTERS.all;
    const holds = (/** @type {Client} */ client) => [client.name, client.key_masked, ...client.services ?? [], ...client.models ?? []].some((text) => text.toLowerCase().includes(wanted));
    const chosen = clients.filter((client) => takes(client) && (wanted === "" || holds(client)));
    const shown = chosen.slice(0, shownMax);
    for (const id of [...cards.keys()]) if (!shown.some((client) => client.id === id)) cards.delete(id);
    const elements = shown.map((client) => {
      let card = cards.get(client.id);
      if (card === undefined) cards.set(client.id, card = new ClientCard(client, actions));
      card.show(client, traffic.get(client.name));
      return card.element;
    });
    if (elements.length !== list.childElementCount || elements.some((element, index) => list.children[index] !== element)) replace(list, elements);
    const says = chosen.length === clients.length ? t("clients.count", { count: clients.length }) : t("clients.countOf", { shown: chosen.length, count: clients.length });
    if (count.textContent !== says) count.textContent = says;
    replace(more, chosen.length > shown.length && button(t("clients.more", { count: Math.min(SHOWN_AT_ONCE, chosen.length - shown.length) }), () => {
      shownMax += SHOWN_AT_ONCE;
      draw();
    }));
    toolbar.hidden = clients.length === 0;
    if (clients.length > 0) {
      if (!body.contains(list)) replace(body, toolbar, list, more);
    } else {
      replace(body, emptyState(t("clients.empty"), h("p", {}, t("clients.emptyHint")), button(t("clients.new"), () => make(), { kind: "primary", icon: "plus" })));
    }
    drawOthers();
  };

  const drawOthers = () => {
    const known = new Set(clients.map((client) => client.name));
    const names = [...traffic.keys()].filter((name) => name !== "" && !known.has(name)).slice(0, 20);
    others.hidden = names.length === 0;
    replace(others, t("clients.others"), " ", names.map((name, index) => [index > 0 && ", ", h("a", { href: address(["requests"], { client: name }) }, name)]));
  };

  /** @type {ClientActions} */
  const actions = {
    async change(client, change, says) {
      /** @type {Record<string, unknown>} */
      const before = {};
      for (const member of Object.keys(change)) before[member] = client[/** @type {keyof Client} */ (member)];
      await api.patch(`/admin/client-keys/${client.id}`, change);
      notify(says, {
        undo: async () => {
          await api.patch(`/admin/client-keys/${client.id}`, before);
          await load();
        },
      });
      await load();
    },
    async edit(client) {
      const change = await editClient(client, services);
      if (change === null) return;
      notify(t("clients.changed", { name: change.name }), {
        undo: async () => {
          await change.undo();
          await load();
        },
      });
      await load();
    },
    async remove(client) {
      const used = traffic.get(client.name);
      const isSure = await confirm({
        title: t("clients.delete.title", { name: client.name }),
        message: [
          h("p", {}, t("clients.delete.loss", { name: client.name, key: client.key_masked })),
          used !== undefined && h("p", {}, t("clients.delete.used", { count: used.requests })),
          h("p", {}, t("clients.delete.advice")),
        ],
        action: t("clients.delete.action"),
      });
      if (!isSure) return;
      await api.delete(`/admin/client-keys/${client.id}`);
      notify(t("clients.deleted", { name: client.name }));
      await load();
      /** @type {HTMLElement | null} */ (root.querySelector(".view-head .button"))?.focus();
    },
  };

  const load = async () => {
    clients = await api.all("/admin/client-keys");
    if (!signal.aborted) draw();
  };
  const loadTraffic = async () => {
    /** @type {import("../core/types.js").Stats} */
    const stats = await api.get(withQuery("/admin/stats", { window: "24h", top: 1000 }), signal);
    traffic = new Map(stats.clients.map((one) => [one.client, one]));
    if (!signal.aborted && clients.length > 0) draw();
    else if (!signal.aborted) drawOthers();
  };
  const begin = async () => {
    replace(body, busy());
    try {
      /** @type {[Service[], {proxy_public_base_url: string}, void]} */
      const [allServices, config] = await Promise.all([api.all("/admin/proxy-configs"), api.get("/admin/app-config"), load()]);
      services = allServices;
      base = config.proxy_public_base_url;
    } catch (error) {
      if (!signal.aborted) replace(body, failure(error, () => void begin()));
    }
  };
  await begin();
  if (signal.aborted) return;
  loadTraffic().catch(failed);
  repeat(REFRESH_MS, load, onLeave);
  repeat(TRAFFIC_MS, loadTraffic, onLeave);
  if (path[0] === "new") {
    const slug = query.get("service");
    await make(slug === null ? null : [slug]);
  } else if (path[0] !== undefined) {
    const card = cards.get(Number(path[0]));
    if (card !== undefined) card.focus();
    else notify(t("clients.gone", { id: path[0] }), { kind: "error" });
  }
}

/**
 * @typedef {object} ClientActions
 * @property {(client: Client, change: Record<string, unknown>, says: string) => Promise<void>} change
 * @property {(client: Client) => Promise<void>} edit
 * @property {(client: Client) => Promise<void>} remove
 */

/** One client in the list: what it may do, and how much of that it has used. */
class ClientCard {
  #actions;
  #client;
  /** What was last drawn of it but for its usage. */
  #drawn = "";
  #title = h("h2", { tabindex: -1 });
  #head = h("div", { class: "client-head" });
  #facts = h("dl", { class: "facts" });
  #usage = h("div", { class: "client-usage" });
  #traffic = h("p", { class: "quiet" });
  /** @type {{limit: typeof LIMITS[number], meter: ReturnType<typeof usageMeter>}[]} */
  #meters = [];
  #edit;
  #switch;

  element;

  /**
   * @param {Client} client
   * @param {ClientActions} actions
   */
  constructor(client, actions) {
    this.#client = client;
    this.#actions = actions;
    this.#switch = switchControl(t("clients.switch", { name: client.name }), client.is_active, (isOn) => this.#actions.change(
      this.#client, { is_active: isOn }, t(isOn ? "clients.switchedOn" : "clients.switchedOff", { name: this.#client.name })));
    this.#edit = button(t("action.edit"), () => this.#actions.edit(this.#client), { kind: "plain", label: t("clients.edit", { name: client.name }) });
    this.element = h("li", { class: "card client" }, this.#head, h("div", { class: "client-body" }, this.#facts, h("div", { class: "stack" }, this.#usage, this.#traffic)));
  }

  /**
   * @param {Client} client
   * @param {Traffic | undefined} traffic
   */
  show(client, traffic) {
    this.#client = client;
    const state = standing(client);
    const { usage, ...policy } = client;
    const drawn = JSON.stringify([policy, state]);
    if (drawn !== this.#drawn) {
      this.#drawn = drawn;
      this.#drawPolicy(state);
    }
    for (const { limit, meter } of this.#meters) {
      const used = usage[limit.used], maximum = client[limit.limit] ?? 1;
      meter.show(used, maximum, t("clients.usedOf", { used: exactly(used), limit: exactly(maximum), share: percent(Math.min(1, used / maximum)) }));
    }
    // What is counted for the limits is newer than the statistics.
    const isUsed = Object.values(usage).some((used) => used > 0);
    const says = traffic !== undefined
      ? t("clients.traffic", { count: traffic.requests, share: percent(traffic.success_rate), tokens: compact(traffic.tokens.total) }) : isUsed ? "" : t("clients.noTraffic");
    if (this.#traffic.textContent !== says) this.#traffic.textContent = says;
  }

  /** @param {string} state */
  #drawPolicy(state) {
    const client = this.#client;
    const focused = /** @type {HTMLElement | null} */ (this.#head.contains(document.activeElement) ? document.activeElement : null);
    this.#switch.set(client.is_active);
    replace(this.#title, client.name);
    this.#edit.setAttribute("aria-label", t("clients.edit", { name: client.name }));
    replace(
      this.#head, h("div", { class: "row" }, this.#title, badge(state, "clients.state"), h("code", { class: "quiet", title: t("clients.masked") }, client.key_masked)),
      h(
        "div", { class: "row" }, this.#switch.element,
        h("a", { class: "button plain", href: address(["requests"], { client: client.name }), "aria-label": t("clients.requestsOf", { name: client.name }) }, t("clients.requests")),
        this.#edit, button("", () => this.#actions.remove(this.#client), { kind: "plain", icon: "trash", label: t("clients.deleteOf", { name: client.name }) })));
    focused?.focus();
    const tags = (/** @type {string[] | null} */ words, /** @type {string} */ all) => words === null
      ? all : words.length === 0 ? h("span", { class: "bad" }, t("clients.none")) : h("span", { class: "row tight" }, words.map((word) => h("code", { class: "tag" }, word)));
    replace(
      this.#facts, h("dt", {}, t("clients.services")), h("dd", {}, tags(client.services, t("clients.allServices"))),
      h("dt", {}, t("clients.expires")),
      h(
        "dd", {},
        client.expires_at === null ? t("clients.never") : [
          timeElement(client.expires_at), " ", h("span", { class: "quiet" }, `(${dateTime(client.expires_at, { dateStyle: "medium", timeStyle: "short" })})`),
        ]),
      h("dt", {}, t("clients.models")), h("dd", {}, tags(client.models, t("clients.allModels"))), h("dt", {}, t("clients.made")), h("dd", {}, timeElement(client.created_at)));
    this.#meters = limitsOf(client).map((limit) => ({ limit, meter: usageMeter(memberText(limit.limit)) }));
    replace(
      this.#usage, this.#meters.map(({ meter }) => meter.element), this.#meters.length === 0 && h("p", {}, t("clients.unlimited")),
      client.monthly_token_budget !== null && h("p", { class: "quiet" }, phrase("clients.budgetResets", { when: timeElement(startOfNextMonth()) })));
  }

  /** Brings it into sight and the focus to it. */
  focus() {
    this.element.scrollIntoView({ block: "nearest" });
    this.#title.focus();
  }
}

/** @param {number} value */
const exactly = (value) => value < 1_000_000 ? number(value) : compact(value);

/** When budgets begin anew: they are of months in UTC. */
function startOfNextMonth() {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1)).toISOString();
}

