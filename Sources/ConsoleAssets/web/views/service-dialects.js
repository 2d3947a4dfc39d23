// SPDX-License-Identifier: MIT

import { dialectOf, geminiVersion, openAIPath, pathOf } from "./service-address.js";

/** @typedef {import("../core/types.js").Service} Service */

/**
 * A request to a service, as the try-it box sends it.
 *
 * @typedef {object} TrialRequest
 * @property {string} method
 * @property {string} path At this server, with its query.
 * @property {Record<string, string>} headers Without the credential.
 * @property {string} body Empty where there is none.
 *
 * @typedef {"chat" | "responses"} OpenAICall
 *
 * @typedef {object} Answer What has been read of an answer so far.
 * @property {string} text
 * @property {string} thinking
 * @property {string} error What the provider said went wrong, inside an answer that began well.
 */

/**
 * The request that puts a question to a model.
 *
 * @param {Service} service Of a dialect of models.
 * @param {{model: string, prompt: string, isStream: boolean, call: OpenAICall}} wanted
 * @returns {TrialRequest}
 */
export function modelRequest(service, { model, prompt, isStream, call }) {
  const messages = [{ role: "user", content: prompt }];
  const stream = isStream ? { stream: true } : {};
  /** @type {Record<string, string>} */
  const headers = { "Content-Type": "application/json" };
  const made = (/** @type {string} */ path, /** @type {object} */ body) => ({ method: "POST", path, headers, body: JSON.stringify(body) });
  switch (dialectOf(service)) {
    case "anthropic":
      headers["anthropic-version"] = "2023-06-01";
      return made(`${pathOf(service)}/v1/messages`, { model, max_tokens: 1024, messages, ...stream });
    case "gemini":
      return made(
        `${pathOf(service)}/${geminiVersion(service)}/models/${encodeURIComponent(model)}:${isStream ? "streamGenerateContent?alt=sse" : "generateContent"}`,
        { contents: [{ role: "user", parts: [{ text: prompt }] }] });
    default:
      return call === "responses"
        ? made(`${openAIPath(service)}/responses`, { model, input: prompt, ...stream })
        : made(`${openAIPath(service)}/chat/completions`, { model, messages, ...stream });
  }
}

/**
 * Where a service's provider lists its models, as a path at this server.
 *
 * @param {Service} service Of a dialect of models.
 */
export function modelsPath(service) {
  switch (dialectOf(service)) {
    case "anthropic": return `${pathOf(service)}/v1/models?limit=1000`;
    case "gemini": return `${pathOf(service)}/${geminiVersion(service)}/models?pageSize=1000`;
    default: return `${openAIPath(service)}/models`;
  }
}

/**
 * The names of models in a provider's list of them.
 *
 * @param {any} list
 * @returns {string[]}
 */
export function modelNames(list) {
  const items = Array.isArray(list?.data) ? list.data : Array.isArray(list?.models) ? list.models : [];
  return items.map((/** @type {any} */ item) => String(item?.id ?? item?.name ?? "").replace(/^models\//, "")).filter((/** @type {string} */ name) => name !== "");
}

/**
 * Reads the text out of a model's answer as it comes, in the dialects of OpenAI, Anthropic and Gemini, in a stream or in one piece.
 */
export class AnswerReader {
  #isStream;
  #rest = "";
  /** @type {Answer} */
  answer = { text: "", thinking: "", error: "" };

  /** @param {boolean} isStream Whether server-sent events come. */
  constructor(isStream) { this.#isStream = isStream; }

  /** @param {string} piece */
  take(piece) {
    this.#rest += piece;
    if (!this.#isStream) return;
    // Each event of these dialects is one line of data.
    const lines = this.#rest.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("data:")) this.#read(line.slice(5));
  }

  /** Reads what is left when the answer has ended. */
  end() {
    if (this.#isStream) this.take("\n\n");
    else this.#read(this.#rest);
    this.#rest = "";
  }

  /** @param {string} text */
  #read(text) {
    let value;
    try {
      value = JSON.parse(text);
    } catch {
      return; // `[DONE]`, or something that is shown as it is and not read.
    }
    for (const part of parts(value)) {
      if (typeof part.text !== "string") continue;
      if (part.isThinking) this.answer.thinking += part.text;
      else this.answer.text += part.text;
    }
    const error = value?.error ?? (value?.type === "response.failed" ? value.response?.error : null);
    if (error) this.answer.error = typeof error === "string" ? error : String(error.message ?? JSON.stringify(error));
    else if (value?.type === "error" && typeof value.message === "string") this.answer.error = value.message;
  }
}

/**
 * The texts in an event or a whole answer, whichever dialect it is in: their members do not collide.
 *
 * @param {any} value
 * @returns {{text: unknown, isThinking: boolean}[]}
 */
function parts(value) {
  const list = (/** @type {unknown} */ candidate) => /** @type {any[]} */ (Array.isArray(candidate) ? candidate : []);
  const found = [];
  for (const choice of list(value?.choices).slice(0, 1)) {
    const message = choice?.delta ?? choice?.message;
    found.push({ text: message?.reasoning_content ?? message?.reasoning, isThinking: true }, { text: message?.content, isThinking: false });
  }
  for (const part of list(value?.candidates?.[0]?.content?.parts)) found.push({ text: part?.text, isThinking: part?.thought === true });
  for (const block of list(value?.content)) found.push({ text: block?.text ?? block?.thinking, isThinking: block?.type === "thinking" });
  for (const item of list(value?.output)) for (const part of list(item?.content)) found.push({ text: part?.type === "output_text" ? part.text : null, isThinking: false });
  switch (value?.type) {
    case "content_block_delta": found.push({ text: value.delta?.text ?? value.delta?.thinking, isThinking: value.delta?.type === "thinking_delta" }); break;
    case "response.output_text.delta": found.push({ text: value.delta, isThinking: false }); break;
    case "response.reasoning_summary_text.delta": case "response.reasoning_text.delta": found.push({ text: value.delta, isThinking: true }); break;
  }
  return found;
}
