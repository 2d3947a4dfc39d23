// SPDX-License-Identifier: MIT

/** @typedef {"language" | "theme" | "window"} Preference */

/** What the browser remembers: how things look. Never a credential. */
export const preferences = {
  /**
   * @param {Preference} name
   * @returns {string | null}
   */
  get(name) {
    try {
      return localStorage.getItem(`rotator.${name}`);
    } catch {
      return null;
    }
  },

  /**
   * @param {Preference} name
   * @param {string} value
   */
  set(name, value) {
    try {
      localStorage.setItem(`rotator.${name}`, value);
    } catch {
      // Where storage is forbidden, it is forgotten with the page.
    }
  },
};

/** @typedef {"auto" | "light" | "dark"} Theme */

/** @returns {Theme} */
export function theme() {
  const kept = preferences.get("theme");
  return kept === "light" || kept === "dark" ? kept : "auto";
}

/**
 * Shows the page in light or dark; auto is what the system says.
 *
 * @param {Theme} wanted
 */
export function setTheme(wanted) {
  preferences.set("theme", wanted);
  document.documentElement.dataset.theme = wanted;
}
