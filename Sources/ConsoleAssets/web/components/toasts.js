// SPDX-License-Identifier: MIT

import { h, icon } from "../core/dom.js";
import { t } from "../core/text.js";

/** Where short messages appear. It is a popover, so that they are seen above an open dialog too. */
const region = h("div", { class: "toasts", popover: "manual", role: "region" });
const polite = h("div", { role: "status" });
const assertive = h("div", { role: "alert" });
region.append(polite, assertive);

/** Puts the messages' place into the page. */
export function installToasts() {
  region.setAttribute("aria-label", t("toasts.title"));
  if (!region.isConnected) document.body.append(region);
}

/** Takes all messages away: what they offer to undo is no business of the next one who logs in. */
export function clearToasts() {
  if (region.matches(":popover-open")) region.hidePopover();
  polite.replaceChildren();
  assertive.replaceChildren();
}

/**
 * Tells something that has happened. An error stays until it is closed; a message with something to undo for ten seconds.
 *
 * @param {string} text
 * @param {{kind?: "info" | "error", undo?: () => unknown}} [options]
 */
export function notify(text, options = {}) {
  const isError = options.kind === "error";
  // The same error, told already and not closed, is not told twice.
  if (isError && [...assertive.querySelectorAll("p")].some((told) => told.textContent === text)) return;
  const close = () => {
    clearTimeout(timer);
    toast.remove();
    if (region.matches(":popover-open") && polite.childElementCount + assertive.childElementCount === 0) region.hidePopover();
  };
  const toast = h(
    "div", { class: `toast ${isError ? "error" : ""}` }, icon(isError ? "warning" : "check"), h("p", {}, text),
    options.undo && h("button", {
      type: "button", class: "button link",
      on: {
        click: async () => {
          close();
          try {
            await options.undo?.();
            notify(t("undo.done"));
          } catch (error) {
            notify(error instanceof Error ? error.message : String(error), { kind: "error" });
          }
        },
      },
    }, t("action.undo")),
    h("button", { type: "button", class: "button plain", "aria-label": t("action.close"), on: { click: close } }, icon("close")));
  const timer = isError ? undefined : setTimeout(close, options.undo ? 10_000 : 5_000);
  // Shown anew each time: the latest dialog would otherwise lie above it.
  if (region.matches(":popover-open")) region.hidePopover();
  region.showPopover();
  (isError ? assertive : polite).append(toast);
}
