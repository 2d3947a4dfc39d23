// SPDX-License-Identifier: MIT

/** A JSON text that cannot be read, and where. */
export class JSONTextError extends Error {
  /** @param {number} offset */
  constructor(offset) {
    super(`not JSON at ${offset}`);
    this.name = "JSONTextError";
    this.offset = offset;
  }
}

/**
 * Reads a JSON text, and where in it each value stands. The browser's own reader tells the place of a fault in words of its own, and no other places.
 *
 * @param {string} text
 * @returns {{value: any, places: Map<string, {start: number, end: number}>}} Places by JSON pointer (RFC 6901).
 * @throws {JSONTextError}
 */
export function readJSON(text) {
  /** @type {Map<string, {start: number, end: number}>} */
  const places = new Map();
  let at = 0;
  const fail = () => { throw new JSONTextError(at); };
  const skip = () => { while (at < text.length && " \t\n\r".includes(text[at])) at += 1; };
  const expect = (/** @type {string} */ character) => {
    skip();
    if (text[at] !== character) fail();
    at += 1;
  };
  /**
   * A token that the browser's reader understands: a string, a number or a literal.
   *
   * @param {RegExp} pattern
   */
  const token = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found === null) return fail();
    try {
      const value = JSON.parse(found[0]);
      at += found[0].length;
      return value;
    } catch {
      return fail();
    }
  };
  const string = () => token(/"(?:[^"\\]|\\.)*"/ys);
  /**
   * @param {string} pointer
   * @returns {any}
   */
  const value = (pointer) => {
    skip();
    const start = at;
    const read = text[at] === "{" ? object(pointer) : text[at] === "[" ? array(pointer) : text[at] === '"' ? string() : token(/-?[0-9][0-9.eE+-]*|true|false|null/y);
    places.set(pointer, { start, end: at });
    return read;
  };
  /**
   * @param {string} pointer
   * @returns {Record<string, any>}
   */
  const object = (pointer) => {
    /** @type {Record<string, any>} */
    const read = Object.create(null);
    at += 1;
    skip();
    if (text[at] === "}") {
      at += 1;
      return { ...read };
    }
    for (;;) {
      skip();
      if (text[at] !== '"') fail();
      const name = string();
      expect(":");
      read[name] = value(`${pointer}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`);
      skip();
      if (text[at] === "}") break;
      expect(",");
    }
    at += 1;
    return { ...read };
  };
  /**
   * @param {string} pointer
   * @returns {any[]}
   */
  const array = (pointer) => {
    /** @type {any[]} */
    const read = [];
    at += 1;
    skip();
    if (text[at] === "]") {
      at += 1;
      return read;
    }
    for (;;) {
      read.push(value(`${pointer}/${read.length}`));
      skip();
      if (text[at] === "]") break;
      expect(",");
    }
    at += 1;
    return read;
  };
  const read = value("");
  skip();
  if (at < text.length) fail();
  return { value: read, places };
}

/**
 * The line and column of an offset in a text, from 1.
 *
 * @param {string} text
 * @param {number} offset
 */
export function positionOf(text, offset) {
  const before = text.slice(0, offset).split("\n");
  return { line: before.length, column: before[before.length - 1].length + 1 };
}
