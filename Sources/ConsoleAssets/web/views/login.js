// SPDX-License-Identifier: MIT

import { h, replace } from "../core/dom.js";
import { logIn } from "../core/api.js";
import { t } from "../core/text.js";
import { button } from "../components/controls.js";
import { textField } from "../components/forms.js";

/** The form that begins a session. */
export function loginForm() {
  const username = textField({ label: t("login.username"), value: "admin", required: true, autocomplete: "username" });
  const password = textField({ label: t("login.password"), type: "password", required: true, autocomplete: "current-password" });
  const message = h("div", { class: "form-error", role: "alert" });
  const send = button(t("login.action"), () => {}, { kind: "primary", type: "submit" });
  return h("form", {
    class: "form", novalidate: true,
    on: {
      submit: async (/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        replace(message);
        const wrong = [username, password].find((field) => !field.validate());
        if (wrong !== undefined) return wrong.focus();
        send.disabled = true;
        try {
          await logIn(username.value(), password.value());
        } catch (error) {
          replace(message, error instanceof Error ? error.message : String(error));
          password.focus();
        } finally {
          send.disabled = false;
        }
        return undefined;
      },
    },
  }, username.element, password.element, message, send);
}
