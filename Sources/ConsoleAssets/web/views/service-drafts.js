// SPDX-License-Identifier: MIT

import { session } from "../core/session.js";

/**
 * What was typed into a form and not saved, so that leaving the form loses nothing. In memory alone: it ends with the page, and with the session of who typed it.
 *
 * @type {Map<string, any>}
 */
const drafts = new Map();
let hasLeft = false;
session.addEventListener("leave", () => {
  hasLeft = true;
  drafts.clear();
});
session.addEventListener("begin", () => { hasLeft = false; });

export const serviceDrafts = {
  /** @param {string} form */
  get: (form) => drafts.get(form) ?? null,
  /**
   * Keeps what was typed, unless whoever typed it has logged out.
   *
   * @param {string} form
   * @param {any} typed
   * @returns {boolean} Whether it is kept.
   */
  keep(form, typed) {
    if (!hasLeft) drafts.set(form, typed);
    return !hasLeft;
  },
  /** @param {string} form */
  drop(form) { drafts.delete(form); },
};

/**
 * Lets the browser ask before the page is closed or loaded anew, while there is something unsaved.
 *
 * @param {() => boolean} isUnsaved
 * @param {AbortSignal} signal
 */
export function askBeforeUnload(isUnsaved, signal) {
  addEventListener("beforeunload", (event) => { if (isUnsaved()) event.preventDefault(); }, { signal });
}
