// SPDX-License-Identifier: MIT

import { t } from "../core/text.js";

/** A shorter one is refused. */
export const PASSPHRASE_MIN = 12;
const OCTETS_MAX = 1_024;

/**
 * The header that carries a passphrase. A header holds octets, so that what is not ASCII goes as its UTF-8.
 *
 * @param {string} passphrase
 * @returns {Record<string, string>}
 */
export function passphraseHeader(passphrase) {
  return passphrase === "" ? {} : { "X-Passphrase": String.fromCharCode(...new TextEncoder().encode(passphrase)) };
}

/**
 * What is wrong with a passphrase; null where nothing is.
 *
 * @param {string} passphrase
 */
export function passphraseFault(passphrase) {
  if ([...passphrase].length < PASSPHRASE_MIN) return t("transfer.passphraseShort", { min: PASSPHRASE_MIN });
  if (new TextEncoder().encode(passphrase).length > OCTETS_MAX) return t("transfer.passphraseLong");
  // A header loses the spaces at its ends, and cannot hold control characters.
  return passphrase !== passphrase.trim() || /[\u0000-\u001f\u007f]/.test(passphrase) ? t("transfer.passphraseSpaces") : null;
}

/**
 * How hard a passphrase is to guess, roughly: by its length and by how many different kinds of characters and words it has.
 *
 * @param {string} passphrase
 * @returns {"short" | "weak" | "fair" | "strong"}
 */
export function strengthOf(passphrase) {
  const characters = [...passphrase];
  if (characters.length < PASSPHRASE_MIN) return "short";
  const kinds = [/[a-z]/, /[A-Z]/, /[0-9]/, /[^A-Za-z0-9]/].filter((kind) => kind.test(passphrase)).length;
  const points = Math.min(characters.length, 32) + 3 * kinds + Math.min(new Set(characters).size, 16);
  return new Set(characters).size < 6 || points < 26 ? "weak" : points < 38 ? "fair" : "strong";
}
