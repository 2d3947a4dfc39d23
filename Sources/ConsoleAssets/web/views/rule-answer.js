// SPDX-License-Identifier: MIT

/**
 * An upstream answer as somebody has pasted it.
 *
 * @typedef {{status: number, headers: {name: string, value: string}[], body: string}} PastedAnswer
 */

/**
 * Whether a text begins like an HTTP answer, as `curl -i` and `curl -v` show it.
 *
 * @param {string} text
 */
export const isAnswer = (text) => /^\s*(?:< )?HTTP\/\d(?:\.\d)?\s+\d{3}/m.test(text);

/**
 * A whole HTTP answer taken apart; null where the text holds none. Of several heads, such as that of a proxy or a 100 before it, the last counts.
 *
 * @param {string} text
 * @returns {PastedAnswer | null}
 */
export function parseAnswer(text) {
  let lines = text.replace(/\r\n?/g, "\n").split("\n");
  // What curl -v shows: of its lines, those with “<” are the head, and what has no mark is the body.
  if (lines.some((line) => /^< HTTP\//.test(line))) lines = lines.filter((line) => !/^[*>] |^[*>]$|^[{}] \[/.test(line)).map((line) => line.replace(/^< ?/, ""));
  const statusAt = (/** @type {number} */ index) => Number(/^\s*HTTP\/\d(?:\.\d)?\s+(\d{3})/.exec(lines[index])?.[1]);
  let start = -1;
  for (let index = 0; index < lines.length; index += 1) {
    if (Number.isNaN(statusAt(index))) continue;
    start = index;
    // Behind an error comes its body, whatever that looks like.
    if (statusAt(index) >= 400) break;
  }
  if (start < 0) return null;
  let end = lines.indexOf("", start);
  if (end < 0) end = lines.length;
  return { status: statusAt(start), headers: parseHeaders(lines.slice(start + 1, end).join("\n")).headers, body: lines.slice(end + 1).join("\n").trim() };
}

/**
 * Header fields, one on each line.
 *
 * @param {string} text
 * @returns {{headers: {name: string, value: string}[], wrong: string | null}} `wrong` is the first line that is none.
 */
export function parseHeaders(text) {
  const headers = [];
  let wrong = null;
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === "") continue;
    const found = /^\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*:\s*(.*?)\s*$/.exec(line);
    if (found !== null) headers.push({ name: found[1], value: found[2] });
    else wrong ??= line.trim();
  }
  return { headers, wrong };
}
