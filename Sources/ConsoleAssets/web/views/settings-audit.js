// SPDX-License-Identifier: MIT

import { api, withQuery } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { dateTime, timeElement } from "../core/format.js";
import { address, rewrite } from "../core/router.js";
import { phrase, t, word } from "../core/text.js";
import { button, failed, failure } from "../components/controls.js";
import { plainTable } from "../components/virtual-table.js";
import { countsText } from "./settings-import.js";

/** @typedef {import("../core/types.js").AuditEntry} AuditEntry */
/** @typedef {import("../core/dom.js").Child} Child */

const PAGE = 200;
/** With a filter, so many entries are looked through before somebody has to say that it should go on. */
const SEARCHED_AT_ONCE = 4_000;
const SHOWN_AT_ONCE = 100;

/**
 * What things are called that entries name by number alone.
 *
 * @typedef {{services: Map<number, string>, clients: Map<number, string>, webhooks: Map<number, string>}} Names
 */

/**
 * Who changed what, the latest first.
 *
 * @param {import("./settings.js").TabContext} context
 */
export async function auditTab({ root, query, signal }) {
  let text = query.get("q") ?? "", actor = query.get("actor") ?? "";
  /** @type {AuditEntry[]} */
  let entries = [];
  let before = /** @type {number | null} */ (null);
  let isWhole = false;
  let shownMax = SHOWN_AT_ONCE;
  const names = await namesOf(signal);

  /** @type {WeakMap<AuditEntry, string>} */
  const words = new WeakMap();
  const wordsOf = (/** @type {AuditEntry} */ entry) => {
    let known = words.get(entry);
    if (known === undefined) words.set(entry, known = `${entry.action} ${actionText(entry)} ${entry.subject} ${textOf(subjectOf(entry, names))}`.toLowerCase());
    return known;
  };
  const takes = (/** @type {AuditEntry} */ entry) => (actor === "" || entry.actor === actor) && (text.trim() === "" || wordsOf(entry).includes(text.trim().toLowerCase()));

  const search = h("input", { type: "search", value: text, "aria-label": t("audit.search"), placeholder: t("audit.search"), on: { input: () => { text = search.value; choose(); } } });
  const actors = h("select", { "aria-label": t("audit.actor"), on: { change: () => { actor = actors.value; choose(); } } });
  const says = h("p", { class: "quiet", role: "status" });
  const list = h("div", { class: "card" });
  const more = h("div", { class: "row" });
  root.append(
    h("p", { class: "hint" }, t("audit.intro")),
    h("div", { class: "client-tools" }, search, actors, h("div", { class: "row" }, button(t("audit.refresh"), () => begin(), { icon: "refresh" }), says)), list, more);

  const draw = () => {
    const chosen = entries.filter(takes);
    const shown = chosen.slice(0, shownMax);
    const known = [...new Set([...entries.map((entry) => entry.actor), ...actor === "" ? [] : [actor]])].sort();
    replace(actors, h("option", { value: "" }, t("audit.everybody")), known.map((name) => h("option", { value: name }, name)));
    actors.value = actor;
    replace(says, t(isWhole ? "audit.countAll" : "audit.count", { shown: chosen.length, count: entries.length }));
    replace(list, shown.length === 0 ? h("p", { class: "quiet" }, t(entries.length === 0 ? "audit.none" : "audit.noneFound")) : plainTable({
      caption: t("settings.tab.audit"), rows: shown,
      columns: [
        {
          label: t("audit.when"),
          cell: (entry) => h("span", { class: "audit-when" }, h("span", { class: "secondary" }, dateTime(entry.at)), h("span", { class: "quiet" }, timeElement(entry.at))),
        },
        { label: t("audit.who"), isSecondary: true, cell: (entry) => entry.actor }, { label: t("audit.what"), cell: (entry) => h("span", { title: entry.action }, actionText(entry)) },
        { label: t("audit.subject"), cell: (entry) => subjectOf(entry, names) },
      ],
    }));
    replace(
      more, chosen.length > shown.length ? button(t("audit.more"), () => { shownMax += SHOWN_AT_ONCE; draw(); }) : !isWhole && button(t("audit.older"), () => further()));
  };

  /** Reads on until there is enough to show, or enough was looked through. */
  const further = async () => {
    const from = entries.length, wanted = entries.filter(takes).length + SHOWN_AT_ONCE;
    shownMax = wanted;
    const mine = entries;
    while (!isWhole && mine.length - from < SEARCHED_AT_ONCE && mine.filter(takes).length < wanted && !signal.aborted) {
      /** @type {import("../core/types.js").Page<AuditEntry>} */
      const page = await api.get(withQuery("/admin/audit", { order: "desc", before, limit: PAGE }), signal);
      // Begun anew in the meantime.
      if (entries !== mine) return;
      entries.push(...page.items);
      before = page.next;
      isWhole = page.next === null;
    }
    if (!signal.aborted) draw();
  };
  const begin = async () => {
    entries = [];
    before = null;
    isWhole = false;
    try {
      await further();
    } catch (error) {
      if (!signal.aborted) replace(list, failure(error, () => void begin()));
    }
  };
  const choose = () => {
    shownMax = SHOWN_AT_ONCE;
    rewrite(["settings", "audit"], { q: text, actor });
    draw();
    if (!isWhole && entries.filter(takes).length < SHOWN_AT_ONCE) further().catch(failed);
  };
  await begin();
}

