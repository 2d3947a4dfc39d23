// SPDX-License-Identifier: MIT

import { api, ApiError } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { go } from "../core/router.js";
import { t } from "../core/text.js";
import { button, failed } from "../components/controls.js";
import { notify } from "../components/toasts.js";
import { deleteService } from "./service-actions.js";
import { askBeforeUnload, serviceDrafts } from "./service-drafts.js";
import { differences, serviceForm, valuesOf } from "./service-form.js";
import { PRESETS } from "./service-presets.js";

/** @typedef {import("../core/types.js").Service} Service */

/**
 * The settings of a service: everything that the API knows of it, and its end.
 *
 * @param {import("./service-page.js").TabContext} context
 */
export async function settingsTab({ root, service, signal, onLeave, changed }) {
  const services = /** @type {Service[]} */ (await api.all("/admin/proxy-configs"));
  if (signal.aborted) return;
  const draftName = `service ${service.id}`;
  let saved = valuesOf(service);
  let isSaving = false;

  const says = h("p", { role: "status" });
  const discard = button(t("services.discard"), () => {
    form.set(saved);
    replace(message);
    save.focus();
  });
  const save = button(t("action.save"), () => {}, { kind: "primary", type: "submit" });
  const bar = h("div", { class: "save-bar" }, says, h("div", { class: "row" }, discard, save));
  const message = h("div", { class: "form-error", role: "alert" });
  const refresh = () => {
    const { count } = differences(saved, form.values());
    discard.hidden = count === 0;
    save.disabled = isSaving;
    bar.classList.toggle("unsaved", count > 0);
    const text = count === 0 ? t("services.allSaved") : t("services.unsaved", { count });
    if (says.textContent !== text) says.textContent = text;
  };
  const form = serviceForm({
    values: saved, slugs: services.filter((one) => one.id !== service.id).map((one) => one.slug), targets: [...new Set(PRESETS.flatMap((preset) => preset.targets))],
    changed: () => queueMicrotask(refresh),
  });
  const draft = serviceDrafts.get(draftName);
  if (draft !== null) form.set(draft);

  const put = async (/** @type {Record<string, unknown>} */ change) => {
    const now = /** @type {Service} */ (await api.patch(`/admin/proxy-configs/${service.id}`, change));
    saved = valuesOf(now);
    return now;
  };
  const element = h(
    "form", {
      class: "stack narrow-form", novalidate: true,
      on: {
        submit: async (/** @type {SubmitEvent} */ event) => {
          event.preventDefault();
          replace(message);
          if (!form.validate()) return;
          // Only what was changed here: what somebody else has changed in the meantime stays.
          const { count, after, before } = differences(saved, form.values());
          if (count === 0) return notify(t("services.allSaved"));
          isSaving = true;
          refresh();
          try {
            const now = await put(after);
            form.set(saved);
            changed(now);
            notify(t("services.saved", { name: now.name }), {
              undo: async () => {
                const restored = await put(before);
                if (signal.aborted) return;
                form.set(saved);
                changed(restored);
              },
            });
          } catch (error) {
            const text = error instanceof Error ? error.message : String(error);
            if (!(error instanceof ApiError && form.refuse(text))) replace(message, text);
          } finally {
            isSaving = false;
            refresh();
          }
          return undefined;
        },
      },
    },
    draft !== null && h("p", { class: "notice", role: "status" }, t("services.draftBack")), form.element, message, bar);
  const danger = h(
    "section", { class: "card danger-zone narrow-form" }, h("h2", {}, t("services.delete")), h("p", { class: "hint" }, t("services.deleteHint")),
    h("div", {}, button(t("services.delete"), async () => {
      try {
        if (!await deleteService(service)) return;
        saved = form.values();
        go(["services"]);
      } catch (error) {
        failed(error);
      }
    }, { kind: "danger", icon: "trash" })));
  replace(root, h("h2", { class: "offscreen" }, t("services.tab.settings")), element, danger);
  refresh();

  const isUnsaved = () => differences(saved, form.values()).count > 0;
  onLeave(() => {
    if (!isUnsaved()) serviceDrafts.drop(draftName);
    else if (serviceDrafts.keep(draftName, form.values())) notify(t("services.draftKeptOf", { name: service.name }));
  });
  askBeforeUnload(isUnsaved, signal);
}
