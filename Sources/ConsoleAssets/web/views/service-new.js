// SPDX-License-Identifier: MIT

import { api, ApiError } from "../core/api.js";
import { h, icon, replace } from "../core/dom.js";
import { address, go } from "../core/router.js";
import { t, word } from "../core/text.js";
import { areaField } from "../components/forms.js";
import { button } from "../components/controls.js";
import { notify } from "../components/toasts.js";
import { askBeforeUnload, serviceDrafts } from "./service-drafts.js";
import { EMPTY_SERVICE, serviceForm, valuesOf } from "./service-form.js";
import { hostOf, PRESETS, suggestedName, suggestedSlug } from "./service-presets.js";

/** @typedef {import("../core/types.js").Service} Service */
/** @typedef {import("../core/types.js").BatchResult} BatchResult */

/**
 * What was made a moment ago, with what became of its keys; the service's page says what comes next.
 *
 * @type {Map<number, BatchResult | null>}
 */
export const justMade = new Map();

/**
 * A new service: of which provider, then with what.
 *
 * @type {import("../core/router.js").View}
 */
export async function newServiceView(context) {
  const { query, setTitle } = context;
  setTitle(t("services.new"));
  const preset = PRESETS.find((one) => one.id === query.get("provider"));
  if (preset === undefined && !query.has("copy")) return chooseProvider(context);
  const services = /** @type {Service[]} */ (await api.all("/admin/proxy-configs"));
  if (context.signal.aborted) return;
  const original = services.find((service) => String(service.id) === query.get("copy"));
  if (preset === undefined && original === undefined) return go(["services", "new"]);
  fillIn(context, preset ?? null, original ?? null, services);
}

/** @param {import("../core/router.js").ViewContext} context */
function chooseProvider({ root }) {
  const card = (/** @type {import("./service-presets.js").Preset} */ preset) => h("li", {}, h(
    "a", { class: "card preset", href: address(["services", "new"], { provider: preset.id }) }, h("strong", {}, presetName(preset)),
    h("span", { class: "hint" }, preset.targets.length > 0 && preset.blank === undefined ? hostOf(preset.targets[0]) : word("services.presetHint", preset.id))));
  const heading = h("h1", { tabindex: -1 }, t("services.new"));
  root.append(
    h("div", { class: "stack tight" }, backLink(address(["services"]), t("nav.services")), heading, h("p", { class: "hint" }, t("services.chooseHint"))),
    h("section", { class: "stack" }, h("h2", {}, t("services.providers")), h("ul", { class: "presets" }, PRESETS.filter((preset) => !preset.isOwn).map(card))),
    h("section", { class: "stack" }, h("h2", {}, t("services.ownProviders")), h("ul", { class: "presets" }, PRESETS.filter((preset) => preset.isOwn).map(card))));
  if (document.activeElement === document.body) heading.focus({ preventScroll: true });
}

/**
 * @param {import("../core/router.js").ViewContext} context
 * @param {import("./service-presets.js").Preset | null} preset
 * @param {Service | null} original Of which a copy is made.
 * @param {Service[]} services
 */
