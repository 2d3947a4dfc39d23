// SPDX-License-Identifier: MIT

import { h, replace } from "../core/dom.js";
import { api, withQuery } from "../core/api.js";
import { feed } from "../core/feed.js";
import { compact, countdown, duration, number, percent, timeElement } from "../core/format.js";
import { repeat } from "../core/repeat.js";
import { address } from "../core/router.js";
import { t, word } from "../core/text.js";
import { badge, button, copyButton, failed, fill, segmented } from "../components/controls.js";
import { LineChart } from "../components/charts.js";
import { confirm, formDialog, openDialog } from "../components/dialogs.js";
import { usageMeter } from "../components/meters.js";
import { notify } from "../components/toasts.js";
import { plainTable } from "../components/virtual-table.js";
import { keyFields, LIMITS } from "./key-import.js";
import { nameOf, standing } from "./keys.js";

/**
 * @typedef {import("../core/types.js").Key} Key
 * @typedef {import("../core/types.js").Service} Service
 */

/**
 * Shows one key: how it stands and why, what is left of its quota, what was asked of it; and changes it.
 *
 * @param {Service} service
 * @param {number} id
 * @returns {Promise<boolean>} Whether anything was changed.
 */
export async function openKey(service, id) {
  let hasChanged = false;
  const place = h("div", { class: "stack" });
  /** @type {(() => void)[]} */
  const endings = [];
  const end = () => { for (const one of endings.splice(0)) one(); };
  await openDialog({
    title: t("keys.oneTitle", { id }),
    shape: "side",
    content: (/** @type {(done: null) => void} */ close) => {
      const show = () => fill(place, async () => {
        end();
        /** @type {Key} */
        const key = await api.get(`/admin/keys/${id}`);
        return content(service, key, (ending) => endings.push(ending), {
          changed: () => {
            hasChanged = true;
            void show();
          },
          gone: () => {
            hasChanged = true;
            close(null);
          },
        });
      });
      void show();
      return { body: place };
    },
  });
  end();
  return hasChanged;
}

/**
 * @param {Service} service
 * @param {Key} key
 * @param {(end: () => void) => void} onLeave
 * @param {{changed: () => void, gone: () => void}} tell
 */
function content(service, key, onLeave, tell) {
  const path = `/admin/keys/${key.key_id}`;
  /** @param {boolean} isActive */
  const setActive = async (isActive) => {
    await api.patch(path, { is_active: isActive });
    notify(t(isActive ? "keys.enabled" : "keys.disabled", { key: nameOf(key) }), {
      undo: async () => {
        await api.patch(path, { is_active: !isActive });
        tell.changed();
      },
    });
    tell.changed();
  };
  const edit = async () => {
    const fields = keyFields(key);
    const before = fields.value();
    const done = await formDialog({
      title: t("keys.editTitle", { key: nameOf(key) }), fields: fields.fields, action: t("action.save"),
      submit: async () => {
        const after = fields.value();
        // Only what is another now: a quota group that the provider told is not to be written down as an administrator's.
        const change = Object.fromEntries(Object.entries(after).filter(([member, value]) => JSON.stringify(value) !== JSON.stringify(/** @type {any} */ (before)[member])));
        if (Object.keys(change).length > 0) await api.patch(path, change);
        return true;
      },
    });
    if (done === true) tell.changed();
  };
  const reset = async () => {
    await api.post(`${path}/reset`);
    notify(t("keys.wasReset", { key: nameOf(key) }));
    tell.changed();
  };
  const remove = async () => {
    if (!await confirm({ title: t("keys.deleteTitle", { count: 1 }), message: t("keys.deleteHint"), action: t("keys.delete") })) return;
    await api.delete(path);
    tell.gone();
  };
  const stands = new Standing(service, key);
  // Events tell of the key as a whole; rests for one model and what is left of its quota are asked for.
  onLeave(feed.listen("key_state", (events) => { if (events.some((event) => event.key_id === key.key_id)) void stands.refresh().catch(() => {}); }));
  repeat(5_000, () => stands.refresh(), onLeave);
  const limits = LIMITS.filter(([member]) => key.limits[member]);
  return [
    h("div", { class: "row" }, h("code", {}, key.key_masked), copyButton(String(key.key_id), t("keys.copyID"))),
    h(
      "div", { class: "row" }, button(t("action.edit"), edit), button(t(key.is_active ? "keys.disable" : "keys.enable"), () => setActive(!key.is_active)),
      button(t("keys.reset"), reset, { icon: "refresh" }), button(t("keys.delete"), remove, { kind: "danger", icon: "trash" })),
    stands.element,
    h(
      "dl", { class: "facts" }, h("dt", {}, t("keys.name")), h("dd", {}, key.name === "" ? "–" : key.name), h("dt", {}, t("keys.weight")), h("dd", {}, number(key.weight)),
      h("dt", {}, t("keys.tags")), h("dd", {}, key.tags.length === 0 ? "–" : key.tags.map((tag) => [h("span", { class: "tag" }, tag), " "])),
      h("dt", {}, t("keys.group")), h("dd", {}, key.quota_group ?? "–"), h("dt", {}, t("keys.inFlight")), h("dd", {}, number(key.in_flight)),
      h("dt", {}, t("keys.successes")), h("dd", {}, number(key.success_count)), h("dt", {}, t("keys.failures")), h("dd", {}, number(key.failure_count)),
      h("dt", {}, t("keys.lastUsed")), h("dd", {}, timeElement(key.last_used_at)),
      limits.map(([member, label]) => [h("dt", {}, t(label)), h("dd", {}, number(key.limits[member] ?? 0))])),
    history(service, key),
  ];
}

