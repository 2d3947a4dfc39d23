// SPDX-License-Identifier: MIT

import { api } from "../core/api.js";
import { h, replace, uniqueID } from "../core/dom.js";
import { number } from "../core/format.js";
import { t } from "../core/text.js";
import { formDialog } from "../components/dialogs.js";
import { checkField, numberField, selectField, textField, tokensField } from "../components/forms.js";

/** @typedef {import("../core/types.js").Webhook} Webhook */
/** @typedef {import("../components/forms.js").Field} Field */

/** What a webhook can be told of. */
const EVENTS = /** @type {const} */ (["pool_low", "key_invalid", "key_exhausted", "client_over_budget", "store_down", "store_up"]);
const SHAPES = /** @type {const} */ (["generic", "slack", "telegram"]);
const SECRET_MIN = 16, SECRET_MAX = 256;
const SECRET = new RegExp(`^[\\x21-\\x7e]{${SECRET_MIN},${SECRET_MAX}}$`);
const URL_EXAMPLES = { generic: "https://example.com/alerts", slack: "https://hooks.slack.com/services/…", telegram: "https://api.telegram.org/bot…/sendMessage" };

const UNITS = [{ unit: "day", length: 86_400 }, { unit: "hour", length: 3_600 }, { unit: "minute", length: 60 }];

/**
 * How long the same is not told again, in words.
 *
 * @param {number} seconds
 */
export function intervalText(seconds) {
  if (seconds === 0) return t("alerts.eachTime");
  const { unit, length } = UNITS.find((one) => seconds % one.length === 0) ?? { unit: "second", length: 1 };
  return t("alerts.onceIn", { span: number(seconds / length, { style: "unit", unit, unitDisplay: "long" }) });
}

/**
 * Asks for a new webhook and makes it; null where nothing came of it.
 *
 * @param {string[]} slugs Of the services that there are.
 * @returns {Promise<Webhook | null>}
 */
export function makeWebhook(slugs) {
  const form = new WebhookForm(null, slugs);
  return formDialog({
    title: t("alerts.new"), action: t("alerts.make"), fields: form.elements, validated: form.fields,
    submit: () => api.post("/admin/webhooks", form.value()),
  });
}

/**
 * Asks what is to be different of a webhook and changes that; null where nothing is. What is secret cannot be put back, so that such a change cannot be undone.
 *
 * @param {Webhook} webhook
 * @param {string[]} slugs
 * @returns {Promise<{name: string, undo: (() => Promise<unknown>) | null} | null>}
 */
export function editWebhook(webhook, slugs) {
  const form = new WebhookForm(webhook, slugs);
  return formDialog({
    title: t("alerts.editTitle", { name: webhook.name }), action: t("action.save"), fields: form.elements, validated: form.fields,
    submit: async () => {
      /** @type {Record<string, unknown>} */
      const change = {};
      /** @type {Record<string, unknown>} */
      const before = {};
      for (const [member, value] of Object.entries(form.value())) {
        const present = webhook[/** @type {keyof Webhook} */ (member)];
        if (JSON.stringify(value) === JSON.stringify(present)) continue;
        change[member] = value;
        before[member] = present;
      }
      if (Object.keys(change).length === 0) return null;
      const path = `/admin/webhooks/${webhook.id}`;
      /** @type {Webhook} */
      const changed = await api.patch(path, change);
      // With another shape goes what the former one needed.
      const isLost = "url" in change || "secret" in change || "shape" in change && webhook.has_secret;
      if (before.shape === "telegram") before.chat_id = webhook.chat_id;
      else if ("shape" in before) delete before.chat_id;
      return { name: changed.name, undo: isLost ? null : () => api.patch(path, before) };
    },
  });
}

class WebhookForm {
  #webhook;
  #name;
  #shape;
  #url;
  #chat;
  #secret;
  #forget;
  #events;
  #services;
  #minimum;
  #interval;

  /** @type {Field[]} */
  fields;
  /** @type {import("../core/dom.js").Child[]} */
  elements;

