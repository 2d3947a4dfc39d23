// SPDX-License-Identifier: MIT

import { h, replace } from "../core/dom.js";
import { api, send, withQuery } from "../core/api.js";
import { download } from "../core/download.js";
import { feed } from "../core/feed.js";
import { compact, countdown, number, timeElement } from "../core/format.js";
import { repeat } from "../core/repeat.js";
import { address, rewrite } from "../core/router.js";
import { t, word } from "../core/text.js";
import { badge, button, emptyState, menuButton } from "../components/controls.js";
import { confirm, formDialog } from "../components/dialogs.js";
import { selectField, textField, wordsField } from "../components/forms.js";
import { notify } from "../components/toasts.js";
import { VirtualTable } from "../components/virtual-table.js";
import { openKey } from "./key-detail.js";
import { addKey, importKeys } from "./key-import.js";
import { validationPanel } from "./key-validation.js";

/**
 * @typedef {import("../core/types.js").Key} Key
 * @typedef {import("../core/types.js").KeyState} KeyState
 * @typedef {import("../core/types.js").PoolSummary} PoolSummary
 * @typedef {{state: string, q: string, tag: string, quota_group: string, reason: string}} Filter
 */

/** @type {KeyState[]} */
export const STATES = ["active", "cooling", "exhausted", "invalid", "disabled"];
const REASONS = ["rate_limited", "quota_empty", "paced", "circuit_open", "insufficient_quota", "invalid_api_key"];

/**
 * The keys of a service: a table of any number of them, and what can be done with one, some or all.
 *
 * @param {{root: HTMLElement, service: import("../core/types.js").Service, query: URLSearchParams, signal: AbortSignal, onLeave: (end: () => void) => void}} context
 */
