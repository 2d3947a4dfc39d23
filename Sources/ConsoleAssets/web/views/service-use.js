// SPDX-License-Identifier: MIT

import { h, replace } from "../core/dom.js";
import { address, rewrite } from "../core/router.js";
import { t, word } from "../core/text.js";
import { copyButton, segmented } from "../components/controls.js";
import { textField } from "../components/forms.js";
import { dialectOf, openAIPath, pathOf } from "./service-address.js";
import { exampleModel } from "./service-presets.js";
import { PLACEHOLDER, recipes, unfitTools } from "./service-snippets.js";

/**
 * How to use a service: its address, and ready snippets that fit what it speaks.
 *
 * @param {import("./service-page.js").TabContext} context
 */
export function useTab({ root, service, base: publicBase, query }) {
  const isModel = dialectOf(service) !== "rest";
  let base = publicBase;
  let chosen = query.get("with") ?? "curl";
  let model = exampleModel(service);
  let path = "/";

  const url = h("code", {});
  const urlOf = () => base + (dialectOf(service) === "openai" ? openAIPath(service) : pathOf(service));
  const differs = publicBase !== location.origin;
  const addresses = h(
    "section", { class: "card" }, h("h2", {}, t("services.use.address")),
    differs && segmented(t("services.use.address"), [{ value: publicBase, label: t("services.use.public") }, { value: location.origin, label: t("services.use.here") }], base, (value) => {
      base = value;
      draw();
    }),
    h("p", { class: "row address large" }, url, copyButton(urlOf, t("services.copyURL"))),
    h("p", { class: "hint" }, differs ? t("services.use.publicHint") : t("services.use.addressHint")));
  const key = h(
    "section", { class: "card" }, h("h2", {}, t("services.use.key")), h("p", {}, t("services.use.keyHint", { placeholder: PLACEHOLDER })),
    h("p", { class: "row" }, h("a", { class: "button", href: address(["clients", "new"], { service: service.slug }) }, t("services.next.client"))));

  const subject = isModel
    ? textField({ label: t("services.use.model"), value: model, isCode: true, onInput: (value) => { model = value; drawRecipe(); } })
    : textField({ label: t("services.use.path"), value: path, isCode: true, hint: t("services.use.pathHint"), onInput: (value) => { path = value === "" || value.startsWith("/") ? value : `/${value}`; drawRecipe(); } });
  const choices = h("div", {});
  const recipe = h("div", { class: "stack", "aria-live": "off" });
  const unfit = unfitTools(service);

  const drawRecipe = () => {
    const all = recipes({ service, base, model: model || "MODEL", path });
    const one = all.find((candidate) => candidate.id === chosen) ?? all[0];
    const notes = one.notes.map((note) => h("p", { class: "hint" }, note));
    replace(
      recipe, h("h3", {}, one.label), one.fields !== undefined && notes,
      one.fields !== undefined && h("dl", { class: "facts settings" }, one.fields.map(({ label, value }) => [
        h("dt", {}, label), h("dd", { class: "row address" }, h("code", {}, value), value !== PLACEHOLDER && copyButton(value, t("services.use.copyOf", { label }), { hidesLabel: true }))])),
      one.blocks.map(({ title, code }, index) => h(
        "div", { class: "snippet-block" },
        h("div", { class: "spread" }, h("span", { class: title.includes("/") ? "code quiet" : "quiet" }, title), copyButton(code, one.blocks.length > 1 ? t("services.use.copyBlock", { number: index + 1 }) : t("action.copy"))),
        h("pre", { class: "snippet", tabindex: 0, role: "group", "aria-label": title }, code))),
      one.fields === undefined && notes);
  };
  const draw = () => {
    url.textContent = urlOf();
    const all = recipes({ service, base, model, path });
    replace(choices, segmented(t("services.use.tool"), all.map(({ id, label }) => ({ value: id, label })), all.some((one) => one.id === chosen) ? chosen : "curl", (value) => {
      chosen = value;
      rewrite(["services", service.id, "use"], { with: value });
      drawRecipe();
    }));
    drawRecipe();
  };

  replace(
    root, h("div", { class: "columns wide-columns" }, addresses, key),
    h(
      "section", { class: "card recipes", "aria-labelledby": "use-snippets" }, h("h2", { id: "use-snippets" }, t("services.use.snippets")), choices, h("div", { class: "subject" }, subject.element), recipe,
      unfit.length > 0 && h("p", { class: "hint" }, t("services.use.unfit"), " ", unfit.map(({ tool, format }) => t("services.use.unfitTool", { tool, format: word("services.format", format) })).join(" "))));
  draw();
}
