// SPDX-License-Identifier: MIT

import { api } from "../core/api.js";
import { h, icon, replace } from "../core/dom.js";
import { address } from "../core/router.js";
import { t, word } from "../core/text.js";
import { badge, busy, emptyState, fill, segmented } from "../components/controls.js";
import { plainTable } from "../components/virtual-table.js";
import { rulesPage } from "./rules-page.js";

/** @typedef {import("../core/types.js").Service} Service */
/** @typedef {import("../core/types.js").ApiFormat} ApiFormat */
/** @typedef {import("./rule-sentence.js").Rule} Rule */

/** @type {ApiFormat[]} */
const FORMATS = ["openai_compatible", "anthropic_native", "gemini_native", "azure_openai", "generic"];
/** So many tables are asked for at the same time. */
const ASKED_AT_ONCE = 6;

/** @type {import("../core/router.js").View} */
export async function rulesView(context) {
  const subject = context.path[0];
  if (subject === undefined) return await overview(context);
  const format = FORMATS.find((one) => one === subject);
  return await rulesPage(context, format ?? Number(subject));
}

/**
 * The tables of the formats, and which services have one of their own.
 *
 * @param {import("../core/router.js").ViewContext} context
 */
async function overview({ root, query, signal, setTitle }) {
  setTitle(t("nav.rules"));
  const services = h("div", { class: "stack" });
  const formats = h("div", { class: "stack" });
  root.append(h("h1", {}, t("nav.rules")), h("p", { class: "hint" }, t("rules.intro")), services, formats);
  await Promise.all([
    fill(services, async () => {
      /** @type {Service[]} */
      const all = await api.all("/admin/proxy-configs");
      return serviceSection(all, query.get("show") === "own", signal);
    }),
    fill(formats, async () => {
      const tables = await Promise.all(FORMATS.map(async (format) => {
        /** @type {{rules: Rule[]}} */
        const { rules } = await api.get(`/admin/rules/${format}`, signal);
        return { format, count: rules.length };
      }));
      return [
        h("h2", {}, t("rules.formats")), h("p", { class: "hint" }, t("rules.formatsHint")),
        h("ul", { class: "grid" }, tables.map(({ format, count }) => h(
          "li", { class: "card" }, h("h3", {}, h("a", { href: address(["rules", format]) }, word("services.format", format))),
          h("p", { class: "quiet" }, t("rules.count", { count }))))),
      ];
    }),
  ]);
}

/**
 * Services with the table that is in force for each. Which one it is comes in after the list stands.
 *
 * @param {Service[]} services
 * @param {boolean} showsOwnFirst Whether only those with a table of their own are shown at first.
 * @param {AbortSignal} signal
 */
function serviceSection(services, showsOwnFirst, signal) {
  const head = h("h2", {}, t("rules.services"));
  if (services.length === 0) return [
    head, emptyState(t("rules.noServices"), h("a", { class: "button", href: address(["services"]) }, icon("services"), h("span", {}, t("rules.toServices")))),
  ];
  /** @type {Map<number, {is_default: boolean, rules: Rule[]}>} */
  const tables = new Map();
  let showsOwn = showsOwnFirst;
  const holder = h("div", {});
  const table = (/** @type {Service} */ service) => {
    const known = tables.get(service.id);
    if (known === undefined) return busy();
    return h("span", { class: "row" }, badge(known.is_default ? "format" : "own", "rules.table"), h("span", { class: "quiet" }, t("rules.count", { count: known.rules.length })));
  };
  const draw = () => {
    const shown = services.filter((service) => !showsOwn || tables.get(service.id)?.is_default === false);
    if (shown.length === 0) return replace(holder, h("p", { class: "quiet" }, t(tables.size < services.length ? "busy" : "rules.noOwn")));
    return replace(holder, plainTable({
      caption: t("rules.services"), rows: shown,
      columns: [
        { label: t("rules.service"), cell: (service) => h("a", { href: address(["rules", service.id]) }, service.name) },
        { label: t("rules.slug"), isSecondary: true, cell: (service) => h("code", {}, service.slug) },
        { label: t("rules.formatLabel"), isSecondary: true, cell: (service) => word("services.format", service.api_format) }, { label: t("rules.inForce"), cell: table },
      ],
    }));
  };
  const ask = async () => {
    const waiting = [...services];
    let drawn = Date.now();
    await Promise.all(Array.from({ length: ASKED_AT_ONCE }, async () => {
      for (let service = waiting.shift(); service !== undefined && !signal.aborted; service = waiting.shift()) {
        const { id } = service;
        await api.get(`/admin/proxy-configs/${id}/rules`, signal).then((answer) => tables.set(id, /** @type {any} */ (answer)), () => {});
        if (Date.now() - drawn > 500) {
          drawn = Date.now();
          draw();
        }
      }
    }));
    if (!signal.aborted) draw();
  };
  draw();
  void ask();
  return [
    h(
      "div", { class: "spread" }, head,
      segmented(t("rules.which"), [{ value: "all", label: t("rules.which.all") }, { value: "own", label: t("rules.which.own") }], showsOwn ? "own" : "all", (value) => {
      showsOwn = value === "own";
      draw();
    })), h("div", { class: "card" }, holder),
  ];
}
