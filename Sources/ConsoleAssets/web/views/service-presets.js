// SPDX-License-Identifier: MIT

/**
 * What a new service of a provider begins with.
 *
 * @typedef {object} Preset
 * @property {string} id Also the slug that is suggested.
 * @property {string} name The provider's own name; empty where the texts name it (`services.preset.ID`).
 * @property {"LLM" | "GENERIC"} type
 * @property {import("../core/types.js").ApiFormat} format
 * @property {string[]} targets The base URL, and those of other regions; none where nobody but the owner knows it.
 * @property {string} placeholder What such a base URL looks like.
 * @property {string} model An example of a model; empty where there is none.
 * @property {boolean} [isOwn] Whether it stands for something of the owner's own rather than for one provider.
 * @property {string} [blank] What in the base URL has to be replaced.
 */

/** @type {Preset[]} */
export const PRESETS = [
  provider("openai", "OpenAI", "gpt-5.4-mini", ["https://api.openai.com/v1"]),
  { ...provider("anthropic", "Anthropic", "claude-sonnet-5", ["https://api.anthropic.com"]), format: "anthropic_native" },
  { ...provider("gemini", "Gemini", "gemini-3.5-flash", ["https://generativelanguage.googleapis.com"]), format: "gemini_native" },
  { ...provider("azure", "Azure OpenAI", "gpt-5.4-mini", ["https://RESOURCE.openai.azure.com/openai/v1"]), format: "azure_openai", blank: "RESOURCE" },
  provider("openrouter", "OpenRouter", "openrouter/auto", ["https://openrouter.ai/api/v1"]),
  provider("deepseek", "DeepSeek", "deepseek-flash", ["https://api.deepseek.com/v1"]),
  provider("mistral", "Mistral", "mistral-small-latest", ["https://api.mistral.ai/v1"]),
  provider("groq", "Groq", "openai/gpt-oss-20b", ["https://api.groq.com/openai/v1"]),
  provider("xai", "xAI", "grok-4.3", ["https://api.x.ai/v1"]),
  provider("kimi", "Moonshot · Kimi", "kimi-k3", ["https://api.moonshot.ai/v1", "https://api.moonshot.cn/v1"]),
  provider("qwen", "Qwen · DashScope", "qwen-plus", ["https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "https://dashscope.aliyuncs.com/compatible-mode/v1"]),
  provider("glm", "Zhipu · GLM", "glm-5", ["https://open.bigmodel.cn/api/paas/v4", "https://api.z.ai/api/paas/v4"]),
  provider("siliconflow", "SiliconFlow", "Qwen/Qwen3-8B", ["https://api.siliconflow.cn/v1", "https://api.siliconflow.com/v1"]),
  { ...provider("ollama", "Ollama", "llama3.2", ["http://localhost:11434/v1"]), isOwn: true },
  { ...provider("compatible", "", "", []), placeholder: "https://llm.example.com/v1", isOwn: true },
  { ...provider("rest", "", "", []), type: "GENERIC", format: "generic", placeholder: "https://api.example.com", isOwn: true },
];

/**
 * @param {string} id
 * @param {string} name
 * @param {string} model
 * @param {string[]} targets
 * @returns {Preset}
 */
function provider(id, name, model, targets) {
  return { id, name, type: "LLM", format: "openai_compatible", targets, placeholder: targets[0] ?? "", model };
}

/** @type {Record<import("../core/types.js").ApiFormat, string>} */
const MODELS = { openai_compatible: "gpt-5.4-mini", anthropic_native: "claude-sonnet-5", gemini_native: "gemini-3.5-flash", azure_openai: "gpt-5.4-mini", generic: "" };

/**
 * A model that a service's provider is likely to have, as an example.
 *
 * @param {import("../core/types.js").Service} service
 */
export function exampleModel(service) {
  const host = hostOf(service.target_base_url ?? "");
  const known = PRESETS.find((preset) => preset.format === service.api_format && preset.targets.some((target) => hostOf(target) === host));
  return known?.model || MODELS[service.api_format] || "";
}

/**
 * The host of a URL, with its port where it has one of its own; what is no URL is returned as it is.
 *
 * @param {string} url
 */
export function hostOf(url) {
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
}

/**
 * A slug made of a name, that no other service has.
 *
 * @param {string} name
 * @param {Iterable<string>} taken
 */
export function suggestedSlug(name, taken) {
  const used = new Set(taken);
  const plain = name.normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 56).replace(/-+$/, "") || "service";
  if (!used.has(plain)) return plain;
  for (let number = 2;; number += 1) if (!used.has(`${plain}-${number}`)) return `${plain}-${number}`;
}

/**
 * A name that no other service has, though the server would take it twice: people tell services apart by it.
 *
 * @param {string} name
 * @param {Iterable<string>} taken
 */
export function suggestedName(name, taken) {
  const used = new Set(taken);
  if (!used.has(name)) return name;
  for (let number = 2;; number += 1) if (!used.has(`${name} ${number}`)) return `${name} ${number}`;
}