/** How a key stands, and what is left of its quota, as it goes on. */
class Standing {
  #service;
  #id;
  #state = h("p", {});
  #chances = h("p", { role: "status" });
  #rests = h("div", {});
  #quota = h("div", { class: "stack" });
  #shown = "";

  element = h(
    "div", { class: "stack" }, h("section", { class: "stack" }, h("h3", {}, t("keys.stands")), this.#state, this.#chances, this.#rests),
    h("section", { class: "stack" }, h("h3", {}, t("keys.quota")), this.#quota));

  /**
   * @param {Service} service
   * @param {Key} key
   */
  constructor(service, key) {
    this.#service = service;
    this.#id = key.key_id;
    this.#show(key);
  }

  async refresh() { this.#show(await api.get(`/admin/keys/${this.#id}`)); }

  /** @param {Key} key */
  #show(key) {
    const shown = JSON.stringify([key.state, key.state_reason, key.cooling_until, key.cooling_models, key.quota]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    replace(this.#state, standing(key));
    replace(this.#rests, key.cooling_models.length > 0 && plainTable({
      caption: t("keys.modelRests"), rows: key.cooling_models,
      columns: [
        { label: t("keys.model"), cell: (rest) => rest.model },
        { label: t("keys.reason"), cell: (rest) => word("requests.reason", rest.state_reason) },
        { label: t("keys.back"), cell: (rest) => countdown(rest.cooling_until) },
      ],
    }));
    replace(this.#quota, key.quota.length === 0 ? h("p", { class: "quiet" }, t("keys.noQuota")) : key.quota.map(quota));
    void explain(this.#service, key, this.#chances).catch(failed);
  }
}

/** @param {import("../core/types.js").QuotaAmount} amount */
function quota(amount) {
  const label = t(`keys.quotaKind.${amount.kind}`);
  const resets = amount.resets_at !== null && h("span", { class: "quiet" }, t("keys.resets"), " ", countdown(amount.resets_at));
  if (amount.limit === null) return h("p", {}, t("keys.left", { kind: label, remaining: amount.remaining }), " ", resets);
  const meter = usageMeter(label);
  meter.show(amount.limit - amount.remaining, amount.limit, t("keys.leftOf", { remaining: amount.remaining, limit: amount.limit }));
  return h("div", { class: "stack" }, meter.element, resets);
}

/**
 * Says whether the key would be chosen now, and why.
 *
 * @param {Service} service
 * @param {Key} key
 * @param {HTMLElement} place
 */
async function explain(service, key, place) {
  /** @type {import("../core/types.js").Explanation} */
  const told = await api.get(withQuery(`/admin/proxy-configs/${service.id}/explain`, { after: key.key_id - 1, limit: 1 }));
  const mine = told.items.find((item) => item.key_id === key.key_id);
  if (mine === undefined) return;
  replace(
    place, t(mine.eligible ? told.choice.key_id === key.key_id ? "keys.isNext" : "keys.mayBeNext" : "keys.isNotNext"), " ", badge(mine.verdict, "keys.verdict"),
    mine.rests_with_group && [" ", t("keys.withGroup")]);
}

/**
 * What was asked of the key: charts and the latest requests.
 *
 * @param {Service} service
 * @param {Key} key
 */
function history(service, key) {
  const place = h("div", { class: "stack" });
  const requests = new LineChart({ label: t("keys.attempts"), format: compact });
  const latency = new LineChart({ label: t("keys.latency"), format: duration });
  const says = h("p", { class: "quiet" });
  const latest = h("div", {});
  /** @param {"24h" | "7d"} span */
  const show = async (span) => {
    /** @type {import("../core/types.js").Stats} */
    const stats = await api.get(withQuery("/admin/stats", { key_id: key.key_id, window: span }));
    const times = stats.series.map((point) => Date.parse(point.start));
    requests.show(times, [
      { label: t("keys.attempts"), color: 1, values: stats.series.map((point) => point.requests) },
      { label: t("keys.failures"), color: 2, values: stats.series.map((point) => point.failures) },
    ]);
    latency.show(times, [{ label: "p95", color: 3, values: stats.series.map((point) => point.latency_ms.p95) }]);
    says.textContent = t("keys.historyWords", { count: stats.totals.requests, rate: percent(stats.totals.success_rate), tokens: compact(stats.totals.tokens.total) });
  };
  replace(
    place, h("div", { class: "spread" }, h("h3", {}, t("keys.history")), segmented(t("keys.window"), [{ value: "24h", label: t("keys.day") }, { value: "7d", label: t("keys.week") }], "24h", (value) => void show(value).catch(failed))),
    says, requests.element, latency.element, h("h3", {}, t("keys.latest")), latest);
  void show("24h").catch(failed);
  void fill(latest, async () => {
    /** @type {import("../core/types.js").Page<import("../core/types.js").Exchange>} */
    const page = await api.get(withQuery("/admin/requests", { key_id: key.key_id, limit: 20 }));
    if (page.items.length === 0) return h("p", { class: "quiet" }, t("keys.noRequests"));
    return [
      plainTable({
        caption: t("keys.latest"), rows: page.items,
        columns: [
          { label: t("keys.when"), cell: (request) => timeElement(request.started_at) },
          { label: t("keys.client"), cell: (request) => request.client },
          { label: t("keys.model"), cell: (request) => request.model ?? "–" },
          { label: t("keys.status"), cell: (request) => h("span", { class: request.is_failure ? "bad" : "good" }, request.status), isNumber: true },
          { label: t("keys.latency"), cell: (request) => duration(request.duration_ms), isNumber: true },
        ],
      }),
      h("a", { href: address(["requests"], { service: service.slug, key_id: key.key_id }) }, t("keys.allRequests")),
    ];
  });
  return place;
}
