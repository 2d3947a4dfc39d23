// SPDX-License-Identifier: MIT

/**
 * What a view is given. A view fills `root` and registers what has to end with it.
 *
 * @typedef {object} ViewContext
 * @property {HTMLElement} root Empty; the view's place in the page.
 * @property {string[]} path What follows the view's own segment in the address.
 * @property {URLSearchParams} query What follows `?` in the address.
 * @property {AbortSignal} signal Aborted when the view is left: give it to requests and listeners.
 * @property {(end: () => void) => void} onLeave
 * @property {(title: string) => void} setTitle
 *
 * @typedef {(context: ViewContext) => void | Promise<void>} View
 */

/**
 * The address of a place in the console, for links. Filters may stand in it; names, ids and slugs only, never what is secret.
 *
 * @param {(string | number)[]} segments
 * @param {Record<string, string | number | null | undefined>} [query]
 */
export function address(segments, query = {}) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return `#/${segments.map((segment) => encodeURIComponent(String(segment))).join("/")}${text === "" ? "" : `?${text}`}`;
}

/**
 * Goes to a place.
 *
 * @param {(string | number)[]} segments
 * @param {Record<string, string | number | null | undefined>} [query]
 */
export function go(segments, query) {
  location.hash = address(segments, query);
}

/**
 * Writes a view's filters into the address without going anywhere.
 *
 * @param {(string | number)[]} segments
 * @param {Record<string, string | number | null | undefined>} query
 */
export function rewrite(segments, query) {
  history.replaceState(null, "", address(segments, query));
}

/** Where the address points to. */
export function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const segments = path.split("/").filter((segment) => segment !== "").map((segment) => {
    try {
      return decodeURIComponent(segment);
    } catch {
      return segment;
    }
  });
  return { segments, query: new URLSearchParams(query ?? "") };
}
