// SPDX-License-Identifier: MIT

import { h } from "./dom.js";

/**
 * Gives a file to the person in front of the browser.
 *
 * @param {Blob} content
 * @param {string} name
 */
export function download(content, name) {
  const href = URL.createObjectURL(content);
  const link = h("a", { href, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  // The browser has its own hold on it by then.
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
