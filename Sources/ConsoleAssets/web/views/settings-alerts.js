// SPDX-License-Identifier: MIT

import { api } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { dateTime, timeElement } from "../core/format.js";
import { t, word } from "../core/text.js";
import { badge, busy, button, emptyState, failed, failure, switchControl } from "../components/controls.js";
import { confirm, openDialog } from "../components/dialogs.js";
import { notify } from "../components/toasts.js";
import { plainTable } from "../components/virtual-table.js";
import { editWebhook, intervalText, makeWebhook } from "./settings-webhook.js";

/** @typedef {import("../core/types.js").Webhook} Webhook */
/** @typedef {import("../core/types.js").Delivery} Delivery */
/** @typedef {{delivered: boolean, status: number | null, error: string | null}} TestResult */

const DELIVERIES_MS = 3_000;

/**
 * Who is told of what goes wrong, and how.
 *
 * @param {import("./settings.js").TabContext} context
 */
export async function alertsTab({ root, signal }) {
  /** @type {Webhook[]} */
  let webhooks = [];
  /** @type {string[]} */
  let slugs = [];
  /**
   * What came of the last test of each.
   *
   * @type {Map<number, TestResult>}
   */
  const tests = new Map();
  const body = h("div", { class: "stack" }, busy());
  const make = async () => {
    const made = await makeWebhook(slugs);
    if (made === null) return;
    notify(t("alerts.made", { name: made.name }));
    await load();
    focus(made.id);
  };
  root.append(h("div", { class: "spread" }, h("p", { class: "hint" }, t("alerts.intro")), button(t("alerts.new"), make, { kind: "primary", icon: "plus" })), body);

  const focus = (/** @type {number} */ id) => /** @type {HTMLElement | null} */ (body.querySelector(`[data-webhook="${id}"] h2`))?.focus();
  const load = async () => {
    webhooks = await api.all("/admin/webhooks");
    if (!signal.aborted) draw();
  };
  const draw = () => {
    if (webhooks.length > 0) return replace(body, h("ul", { class: "clients", "aria-label": t("settings.tab.alerts") }, webhooks.map(card)));
    return replace(body, emptyState(t("alerts.empty"), h("p", {}, t("alerts.emptyHint")), button(t("alerts.new"), make, { kind: "primary", icon: "plus" })));
  };

  /** @param {Webhook} webhook */
  const card = (webhook) => {
    const { name } = webhook;
    const path = `/admin/webhooks/${webhook.id}`;
    const change = async (/** @type {object} */ what, /** @type {object} */ back, /** @type {string} */ says) => {
      await api.patch(path, what);
      notify(says, {
        undo: async () => {
          await api.patch(path, back);
          await load();
        },
      });
      await load();
      focus(webhook.id);
    };
    const result = h("div", { role: "status" }, testResult(tests.get(webhook.id)));
    return h(
      "li", { class: "card client", data: { webhook: String(webhook.id) } },
      h(
        "div", { class: "client-head" },
        h("div", { class: "row" }, h("h2", { tabindex: -1 }, name), h("span", { class: "tag" }, t(`alerts.shape.${webhook.shape}`)), h("code", { class: "quiet" }, webhook.url_masked)),
        h(
          "div", { class: "row" },
          switchControl(
            t("alerts.switch", { name }), webhook.is_active,
            (isOn) => change({ is_active: isOn }, { is_active: !isOn }, t(isOn ? "alerts.switchedOn" : "alerts.switchedOff", { name }))).element,
          button(t("alerts.test"), async () => {
            replace(result, busy(t("alerts.testing")));
            try {
              tests.set(webhook.id, await api.post(`${path}/test`));
              replace(result, testResult(tests.get(webhook.id)));
            } catch (error) {
              replace(result);
              throw error;
            }
          }, { kind: "plain", icon: "play", label: t("alerts.testOf", { name }) }),
          button(t("alerts.deliveries"), () => showDeliveries(webhook), { kind: "plain", label: t("alerts.deliveriesOf", { name }) }),
          button(t("action.edit"), async () => {
            const edited = await editWebhook(webhook, slugs);
            if (edited === null) return;
            notify(t("alerts.changed", { name: edited.name }), edited.undo === null ? {} : {
              undo: async () => {
                await edited.undo?.();
                await load();
              },
            });
            await load();
            focus(webhook.id);
          }, { kind: "plain", label: t("alerts.editOf", { name }) }),
          button("", async () => {
            const isSure = await confirm({ title: t("alerts.delete.title", { name }), message: t("alerts.delete.loss"), action: t("alerts.delete.action") });
            if (!isSure) return;
            await api.delete(path);
            notify(t("alerts.deleted", { name }));
            await load();
            /** @type {HTMLElement | null} */ (root.querySelector(".button"))?.focus();
          }, { kind: "plain", icon: "trash", label: t("alerts.deleteOf", { name }) }))),
      h(
        "div", { class: "client-body" },
        h("div", { class: "webhook-events" }, h("h3", {}, t("alerts.events")), h("ul", { class: "plain-list" }, webhook.events.map((event) => h("li", {}, eventText(event, webhook))))),
        h(
          "dl", { class: "facts webhook-facts" }, h("dt", {}, t("alerts.services")),
          h("dd", {}, webhook.services === null ? t("alerts.allServices") : h("span", { class: "row tight" }, webhook.services.map((slug) => h("code", { class: "tag" }, slug)))),
          h("dt", {}, t("alerts.interval")), h("dd", {}, intervalText(webhook.min_interval_seconds)),
          webhook.shape === "generic" && [h("dt", {}, t("alerts.signed")), h("dd", {}, t(webhook.has_secret ? "alerts.isSigned" : "alerts.notSigned"))],
          webhook.chat_id !== null && [h("dt", {}, t("alerts.chat")), h("dd", {}, h("code", {}, webhook.chat_id))])),
      result);
  };

  const begin = async () => {
    replace(body, busy());
    try {
      /** @type {[{slug: string}[], void]} */
      const [services] = await Promise.all([api.all("/admin/proxy-configs"), load()]);
      slugs = services.map((service) => service.slug);
    } catch (error) {
      if (!signal.aborted) replace(body, failure(error, () => void begin()));
    }
  };
  await begin();
}