export function keysTab({ root, service, query, signal, onLeave }) {
  const path = `/admin/proxy-configs/${service.id}/keys`;
  /** @type {Filter} */
  const filter = { state: query.get("state") ?? "", q: query.get("q") ?? "", tag: query.get("tag") ?? "", quota_group: query.get("quota_group") ?? "", reason: query.get("reason") ?? "" };
  const isFiltered = () => Object.values(filter).some((value) => value !== "");
  const given = () => Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== ""));

  const heading = h("h2", {}, t("keys.title"));
  const counts = h("p", { class: "quiet", role: "status" });
  const selection = h("div", { class: "row", role: "group", "aria-label": t("keys.selection") });
  /** @type {PoolSummary | null} */
  let summary = null;

  const table = new VirtualTable({
    label: t("keys.title"),
    columns: COLUMNS(),
    sort: query.get("sort") ?? "id",
    id: (/** @type {Key} */ key) => key.key_id,
    rowLabel: (key) => nameOf(key),
    empty: () => isFiltered() ? t("keys.noneFound") : emptyState(t("keys.none"), h("p", {}, t("keys.noneHint")), button(t("keys.import"), openImport, { kind: "primary", icon: "upload" })),
    open: (key) => void show(key.key_id),
    selectionChanged: drawSelection,
    totalChanged: drawSelection,
    async load({ offset, limit, sort }, ended) {
      /** @type {{items: Key[], total: number}} */
      const page = await api.get(withQuery(path, { ...filter, offset, limit, sort }), ended);
      return { rows: page.items, total: page.total };
    },
  });

  /** @param {number} id */
  async function show(id) {
    rewrite(["services", service.id, "keys"], { ...filter, key: id });
    const hasChanged = await openKey(service, id);
    if (signal.aborted) return;
    rewrite(["services", service.id, "keys"], { ...filter });
    if (hasChanged) changed();
  }

  async function readSummary() {
    summary = await api.get(`/admin/proxy-configs/${service.id}/summary`, signal);
    drawSummary();
  }

  function drawSummary() {
    if (summary === null) return;
    counts.textContent = t("keys.counts", { keys: t("keys.count", { count: summary.keys }), groups: t("keys.groups", { count: summary.quota_groups }) });
    for (const option of stateField.element.querySelectorAll("option")) {
      const state = /** @type {KeyState | ""} */ (option.value);
      const count = state === "" ? summary.keys : summary.keys_by_state[state] ?? 0;
      option.textContent = `${state === "" ? t("keys.anyState") : word("state", state)} (${number(count)})`;
    }
  }

  /** The pool is another one now: what is shown is asked for again. */
  function changed() {
    table.reload({ keepsPlace: true });
    void readSummary().catch(() => {});
  }

  // Filters.
  const apply = () => {
    rewrite(["services", service.id, "keys"], { ...filter });
    table.clearSelection();
    table.reload();
  };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let typing;
  const later = () => {
    clearTimeout(typing);
    typing = setTimeout(apply, 300);
  };
  onLeave(() => clearTimeout(typing));
  const search = textField({ label: t("keys.search"), type: "search", value: filter.q, placeholder: t("keys.searchHint"), onInput: (value) => { filter.q = value; later(); } });
  const stateField = selectField({
    label: t("keys.state"), value: filter.state, onInput: (value) => { filter.state = value; apply(); },
    options: [{ value: "", label: t("keys.anyState") }, ...STATES.map((state) => ({ value: state, label: word("state", state) }))],
  });
  const tag = textField({ label: t("keys.tag"), value: filter.tag, onInput: (value) => { filter.tag = value; later(); } });
  const group = textField({ label: t("keys.group"), value: filter.quota_group, onInput: (value) => { filter.quota_group = value; later(); } });
  const reason = textField({ label: t("keys.reason"), value: filter.reason, options: REASONS, onInput: (value) => { filter.reason = value; later(); } });
  const filters = h(
    "form", { class: "key-filters", role: "search", "aria-label": t("keys.filters"), on: { submit: (/** @type {Event} */ event) => event.preventDefault() } },
    search.element, stateField.element, tag.element, group.element, reason.element);

  // What can be done with many.
  const howMany = () => table.isAllSelected ? table.total : table.selected.size;
  const chosen = () => table.isAllSelected ? { filter: given() } : { ids: [...table.selected] };

  function drawSelection() {
    const count = howMany();
    const all = button(t("keys.selectAll", { count: table.total }), () => table.selectAll(), { kind: "link", disabled: table.total === 0 || table.isAllSelected });
    if (count === 0) return replace(selection, all);
    replace(
      selection, h("strong", { role: "status" }, t("keys.selected", { count })), all,
      button(t("keys.selectNone"), () => table.clearSelection(), { kind: "link" }),
      button(t("keys.enable"), () => bulk("enable")), button(t("keys.disable"), () => bulk("disable")), button(t("keys.reset"), () => bulk("reset")),
      menuButton(t("keys.more"), [
        { label: t("keys.addTags"), press: () => tags("tag") },
        { label: t("keys.removeTags"), press: () => tags("untag") },
        { label: t("keys.validateThese"), press: () => validation.start(table.isAllSelected ? { state: filter.state } : { ids: [...table.selected] }) },
        { label: t("keys.export"), icon: "download", press: exportValues },
        { label: t("keys.delete"), icon: "trash", kind: "danger", press: remove },
      ]));
    return undefined;
  }

  /**
   * @param {"enable" | "disable" | "reset" | "delete" | "tag" | "untag"} action
   * @param {object} [more]
   */
  async function bulk(action, more = {}) {
    const target = chosen();
    /** @type {{matched_count: number, changed_count: number}} */
    const result = await api.post(`${path}/bulk`, { action, ...target, ...more });
    /** @type {Record<string, "enable" | "disable" | "tag" | "untag">} */
    const inverse = { enable: "disable", disable: "enable", tag: "untag", untag: "tag" };
    // Only where all of them changed is the opposite of it what was before.
    const isReversible = action in inverse && "ids" in target && result.changed_count === result.matched_count && result.changed_count > 0;
    notify(t("keys.changed", { count: result.changed_count }), {
      undo: isReversible ? async () => {
        await api.post(`${path}/bulk`, { action: inverse[action], ...target, ...more });
        changed();
      } : undefined,
    });
    changed();
  }

  /** @param {"tag" | "untag"} action */
  async function tags(action) {
    const field = wordsField({ label: t("keys.tags"), name: "tags", hint: t("keys.tagsHint"), required: true });
    await formDialog({
      title: t(action === "tag" ? "keys.addTags" : "keys.removeTags"), fields: [field], action: t("action.save"), shape: "narrow",
      submit: async () => {
        await bulk(action, { tags: field.value() });
        return true;
      },
    });
  }

  async function remove() {
    const count = howMany();
    if (!await confirm({ title: t("keys.deleteTitle", { count }), message: t("keys.deleteHint"), action: t("keys.delete") })) return;
    await bulk("delete");
    table.clearSelection();
  }

  async function exportValues() {
    const count = howMany();
    if (!table.isAllSelected && count > 1000) throw new Error(t("keys.exportTooMany"));
    if (!await confirm({ title: t("keys.exportTitle", { count }), message: t("keys.exportHint"), action: t("keys.export"), isHarmless: true })) return;
    const response = await send("GET", withQuery(`${path}/export`, table.isAllSelected ? given() : { ids: [...table.selected].join(",") }));
    download(await response.blob(), `${service.slug}-keys.txt`);
  }

  const openImport = async () => { if (await importKeys(service)) changed(); };
  const validation = validationPanel({ service, states: STATES, changed, signal, onLeave });
  replace(
    root,
    h("div", { class: "view-head" }, h("div", {}, heading, counts), h(
      "div", { class: "row" }, button(t("keys.import"), openImport, { kind: "primary", icon: "upload" }),
      button(t("keys.add"), async () => { if (await addKey(service)) changed(); }, { icon: "plus" }),
      button(t("keys.validate"), () => validation.start({ state: filter.state }), { icon: "check" }))),
    validation.element, filters, selection, table.element);
  drawSelection();
  table.reload();
  void readSummary().catch(() => {});
  repeat(15_000, readSummary, onLeave);
  // Events tell the states of whole keys; rests for one model, requests under way and counts are asked for. In a large pool that is sorted by one of these it costs
  // the server a look at each key, so it is asked the less often the longer it takes.
  let refreshedUntil = 0;
  repeat(5_000, async () => {
    const began = performance.now();
    if (began < refreshedUntil) return;
    await table.refresh();
    const ended = performance.now();
    refreshedUntil = ended + 20 * (ended - began);
  }, onLeave);
  const opened = Number(query.get("key"));
  if (Number.isInteger(opened) && opened > 0) void show(opened);

  onLeave(feed.listen("key_state", (events) => {
    let isOurs = false;
    for (const event of events) {
      if (event.service_id !== service.id) continue;
      isOurs = true;
      table.update(event.key_id, (key) => ({ ...key, state: event.to, state_reason: event.reason, cooling_until: event.until }));
      if (summary === null) continue;
      summary.keys_by_state[event.from] = Math.max(0, (summary.keys_by_state[event.from] ?? 0) - 1);
      summary.keys_by_state[event.to] = (summary.keys_by_state[event.to] ?? 0) + 1;
    }
    if (isOurs) drawSummary();
  }));
}

