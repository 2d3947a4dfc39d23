// SPDX-License-Identifier: MIT

/** @typedef {import("../core/types.js").Service} Service */

/**
 * What a client speaks to a service: the API of OpenAI, Anthropic or Gemini, or plain REST.
 *
 * @typedef {"openai" | "anthropic" | "gemini" | "rest"} Dialect
 */

/**
 * @param {Service} service
 * @returns {Dialect}
 */
export function dialectOf(service) {
  if (service.config_type === "GENERIC") return "rest";
  switch (service.api_format) {
    case "openai_compatible": case "azure_openai": return "openai";
    case "anthropic_native": return "anthropic";
    case "gemini_native": return "gemini";
    default: return "rest";
  }
}

/**
 * A service's path at this server.
 *
 * @param {{config_type: string, slug: string}} service
 */
export const pathOf = (service) => `/${service.config_type === "GENERIC" ? "proxy" : "llm"}/${service.slug}`;

/**
 * The base URL that a service passes requests on to.
 *
 * @param {Service} service
 */
export const targetOf = (service) => service.target_base_url ?? service.target_url ?? "";

/** @param {string} url */
function segmentsOf(url) {
  try {
    return new URL(url).pathname.split("/").filter((segment) => segment !== "");
  } catch {
    return [];
  }
}

/** @param {string | undefined} segment */
const isVersion = (segment) => segment !== undefined && /^v\d[a-z0-9.]*$/i.test(segment);

/**
 * The version that a service's base URL ends with, such as `v1`; null where it ends with none.
 *
 * @param {Service} service
 */
export function versionOf(service) {
  const last = segmentsOf(targetOf(service)).pop();
  return last !== undefined && isVersion(last) ? last : null;
}

/**
 * What an SDK of OpenAI takes as its base, as a path at this server. It appends `/chat/completions` itself: where the service's base URL names no version, the
 * version has to come from the client.
 *
 * @param {Service} service
 */
export function openAIPath(service) {
  const segments = segmentsOf(targetOf(service));
  if (segments.some(isVersion)) return pathOf(service);
  if (service.api_format !== "azure_openai" || segments[segments.length - 1] === "openai") return `${pathOf(service)}/v1`;
  return `${pathOf(service)}/openai/v1`;
}

/**
 * The version of Gemini's API in a path that is written out: that of the service's base URL, which is not doubled, else the one with everything in it.
 *
 * @param {Service} service
 */
export const geminiVersion = (service) => versionOf(service) ?? "v1beta";

/**
 * A base URL without the slashes at its end, to append a path to.
 *
 * @param {string} url
 */
export const withoutSlash = (url) => url.replace(/\/+$/, "");