/**
 * @param {AbortSignal} signal
 * @returns {Promise<Names>}
 */
async function namesOf(signal) {
  const read = async (/** @type {string} */ path) => {
    // Names are a comfort: without them, numbers stand there.
    const items = await /** @type {Promise<{id: number, name: string}[]>} */ (api.all(path)).catch(() => []);
    return new Map(items.map((item) => [item.id, item.name]));
  };
  const [services, clients, webhooks] = await Promise.all([read("/admin/proxy-configs"), read("/admin/client-keys"), read("/admin/webhooks")]);
  signal.throwIfAborted();
  return { services, clients, webhooks };
}

/** @param {AuditEntry} entry */
const actionText = (entry) => word("audit.action", entry.action);

/**
 * What an entry is about, with a link to it; as the server wrote it where that is not known here.
 *
 * @param {AuditEntry} entry
 * @param {Names} names
 * @returns {Child}
 */
function subjectOf(entry, names) {
  const link = (/** @type {string} */ kind, /** @type {string} */ number) => {
    const id = Number(number);
    const known = { service: names.services, client: names.clients, webhook: names.webhooks }[kind]?.get(id);
    const href = { service: address(["services", id]), client: address(["clients", id]), webhook: address(["settings", "alerts"]), job: address(["settings", "jobs"]) }[kind] ?? "#/";
    const label = known === undefined ? t(/** @type {any} */ (`audit.subject.${kind}`), { id: number }) : t("audit.subject.named", { name: known, id: number });
    // What is gone has no place any more.
    return known === undefined && kind !== "job" ? label : h("a", { href }, label);
  };
  /** @type {[RegExp, (found: string[]) => Child][]} */
  const forms = [
    [/^(service|client|webhook|job) (\d+)$/, ([, kind, id]) => link(kind, id)],
    [/^key (\d+) of service (\d+)$/, ([, id, service]) => phrase("audit.subject.keyOf", { key: t("audit.subject.key", { id }), service: link("service", service) })],
    [/^(\d+) keys of service (\d+)$/, ([, count, service]) => phrase("audit.subject.keysOf", { service: link("service", service) }, { count: Number(count) })],
    [
      /^(\d+) keys of service (\d+), job (\d+)$/,
      ([, count, service, job]) => [phrase("audit.subject.keysOf", { service: link("service", service) }, { count: Number(count) }), t("audit.subject.comma"), link("job", job)],
    ],
    [/^service (\d+), job (\d+)$/, ([, service, job]) => [link("service", service), t("audit.subject.comma"), link("job", job)]],
    [/^(\d+) services, (\d+) keys, (\d+) clients$/, ([, services, keys, clients]) => countsText({ services: Number(services), keys: Number(keys), clients: Number(clients) })],
    [/^(?:services|keys|clients): .*$/, ([summary]) => importText(summary)],
  ];
  for (const [pattern, make] of forms) {
    const found = pattern.exec(entry.subject);
    if (found !== null) return make([...found]);
  }
  return entry.subject;
}

/**
 * What an import did, in words.
 *
 * @param {string} summary Such as `services: 1 created; keys: 1 created, 2 deleted`.
 */
function importText(summary) {
  return summary.split("; ").map((part) => {
    const [kind, counts] = part.split(": ");
    const said = (counts ?? "").split(", ").map((count) => {
      const [number, did] = count.split(" ");
      return t("audit.subject.did", { count: Number(number), did: word("transfer.did", did ?? "") });
    });
    return t("audit.subject.part", { kind: word("transfer.kind", kind), what: said.join(t("audit.subject.comma")) });
  }).join(t("audit.subject.semicolon"));
}

/**
 * The words of elements.
 *
 * @param {Child} child
 */
function textOf(child) { return h("span", {}, child).textContent ?? ""; }
