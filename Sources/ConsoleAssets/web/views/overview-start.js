// SPDX-License-Identifier: MIT

import { h } from "../core/dom.js";
import { address } from "../core/router.js";
import { t } from "../core/text.js";
import { copyButton } from "../components/controls.js";
import { pathOf } from "./service-address.js";

/** @typedef {import("../core/types.js").Service} Service */

/**
 * The first three steps: a service, its keys, a first request. What is done is marked, and the next one has the button.
 *
 * @param {Service[]} services
 * @param {number | null} keys How many there are in all; null where it is not known yet.
 * @param {string} base The server's public address, without a slash at its end.
 */
export function startPanel(services, keys, base) {
  const service = services.find((one) => one.is_active) ?? services[0];
  const done = [service !== undefined, service !== undefined && keys !== 0, false];
  const next = done.indexOf(false);
  const step = (/** @type {number} */ index, /** @type {string} */ title, /** @type {string} */ hint, /** @type {import("../core/dom.js").Child[]} */ ...actions) => h(
    "li", { class: done[index] ? "done" : "", "aria-current": index === next ? "step" : null },
    h("div", { class: "stack tight" }, h("h3", {}, title, done[index] && h("span", { class: "offscreen" }, ` (${t("overview.start.done")})`)), !done[index] && h("p", { class: "hint" }, hint), index === next && actions));
  const primary = (/** @type {string} */ label, /** @type {string} */ href) => h("a", { class: "button primary", href }, label);
  return h(
    "section", { class: "card start", "aria-labelledby": "overview-start" }, h("h2", { id: "overview-start" }, t(next === 0 ? "overview.start.title" : "overview.start.goOn")), next === 0 && h("p", {}, t("overview.start.intro")),
    h(
      "ol", {},
      step(0, t("overview.start.service"), t("overview.start.serviceHint"), h("p", { class: "row" }, primary(t("overview.start.serviceAction"), address(["services", "new"])))),
      step(1, t("overview.start.keys"), t("overview.start.keysHint"), service && h("p", { class: "row" }, primary(t("overview.start.keysAction", { name: service.name }), address(["services", service.id, "keys"])))),
      step(
        2, t("overview.start.client"), t("overview.start.clientHint"),
        service && [
          h("p", { class: "row address" }, h("code", {}, base + pathOf(service)), copyButton(base + pathOf(service), t("overview.start.copyURL"), { hidesLabel: true })),
          h(
            "p", { class: "row" }, primary(t("overview.start.clientAction"), address(["clients", "new"], { service: service.slug })), h("a", { class: "button", href: address(["services", service.id, "use"]) }, t("overview.start.snippets")),
            h("a", { class: "button", href: address(["services", service.id, "try"]) }, t("overview.start.try"))),
        ])));
}