function fillIn({ root, signal, onLeave }, preset, original, services) {
  const slugs = services.map((service) => service.slug);
  const names = services.map((service) => service.name);
  const draftName = `new ${preset?.id ?? original?.id}`;
  const name = suggestedName(original?.name ?? (preset !== null && preset.name !== "" ? preset.name : ""), names);
  /** @type {import("./service-form.js").ServiceValues} */
  const first = original !== null
    ? { ...valuesOf(original), name, slug: suggestedSlug(original.slug, slugs) }
    : {
      ...EMPTY_SERVICE, name, slug: preset?.name === "" ? "" : suggestedSlug(preset?.id ?? "", slugs), config_type: preset?.type ?? "LLM", api_format: preset?.format ?? "openai_compatible",
      ...preset?.type === "GENERIC" ? { target_base_url: null, target_url: "" } : { target_base_url: preset?.targets[0] ?? "" },
    };
  // What has been typed before this form was left.
  const draft = serviceDrafts.get(draftName);
  let isSlugOwn = draft?.isSlugOwn ?? false;
  /**
   * The service, where it has been made but its keys have not been taken yet.
   *
   * @type {Service | null}
   */
  let made = null;
  let isDone = false;

  const count = h("p", { class: "hint", role: "status" });
  const keys = areaField({
    label: t("services.field.keys"), hint: t("services.field.keysHint"), rows: 5, isCode: true, placeholder: t("services.field.keysPlaceholder"), value: draft?.keys,
    onInput: () => countKeys(),
  });
  const lines = () => String(keys.value()).split("\n").filter((line) => line.trim() !== "").length;
  const countKeys = () => { count.textContent = lines() > 0 ? t("services.keysTyped", { count: lines() }) : ""; };
  countKeys();
  const form = serviceForm({
    values: draft?.values ?? first, isNew: true, slugs, placeholder: preset?.placeholder, targets: preset?.targets, blank: preset?.blank,
    between: h("section", { class: "card" }, h("h2", {}, t("services.keysTitle")), keys.element, count),
  });
  form.fields.name.element.addEventListener("input", () => {
    if (isSlugOwn) return;
    form.fields.slug.set(form.fields.name.value() === "" ? "" : suggestedSlug(form.fields.name.value(), slugs));
    form.fields.slug.element.dispatchEvent(new Event("change", { bubbles: true }));
  });
  form.fields.slug.element.addEventListener("input", () => { isSlugOwn = true; });

  const message = h("div", { class: "form-error", role: "alert" });
  const send = button(t("services.create"), () => {}, { kind: "primary", type: "submit" });
  const element = h(
    "form", {
      class: "stack narrow-form", novalidate: true,
      on: {
        submit: async (/** @type {SubmitEvent} */ event) => {
          event.preventDefault();
          replace(message);
          if (made === null && !form.validate()) return;
          send.disabled = true;
          send.setAttribute("aria-busy", "true");
          try {
            made ??= /** @type {Service} */ (await api.post("/admin/proxy-configs", form.values()));
            const result = lines() === 0 ? null : /** @type {BatchResult} */ (await api.post(`/admin/proxy-configs/${made.id}/keys/batch`, undefined, { body: keys.value(), headers: { "Content-Type": "text/plain" } }));
            finish(made, result);
          } catch (error) {
            const text = error instanceof Error ? error.message : String(error);
            if (made !== null) keysRefused(made, text);
            else if (!(error instanceof ApiError && form.refuse(text))) replace(message, text);
          } finally {
            send.disabled = false;
            send.removeAttribute("aria-busy");
          }
        },
      },
    }, form.element, message,
    h("div", { class: "row" }, send, h("a", { class: "button", href: address(["services"]), on: { click: discard } }, t("action.cancel"))));

  /**
   * The service is there, its keys are not: what was pasted stays, to be sent again.
   *
   * @param {Service} service
   * @param {string} text
   */
  function keysRefused(service, text) {
    send.querySelector("span")?.replaceChildren(t("services.keysAgain"));
    replace(message, t("services.keysRefused", { reason: text }), " ", h("a", { href: address(["services", service.id]), on: { click: () => finish(service, null, false) } }, t("services.goOn")));
  }
  /**
   * @param {Service} service
   * @param {BatchResult | null} result
   */
  function finish(service, result, goes = true) {
    isDone = true;
    keys.set("");
    serviceDrafts.drop(draftName);
    justMade.set(service.id, result);
    if (goes) go(["services", service.id]);
  }
  function discard() {
    isDone = true;
    keys.set("");
    serviceDrafts.drop(draftName);
  }
  const isUnsaved = () => !isDone && (lines() > 0 || JSON.stringify(form.values()) !== JSON.stringify(first));

  const heading = h("h1", { tabindex: -1 }, preset === null ? t("services.newCopy", { name: original?.name ?? "" }) : t("services.newOf", { name: presetName(preset) }));
  root.append(
    h("div", { class: "stack tight" }, backLink(address(["services", "new"]), t("services.chooseAnother")), heading, preset !== null && preset.targets.length === 0 && h("p", { class: "hint" }, word("services.presetHint", preset.id))),
    element);
  onLeave(() => {
    if (isUnsaved() && made === null && serviceDrafts.keep(draftName, { values: form.values(), keys: keys.value(), isSlugOwn })) notify(t("services.draftKept"));
    keys.set("");
  });
  askBeforeUnload(isUnsaved, signal);
  if (document.activeElement === document.body) (draft === null && form.fields.name.value() !== "" && form.fields.target.value() !== "" ? keys : form.fields.name.value() === "" ? form.fields.name : form.fields.target).focus();
}

/** @param {import("./service-presets.js").Preset} preset */
const presetName = (preset) => preset.name || word("services.preset", preset.id);

/**
 * @param {string} href
 * @param {string} label
 */
export function backLink(href, label) {
  return h("a", { class: "back", href }, icon("left"), h("span", {}, label));
}