/** @param {Key} key */
export const nameOf = (key) => key.name === "" ? `#${key.key_id}` : key.name;

/**
 * A key's state in words: with the reason and the time until it is back, altogether or for some models.
 *
 * @param {Key} key
 */
export function standing(key) {
  const models = key.cooling_models.length;
  return [
    badge(key.state), " ", key.cooling_until !== null && [countdown(key.cooling_until), " "],
    key.state_reason !== null && h("span", { class: "quiet", title: word("requests.reason", key.state_reason) }, word("requests.reason", key.state_reason)),
    models > 0 && [" ", h("span", { class: "badge", data: { state: "cooling_model" } }, t("keys.models", { count: models }))],
  ];
}

/** @returns {import("../components/virtual-table.js").Column<Key>[]} */
const COLUMNS = () => [
  { name: "id", label: t("keys.key"), width: "minmax(8rem, 1fr)", isSortable: true, cell: (key) => h("code", {}, key.key_masked) },
  { name: "name", label: t("keys.name"), width: "minmax(5.5rem, 1.4fr)", isSortable: true, isSecondary: true, cell: (key) => key.name },
  { name: "state", label: t("keys.state"), width: "minmax(min(15rem, 50vw), 2.4fr)", isSortable: true, cell: standing },
  { name: "tags", label: t("keys.tags"), width: "minmax(5rem, 1fr)", isSecondary: true, cell: (key) => key.tags.map((tag) => [h("span", { class: "tag" }, tag), " "]) },
  { name: "group", label: t("keys.group"), width: "minmax(5.5rem, 1fr)", isSecondary: true, cell: (key) => key.quota_group ?? "" },
  { name: "weight", label: t("keys.weight"), width: "6rem", isSortable: true, isNumber: true, isExtra: true, cell: (key) => number(key.weight) },
  { name: "in_flight", label: t("keys.inFlight"), width: "6rem", isNumber: true, isExtra: true, cell: (key) => number(key.in_flight) },
  { name: "success_count", label: t("keys.successes"), width: "7.25rem", isSortable: true, isNumber: true, isSecondary: true, cell: (key) => compact(key.success_count) },
  { name: "failure_count", label: t("keys.failures"), width: "6rem", isSortable: true, isNumber: true, isSecondary: true, cell: (key) => compact(key.failure_count) },
  { name: "last_used_at", label: t("keys.lastUsed"), width: "7rem", isSortable: true, isSecondary: true, cell: (key) => timeElement(key.last_used_at) },
];

/**
 * The address of a key.
 *
 * @param {number} service
 * @param {number} key
 */
export const keyAddress = (service, key) => address(["services", service, "keys"], { key });
