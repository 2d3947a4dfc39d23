// SPDX-License-Identifier: MIT

import { h, uniqueID } from "../core/dom.js";

/**
 * How much of a limit is used: a bar, and the same in words. Near the limit it says so by its colour, which the words beside it say too.
 *
 * @param {string} label
 */
export function usageMeter(label) {
  const labelID = uniqueID();
  const fill = h("span");
  const words = h("span", { class: "meter-words" });
  const bar = h("div", { class: "meter-bar", role: "meter", "aria-labelledby": labelID, "aria-valuemin": 0 }, fill);
  return {
    element: h("div", { class: "meter" }, h("span", { id: labelID }, label), words, bar),
    /**
     * @param {number} used
     * @param {number} limit
     * @param {string} says
     */
    show(used, limit, says) {
      const share = Math.min(1, used / limit);
      fill.style.width = `${share * 100}%`;
      bar.dataset.state = levelOf(used, limit);
      bar.setAttribute("aria-valuemax", String(limit));
      bar.setAttribute("aria-valuenow", String(Math.min(used, limit)));
      bar.setAttribute("aria-valuetext", says);
      if (words.textContent !== says) words.textContent = says;
    },
  };
}

/**
 * How near a limit is.
 *
 * @param {number} used
 * @param {number} limit
 * @returns {"fine" | "near" | "reached"}
 */
export function levelOf(used, limit) {
  return used >= limit ? "reached" : used >= limit * 0.8 ? "near" : "fine";
}
