// SPDX-License-Identifier: MIT

import { send, withQuery } from "../core/api.js";
import { download } from "../core/download.js";
import { h, replace } from "../core/dom.js";
import { octets } from "../core/format.js";
import { t } from "../core/text.js";
import { button } from "../components/controls.js";
import { textField } from "../components/forms.js";
import { notify } from "../components/toasts.js";
import { importSection } from "./settings-import.js";
import { PASSPHRASE_MIN, passphraseFault, passphraseHeader, strengthOf } from "./settings-passphrase.js";

/** @typedef {"all" | "clients" | "open"} Extent How much of the catalogue: all of it, all but provider keys, nothing that is secret. */

/**
 * The whole catalogue as a document: out of this server, and into it.
 *
 * @param {import("./settings.js").TabContext} context
 */
export function transferTab(context) {
  context.root.append(h("div", { class: "grid settings-grid" }, exportSection(), importSection(context)));
}

function exportSection() {
  const legend = h("legend", { class: "label" }, t("transfer.extent"));
  let extent = /** @type {Extent} */ ("all");
  const choice = (/** @type {Extent} */ value) => h(
    "label", { class: "extent" }, h("input", { type: "radio", name: "extent", value, checked: value === extent, on: { change: () => {
      extent = value;
      secrets.hidden = extent === "open";
    } } }),
    h("span", {}, h("strong", {}, t(`transfer.extent.${value}`)), h("span", { class: "hint" }, t(`transfer.extentHint.${value}`))));
  const strength = h("p", { class: "passphrase-strength", role: "status" });
  const passphrase = textField({
    label: t("transfer.passphrase"), type: "password", required: true, autocomplete: "new-password", hint: t("transfer.passphraseHint", { min: PASSPHRASE_MIN }), check: passphraseFault,
    onInput: (value) => {
      strength.dataset.level = value === "" ? "" : strengthOf(value);
      replace(strength, value !== "" && t(`transfer.strength.${strengthOf(value)}`));
    },
  });
  const again = textField({
    label: t("transfer.again"), type: "password", required: true, autocomplete: "new-password", check: (value) => value === passphrase.value() ? null : t("transfer.againWrong"),
  });
  const secrets = h("div", { class: "form" }, passphrase.element, strength, again.element);
  const message = h("div", { class: "form-error", role: "alert" });
  const form = h(
    "form", { class: "form", novalidate: true },
    h("fieldset", { class: "extents" }, legend, ["all", "clients", "open"].map((value) => choice(/** @type {Extent} */ (value)))), secrets, message);
  const run = async () => {
    replace(message);
    const wrong = extent === "open" ? [] : [passphrase, again].filter((field) => !field.validate());
    if (wrong.length > 0) return wrong[0].focus();
    try {
      const response = await send(
        "GET", withQuery("/admin/export", { keys: extent === "all" ? null : "false" }), { headers: passphraseHeader(extent === "open" ? "" : passphrase.value()) });
      const content = await response.blob();
      const name = `catalogue-${new Date().toISOString().slice(0, 10)}.json`;
      download(content, name);
      passphrase.set("");
      again.set("");
      replace(strength);
      notify(t("transfer.exported", { name, size: octets(content.size) }));
    } catch (error) {
      replace(message, error instanceof Error ? error.message : String(error));
    }
    return undefined;
  };
  const press = button(t("transfer.export"), run, { kind: "primary", icon: "download" });
  form.append(h("div", { class: "row" }, press));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    press.click();
  });
  return h("section", { class: "card", "aria-label": t("transfer.exportTitle") }, h("h2", {}, t("transfer.exportTitle")), h("p", { class: "hint" }, t("transfer.exportIntro")), form);
}
