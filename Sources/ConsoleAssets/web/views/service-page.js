// SPDX-License-Identifier: MIT

import { api } from "../core/api.js";
import { h, icon, replace } from "../core/dom.js";
import { address, go } from "../core/router.js";
import { t, word } from "../core/text.js";
import { badge, button, copyButton, menuButton, switchControl, tabLinks } from "../components/controls.js";
import { keysTab } from "./keys.js";
import { pathOf, targetOf, withoutSlash } from "./service-address.js";
import { deleteService, setActive } from "./service-actions.js";
import { backLink, justMade } from "./service-new.js";
import { hostOf } from "./service-presets.js";
import { settingsTab } from "./service-settings.js";
import { tryTab } from "./service-try.js";
import { useTab } from "./service-use.js";

/** @typedef {import("../core/types.js").Service} Service */

/**
 * What a tab of a service's page is given.
 *
 * @typedef {object} TabContext
 * @property {HTMLElement} root Empty.
 * @property {Service} service
 * @property {string} base The server's public address, without a slash at its end.
 * @property {URLSearchParams} query
 * @property {AbortSignal} signal
 * @property {(end: () => void) => void} onLeave
 * @property {(service: Service) => void} changed To be called with the service after it was changed.
 */

const TABS = /** @type {const} */ (["keys", "use", "try", "settings"]);
/** @typedef {typeof TABS[number]} Tab */

/** Which place was shown last, to tell a change of the tab from an arrival. */
let shownBefore = "";

/**
 * The page of one service.
 *
 * @type {import("../core/router.js").View}
 */
export async function servicePageView({ root, path, query, signal, onLeave, setTitle }) {
  const id = Number(path[0]);
  const tab = TABS.find((one) => one === path[1]) ?? "keys";
  const [first, config] = await Promise.all([
    /** @type {Promise<Service>} */ (api.get(`/admin/proxy-configs/${encodeURIComponent(path[0])}`, signal)),
    /** @type {Promise<{proxy_public_base_url: string}>} */ (api.get("/admin/app-config", signal)),
  ]);
  if (signal.aborted) return;
  let service = first;
  const base = withoutSlash(config.proxy_public_base_url);

  const head = h("div", { class: "stack tight" });
  const notice = h("div", { class: "stack" });
  const tabs = h("div", {});
  const place = h("div", { class: "stack tab" });
  root.append(head, notice, tabs, place);

  const draw = () => {
    setTitle(service.name);
    const url = base + pathOf(service);
    replace(
      head, backLink(address(["services"]), t("nav.services")),
      h(
        "div", { class: "view-head" }, h("h1", { tabindex: -1 }, service.name),
        h(
          "div", { class: "row" }, switchControl(t("services.switch", { name: service.name }), service.is_active, async (isOn) => {
            await setActive(service, isOn, changed);
            changed({ ...service, is_active: isOn });
            head.querySelector("input")?.focus();
          }).element,
          menuButton(t("services.actions", { name: service.name }), [
            { label: t("services.duplicate"), icon: "plus", press: () => go(["services", "new"], { copy: service.id }) },
            { label: t("services.delete"), icon: "trash", kind: "danger", press: remove },
          ], { hidesLabel: true }))),
      h(
        "p", { class: "row facts-line" }, !service.is_active && badge("off", "services.condition"), h("span", {}, word("services.format", service.api_format)),
        h("span", { class: "quiet" }, "→ ", h("span", { class: "code" }, hostOf(targetOf(service)))), h("span", { class: "row address" }, h("code", {}, url), copyButton(url, t("services.copyURL"), { hidesLabel: true }))));
    replace(tabs, h(
      "div", { class: "tabs-line" },
      tabLinks(TABS.map((one) => ({ label: t(`services.tab.${one}`), href: address(["services", service.id, one]), isCurrent: one === tab })), t("services.tabs", { name: service.name })),
      h("a", { class: "rules-link", href: address(["rules", service.id]) }, t("services.rulesLink"), icon("right"))));
    drawNotice();
  };
  const changed = (/** @type {Service} */ now) => {
    service = now;
    draw();
  };
  const remove = async () => {
    if (await deleteService(service)) go(["services"]);
  };
  const drawNotice = () => {
    notice.hidden = !justMade.has(id);
    replace(notice, justMade.has(id) && whatNext(service, base + pathOf(service), tab, () => {
      justMade.delete(id);
      drawNotice();
      head.querySelector("h1")?.focus();
    }));
  };

  draw();
  const here = `${id}/${tab}`;
  if (document.activeElement === document.body) {
    const wasTab = shownBefore.startsWith(`${id}/`) && shownBefore !== here;
    /** @type {HTMLElement | null} */ (root.querySelector(wasTab ? ".tabs [aria-current]" : "h1"))?.focus({ preventScroll: true });
  }
  shownBefore = here;
  onLeave(() => { if (!location.hash.startsWith(`#/services/${id}`)) shownBefore = ""; });

  const context = { root: place, service, base, query, signal, onLeave, changed };
  await { keys: keysTab, use: useTab, try: tryTab, settings: settingsTab }[tab](context);
}

/**
 * What comes next for a service that was made a moment ago.
 *
 * @param {Service} service
 * @param {string} url
 * @param {Tab} tab
 * @param {() => void} close
 */
function whatNext(service, url, tab, close) {
  const result = justMade.get(service.id) ?? null;
  const added = result?.success_count ?? 0;
  const step = (/** @type {boolean} */ isDone, /** @type {import("../core/dom.js").Child[]} */ ...children) => h("li", { class: isDone ? "done" : "" }, h("span", { class: "row" }, children));
  return h(
    "section", { class: "card what-next", "aria-labelledby": "what-next" },
    h("h2", { id: "what-next" }, t("services.next.title", { name: service.name }), button("", close, { kind: "plain", icon: "close", label: t("action.close") })),
    h(
      "ol", {},
      step(
        added > 0, added > 0 ? t("services.next.keysAdded", { count: added }) : tab === "keys" ? t("services.next.keys") : h("a", { href: address(["services", service.id, "keys"]) }, t("services.next.keysElsewhere")),
        result !== null && result.skipped_count > 0 && h("span", { class: "quiet" }, t("services.next.keysSkipped", { count: result.skipped_count })),
        result !== null && result.failed_count > 0 && h("span", { class: "bad" }, t("services.next.keysFailed", { count: result.failed_count, lines: failedLines(result) }))),
      step(false, h("a", { href: address(["clients", "new"], { service: service.slug }) }, t("services.next.client")), h("span", { class: "quiet" }, t("services.next.clientHint"))),
      step(false, h("span", {}, t("services.next.url")), h("span", { class: "row address" }, h("code", {}, url), copyButton(url, t("services.copyURL"), { hidesLabel: true }))),
      step(false, h("a", { href: address(["services", service.id, "try"]) }, t("services.next.try")), " · ", h("a", { href: address(["services", service.id, "use"]) }, t("services.next.use")))));
}

/**
 * Which lines were not taken, the first few of them; never what stood there.
 *
 * @param {import("../core/types.js").BatchResult} result
 */
function failedLines(result) {
  const shown = result.failed_keys.slice(0, 5).map((one) => `${one.index + 1} (${one.reason})`).join(", ");
  return result.failed_keys.length > 5 ? `${shown}, …` : shown;
}
