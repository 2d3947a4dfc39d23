// SPDX-License-Identifier: MIT

import { h, replace, uniqueID } from "../core/dom.js";
import { t } from "../core/text.js";
import { button } from "./controls.js";

/** @typedef {import("../core/dom.js").Child} Child */

/**
 * A dialog in front of the page. Escape and its close button end it with null.
 *
 * @template Result
 * @param {object} options
 * @param {string} options.title
 * @param {(close: (result: Result | null) => void) => {body: Child, actions?: Child[]}} options.content
 * @param {"wide" | "side" | "narrow"} [options.shape]
 * @param {() => boolean} [options.mayClose] Asked before it is closed by Escape or its button: what was typed might be lost.
 * @returns {Promise<Result | null>}
 */
export function openDialog(options) {
  return new Promise((resolve) => {
    const titleID = uniqueID();
    const dialog = h("dialog", { class: `dialog ${options.shape ?? ""}`, "aria-labelledby": titleID });
    let result = /** @type {Result | null} */ (null);
    const close = (/** @type {Result | null} */ value) => {
      result = value;
      dialog.close();
    };
    const dismiss = () => {
      if (options.mayClose === undefined || options.mayClose()) close(null);
    };
    const { body, actions } = options.content(close);
    dialog.append(
      h("header", {}, h("h2", { id: titleID }, options.title), button("", dismiss, { kind: "plain", icon: "close", label: t("action.close") })),
      h("div", { class: "dialog-body" }, body));
    if (actions !== undefined) dialog.append(h("footer", {}, actions));
    dialog.addEventListener("cancel", (event) => {
      // Of the dialog itself: a file chooser inside it tells its own cancellation too.
      if (event.target !== dialog) return;
      event.preventDefault();
      dismiss();
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(result);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/**
 * Asks once before something is done that cannot be taken back, and says what will be lost.
 *
 * @param {object} options
 * @param {string} options.title
 * @param {Child} options.message What will be lost.
 * @param {string} options.action What the button that does it says.
 * @param {boolean} [options.isHarmless] Whether nothing is lost by it.
 * @returns {Promise<boolean>}
 */
export async function confirm(options) {
  const answer = await openDialog({
    title: options.title,
    shape: "narrow",
    content: (/** @type {(result: true | null) => void} */ close) => ({
      body: h("div", { class: "confirmation" }, options.message),
      actions: [button(t("action.cancel"), () => close(null)), button(options.action, () => close(true), { kind: options.isHarmless ? "primary" : "danger" })],
    }),
  });
  return answer === true;
}

/**
 * A dialog with a form. What was typed stays when the server refuses it: the refusal is shown above the buttons, and beside the field that it names.
 *
 * @template Result
 * @param {object} options
 * @param {string} options.title
 * @param {import("./forms.js").Field[] | Child} options.fields What is shown; fields that are to be validated go into `validated` as well where they stand inside other elements.
 * @param {import("./forms.js").Field[]} [options.validated]
 * @param {string} options.action What the button that sends it says.
 * @param {() => Promise<Result>} options.submit
 * @param {"wide" | "side" | "narrow"} [options.shape]
 * @param {Child} [options.intro]
 * @returns {Promise<Result | null>}
 */
export function formDialog(options) {
  const fields = options.validated ?? (Array.isArray(options.fields) ? /** @type {any[]} */ (options.fields).filter((field) => field?.validate !== undefined) : []);
  return openDialog({
    title: options.title,
    shape: options.shape,
    content: (/** @type {(result: Result | null) => void} */ close) => {
      const formID = uniqueID();
      const message = h("div", { class: "form-error", role: "alert" });
      const send = button(options.action, () => {}, { kind: "primary", type: "submit" });
      send.setAttribute("form", formID);
      const form = h("form", {
        id: formID, class: "form", novalidate: true,
        on: {
          submit: async (/** @type {SubmitEvent} */ event) => {
            event.preventDefault();
            replace(message);
            const wrong = fields.filter((field) => !field.validate());
            if (wrong.length > 0) return wrong[0].focus();
            send.disabled = true;
            try {
              close(await options.submit());
            } catch (error) {
              const text = error instanceof Error ? error.message : String(error);
              replace(message, text);
              send.disabled = false;
              // The server names the member that it does not take.
              const named = fields.find((field) => field.name !== "" && new RegExp(`(^|[^a-z_])${field.name}([^a-z_]|$)`).test(text));
              named?.refuse(text);
              // Being disabled took the focus away from the button; the form itself may have found a place for it.
              if (named !== undefined) named.focus();
              else if (!form.contains(document.activeElement)) send.focus();
            } finally {
              send.disabled = false;
            }
            return undefined;
          },
        },
      }, options.intro && h("p", { class: "hint" }, options.intro), Array.isArray(options.fields) ? /** @type {any[]} */ (options.fields).map((field) => field?.element ?? field) : options.fields, message);
      return { body: form, actions: [button(t("action.cancel"), () => close(null)), send] };
    },
  });
}
