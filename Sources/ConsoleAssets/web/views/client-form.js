// SPDX-License-Identifier: MIT

import { api } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { dateTime } from "../core/format.js";
import { t } from "../core/text.js";
import { formDialog } from "../components/dialogs.js";
import { numberField, selectField, textField, tokensField } from "../components/forms.js";

/** @typedef {import("../core/types.js").Client} Client */
/** @typedef {import("../core/types.js").Service} Service */
/** @typedef {"requests_per_minute" | "tokens_per_minute" | "concurrent_requests" | "monthly_token_budget"} Limit */

/** @type {Limit[]} */
const LIMITS = ["requests_per_minute", "tokens_per_minute", "concurrent_requests", "monthly_token_budget"];
/** The server counts no further. */
const LIMIT_MAX = 2 ** 52;
const DAY_MS = 86_400_000;
const NAME_MAX = 200;

/**
 * What a limit is called.
 *
 * @param {Limit} limit
 */
export function memberText(limit) { return t(`clients.limit.${limit}`); }

/**
 * Asks for a new client and makes it; null where nothing came of it.
 *
 * @param {Service[]} services
 * @param {string[] | null} allowed The slugs that are proposed; null: all.
 * @returns {Promise<Client | null>} With its key, this once.
 */
export function makeClient(services, allowed) {
  const form = clientFields(services, null, allowed);
  return formDialog({
    title: t("clients.new"), action: t("clients.make"), fields: form.elements, validated: form.fields, intro: t("clients.newHint"),
    submit: () => api.post("/admin/client-keys", Object.fromEntries(Object.entries(form.value()).filter(([, value]) => value !== null))),
  });
}

/**
 * Asks what is to be different of a client and changes that; null where nothing is.
 *
 * @param {Client} client
 * @param {Service[]} services
 * @returns {Promise<{name: string, undo: () => Promise<unknown>} | null>}
 */
export function editClient(client, services) {
  const form = clientFields(services, client, client.services);
  return formDialog({
    title: t("clients.editTitle", { name: client.name }), action: t("action.save"), fields: form.elements, validated: form.fields,
    submit: async () => {
      /** @type {Record<string, unknown>} */
      const change = {};
      /** @type {Record<string, unknown>} */
      const before = {};
      for (const [member, value] of Object.entries(form.value())) {
        const present = client[/** @type {keyof Client} */ (member)];
        if (JSON.stringify(value) === JSON.stringify(present)) continue;
        change[member] = value;
        before[member] = present;
      }
      if (Object.keys(change).length === 0) return null;
      const path = `/admin/client-keys/${client.id}`;
      /** @type {Client} */
      const changed = await api.patch(path, change);
      return { name: changed.name, undo: () => api.patch(path, before) };
    },
  });
}

/**
 * @param {Service[]} services
 * @param {Client | null} client
 * @param {string[] | null} allowedAtFirst
 */
function clientFields(services, client, allowedAtFirst) {
  const name = textField({
    label: t("clients.name"), name: "name", required: true, value: client?.name, hint: t("clients.nameHint"),
    check: (value) => value.length > NAME_MAX ? t("clients.nameLong", { max: NAME_MAX }) : null,
  });
  const allowed = tokensField({
    label: t("clients.services"), name: "services", value: allowedAtFirst, isCode: true, placeholder: t("clients.allServices"), hint: t("clients.servicesHint"),
    suggestions: services.map((service) => service.slug),
  });
  const models = tokensField({
    label: t("clients.models"), name: "models", value: client?.models, isCode: true, placeholder: t("clients.allModels"), hint: t("clients.modelsHint"),
  });
  const limits = LIMITS.map((limit) => numberField({
    label: memberText(limit), name: limit, value: client?.[limit], min: 1, max: LIMIT_MAX, placeholder: t("clients.noLimit"),
  }));
  const expiry = expiryFields(client?.expires_at ?? null);
  return {
    fields: [name, allowed, models, ...limits, expiry.moment],
    elements: [
      name.element, allowed.element, models.element, h("h3", {}, t("clients.limits")), h("p", { class: "hint" }, t("clients.limitsHint")),
      h("div", { class: "columns" }, limits.map((limit) => limit.element)), expiry.element,
    ],
    value: () => ({
      name: name.value(), services: allowed.value(), models: models.value(), ...Object.fromEntries(limits.map((limit) => [limit.name, limit.value()])), expires_at: expiry.value(),
    }),
  };
}

/**
 * When a key stops being good: never, after one of a few spans, or at a moment in the browser's time zone.
 *
 * @param {string | null} present
 */
function expiryFields(present) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const moment = textField({
    label: t("clients.expiresAt"), name: "expires_at", type: "datetime-local", hint: t("clients.expiresZone", { zone }), value: present === null ? "" : localText(present),
    check: (value) => {
      if (span.value() !== "at") return null;
      if (value === "" || Number.isNaN(Date.parse(value))) return t("field.required");
      return value !== localText(present ?? "") && Date.parse(value) <= Date.now() ? t("clients.expiresPast") : null;
    },
  });
  const says = h("p", { class: "hint", role: "status" });
  const show = () => {
    const chosen = span.value();
    moment.element.hidden = chosen !== "at";
    const days = Number(chosen);
    replace(says, days > 0 && t("clients.expiresThen", { when: dateTime(Date.now() + days * DAY_MS, { dateStyle: "full", timeStyle: "short" }) }));
  };
  const span = selectField({
    label: t("clients.expires"), value: present === null ? "never" : "at", onInput: show,
    options: [
      { value: "never", label: t("clients.never") }, ...[1, 30, 90].map((days) => ({ value: String(days), label: t("clients.expiresIn", { count: days }) })),
      { value: "at", label: t("clients.expiresOther") },
    ],
  });
  show();
  return {
    moment,
    element: h("div", { class: "columns" }, h("div", { class: "field" }, span.element, says), moment.element),
    /** @returns {string | null} */
    value: () => {
      const chosen = span.value();
      if (chosen === "never") return null;
      if (chosen !== "at") return new Date(Date.now() + Number(chosen) * DAY_MS).toISOString();
      // The field knows minutes alone: what was not touched stays as exact as it is.
      return present !== null && moment.value() === localText(present) ? present : new Date(moment.value()).toISOString();
    },
  };
}

/**
 * A moment as `datetime-local` writes it, in the browser's zone.
 *
 * @param {string} moment RFC 3339.
 */
function localText(moment) {
  const date = new Date(moment);
  if (Number.isNaN(date.getTime())) return "";
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  return `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
}
