// SPDX-License-Identifier: MIT

import { h, replace } from "../core/dom.js";
import { t } from "../core/text.js";
import { button, copyButton } from "../components/controls.js";
import { openDialog } from "../components/dialogs.js";
import { selectField } from "../components/forms.js";
import { dialectOf, openAIPath, pathOf, withoutSlash } from "./service-address.js";
import { PLACEHOLDER, recipes } from "./service-snippets.js";

/** @typedef {import("../core/types.js").Client} Client */
/** @typedef {import("../core/types.js").Service} Service */

/**
 * Shows the key of a client that was just made, this once: with the dialog it is gone from the page. Whoever has not copied it is warned before it closes.
 *
 * Asks the server nothing: an error now would lose the key.
 *
 * @param {Client} made
 * @param {Service[]} services
 * @param {string} base The server's public base URL.
 */
export async function showClientKey(made, services, base) {
  const key = made.key_value ?? "";
  let isCopied = false, isWarned = false;
  const warning = h("p", { class: "form-error", role: "alert" });
  const copy = copyButton(() => {
    isCopied = true;
    return key;
  }, t("clients.copyKey"));
  copy.classList.replace("plain", "primary");
  await openDialog({
    title: t("clients.keyOf", { name: made.name }),
    mayClose: () => {
      if (isCopied || isWarned) return true;
      isWarned = true;
      replace(warning, t("clients.notCopied"));
      return false;
    },
    content: (/** @type {(result: null) => void} */ close) => ({
      body: [
        h("p", { class: "notice warning" }, t("clients.shownOnce")),
        h("div", { class: "field" }, h("span", { class: "label" }, t("clients.theKey")), h("div", { class: "secret" }, h("code", {}, key), copy)),
        warning, places(made, key, services, withoutSlash(base)),
      ],
      actions: [button(t("clients.keyStored"), () => close(null))],
    }),
  });
}

/**
 * Where the key can be used, and how.
 *
 * @param {Client} made
 * @param {string} key
 * @param {Service[]} services
 * @param {string} base
 */
function places(made, key, services, base) {
  const usable = services.filter((service) => made.services === null || made.services.some((pattern) => matches(pattern, service.slug)));
  if (usable.length === 0) return h("p", { class: "hint" }, t(services.length === 0 ? "clients.noServicesYet" : "clients.noServiceFits"));
  const address = h("div", { class: "secret" });
  const snippet = h("div", { class: "snippet-holder" });
  const show = (/** @type {Service} */ service) => {
    const url = base + (dialectOf(service) === "openai" ? openAIPath(service) : pathOf(service));
    replace(address, h("code", {}, url), copyButton(url));
    const model = made.models?.find((pattern) => !pattern.includes("*")) ?? "MODEL";
    const text = recipes({ service, base, model, path: "/" })[0].blocks[0].code.replaceAll(PLACEHOLDER, key);
    replace(snippet, h("pre", { class: "snippet", tabindex: 0, role: "region", "aria-label": t("clients.example") }, text), copyButton(text, t("clients.copyExample")));
  };
  show(usable[0]);
  const choice = usable.length > 1 && selectField({
    label: t("clients.useWith", { count: usable.length }), options: usable.map((service) => ({ value: service.slug, label: service.name })),
    onInput: (slug) => show(/** @type {Service} */ (usable.find((service) => service.slug === slug))),
  }).element;
  return h(
    "div", { class: "stack" }, choice,
    h("div", { class: "field" }, h("span", { class: "label" }, usable.length === 1 ? t("clients.baseURLOf", { name: usable[0].name }) : t("clients.baseURL")), address),
    h("div", { class: "field" }, h("span", { class: "label" }, t("clients.example")), snippet));
}

/**
 * Whether a text fits a pattern, in which `*` stands for any run of characters.
 *
 * @param {string} pattern
 * @param {string} text
 */
function matches(pattern, text) {
  return new RegExp(`^${pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&")).join(".*")}$`, "s").test(text);
}