  /**
   * @param {Webhook | null} webhook
   * @param {string[]} slugs
   */
  constructor(webhook, slugs) {
    this.#webhook = webhook;
    this.#name = textField({ label: t("alerts.name"), name: "name", required: true, value: webhook?.name });
    this.#shape = selectField({
      label: t("alerts.shape"), name: "shape", value: webhook?.shape ?? "generic", onInput: () => this.#show(),
      options: SHAPES.map((value) => ({ value, label: t(`alerts.shape.${value}`) })),
    });
    this.#url = textField({
      label: t("alerts.url"), name: "url", required: webhook === null, isCode: true, autocomplete: "off",
      hint: webhook === null ? t("alerts.urlHint") : t("alerts.urlKept", { url: webhook.url_masked }),
      check: (value) => value === "" || /^https?:\/\/[^\s]+$/.test(value) ? null : t("alerts.urlWrong"),
    });
    this.#chat = textField({
      label: t("alerts.chat"), name: "chat_id", isCode: true, value: webhook?.chat_id, hint: t("alerts.chatHint"),
      check: (value) => this.#shape.value() === "telegram" && value === "" ? t("field.required") : null,
    });
    this.#secret = textField({
      label: t("alerts.secret"), name: "secret", type: "password", isCode: true, autocomplete: "new-password",
      hint: webhook?.has_secret ? t("alerts.secretKept") : t("alerts.secretHint"),
      check: (value) => this.#shape.value() !== "generic" || value === "" || SECRET.test(value) ? null : t("alerts.secretWrong", { min: SECRET_MIN, max: SECRET_MAX }),
    });
    this.#forget = checkField({ label: t("alerts.secretForget"), value: false });
    this.#forget.element.hidden = !webhook?.has_secret;
    this.#events = eventsField(webhook?.events ?? [...EVENTS], () => this.#show());
    this.#services = tokensField({
      label: t("alerts.services"), name: "services", value: webhook?.services, isCode: true, suggestions: slugs, placeholder: t("alerts.allServices"),
      hint: t("alerts.servicesHint"),
    });
    this.#minimum = numberField({
      label: t("alerts.minimum"), name: "pool_minimum", value: webhook?.pool_minimum ?? 1, min: 1, max: 1_000_000, required: true, hint: t("alerts.minimumHint"),
    });
    this.#interval = numberField({
      label: t("alerts.intervalSeconds"), name: "min_interval_seconds", value: webhook?.min_interval_seconds ?? 300, min: 0, max: 604_800, required: true,
      hint: t("alerts.intervalHint"),
    });
    this.fields = [this.#name, this.#shape, this.#url, this.#chat, this.#secret, this.#events, this.#services, this.#minimum, this.#interval];
    this.elements = [
      h("div", { class: "columns" }, this.#name.element, this.#shape.element), this.#url.element, this.#chat.element,
      h("div", { class: "stack" }, this.#secret.element, this.#forget.element), this.#events.element,
      this.#services.element, h("div", { class: "columns" }, this.#minimum.element, this.#interval.element),
    ];
    this.#show();
  }

  #show() {
    const shape = /** @type {typeof SHAPES[number]} */ (this.#shape.value());
    this.#url.element.querySelector("input")?.setAttribute("placeholder", URL_EXAMPLES[shape]);
    this.#chat.element.hidden = shape !== "telegram";
    const secrets = /** @type {HTMLElement} */ (this.#secret.element.parentElement);
    secrets.hidden = shape !== "generic";
    this.#minimum.element.hidden = !this.#events.value().includes("pool_low");
  }

  /** What is to be sent: of what is secret only what was typed. */
  value() {
    const shape = this.#shape.value();
    const secret = shape !== "generic" ? undefined : this.#secret.value() !== "" ? this.#secret.value() : this.#forget.value() ? null : undefined;
    return {
      name: this.#name.value(), shape, ...this.#url.value() === "" ? {} : { url: this.#url.value() }, ...shape === "telegram" ? { chat_id: this.#chat.value() } : {},
      ...secret === undefined ? {} : { secret },
      events: this.#events.value(), services: this.#services.value(), pool_minimum: this.#minimum.value(), min_interval_seconds: this.#interval.value(),
      ...this.#webhook === null ? {} : { is_active: this.#webhook.is_active },
    };
  }
}

/**
 * Which events are told.
 *
 * @param {string[]} chosen
 * @param {() => void} changed
 * @returns {Field}
 */
function eventsField(chosen, changed) {
  const errorID = uniqueID(), legendID = uniqueID();
  const error = h("p", { class: "field-error", id: errorID, role: "alert" });
  const boxes = EVENTS.map((event) => h("input", { type: "checkbox", value: event, checked: chosen.includes(event), on: { change: () => {
    replace(error);
    changed();
  } } }));
  const refuse = (/** @type {string | null} */ message) => replace(error, message);
  return {
    name: "events",
    element: h(
      "div", { class: "field", role: "group", "aria-labelledby": legendID }, h("span", { class: "label", id: legendID }, t("alerts.events")),
      h("div", { class: "columns tight" }, EVENTS.map((event, index) => h("label", { class: "check-row" }, boxes[index], h("span", {}, t(`alerts.event.${event}`))))), error),
    value: () => boxes.filter((box) => box.checked).map((box) => box.value),
    set: (value) => { for (const box of boxes) box.checked = value.includes(box.value); },
    validate: () => {
      const isChosen = boxes.some((box) => box.checked);
      refuse(isChosen ? null : t("alerts.eventsNone"));
      return isChosen;
    },
    refuse, focus: () => boxes[0].focus(),
  };
}