/**
 * An event as a sentence that says when it is told.
 *
 * @param {string} event
 * @param {Webhook} webhook
 */
function eventText(event, webhook) {
  return event === "pool_low" ? t("alerts.poolLow", { count: webhook.pool_minimum }) : word("alerts.event", event);
}

/** @param {TestResult | undefined} result */
function testResult(result) {
  if (result === undefined) return null;
  return result.delivered
    ? h("p", { class: "notice good" }, t("alerts.testDelivered", { status: String(result.status ?? "") }))
    : h(
      "p", { class: "form-error" },
      result.status === null ? t("alerts.testFailed", { reason: word("alerts.error", result.error ?? "") }) : t("alerts.testRefused", { status: String(result.status) }));
}

/**
 * The last deliveries of a webhook, followed while the dialog is open.
 *
 * @param {Webhook} webhook
 */
async function showDeliveries(webhook) {
  const list = h("div", {}, busy());
  let shown = "";
  const load = async () => {
    /** @type {{items: Delivery[]}} */
    const { items } = await api.get(`/admin/webhooks/${webhook.id}/deliveries`);
    const text = JSON.stringify(items);
    // Drawn anew only where something is new: somebody may be reading.
    if (text === shown) return;
    shown = text;
    replace(list, items.length === 0 ? h("p", { class: "quiet" }, t("alerts.noDeliveries")) : plainTable({
      caption: t("alerts.deliveries"), rows: items,
      columns: [
        {
          label: t("alerts.at"),
          cell: (delivery) => h("span", { class: "audit-when" }, h("span", { class: "secondary" }, dateTime(delivery.at)), h("span", { class: "quiet" }, timeElement(delivery.at))),
        },
        { label: t("alerts.event"), cell: (delivery) => word("alerts.event", delivery.event) },
        { label: t("alerts.state"), cell: (delivery) => badge(delivery.state, "alerts.delivery") },
        { label: t("alerts.attempts"), isNumber: true, isSecondary: true, cell: (delivery) => String(delivery.attempts) },
        { label: t("alerts.answer"), cell: (delivery) => delivery.status !== null ? String(delivery.status) : delivery.error === null ? "" : word("alerts.error", delivery.error) },
      ],
    }));
  };
  const timer = setInterval(() => load().catch(() => {}), DELIVERIES_MS);
  load().catch((error) => {
    replace(list);
    failed(error);
  });
  await openDialog({
    title: t("alerts.deliveriesOf", { name: webhook.name }), shape: "wide", content: (/** @type {(result: null) => void} */ close) => ({
      body: [h("p", { class: "hint" }, t("alerts.deliveriesHint")), list], actions: [button(t("action.close"), () => close(null))],
    }),
  });
  clearInterval(timer);
}
