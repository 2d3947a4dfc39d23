// SPDX-License-Identifier: MIT

import { t } from "../core/text.js";
import { dialectOf, geminiVersion, openAIPath, pathOf, targetOf, versionOf } from "./service-address.js";
import { hostOf } from "./service-presets.js";

/** @typedef {import("../core/types.js").Service} Service */

/** What stands in a snippet where the client key belongs. */
export const PLACEHOLDER = "YOUR_PROXY_KEY";

/**
 * How to use a service with one tool.
 *
 * @typedef {object} Recipe
 * @property {string} id
 * @property {string} label The tool's own name.
 * @property {{title: string, code: string}[]} blocks
 * @property {{label: string, value: string}[]} [fields] What is to be typed into the tool's settings.
 * @property {string[]} notes
 *
 * @typedef {object} RecipeInput
 * @property {Service} service
 * @property {string} base The server's address, without a slash at its end.
 * @property {string} model
 * @property {string} path What follows the address of a REST service.
 */

/** Of JSON, Python, TypeScript, Swift and TOML alike. */
const quoted = (/** @type {string} */ text) => JSON.stringify(text);

/** Inside single quotes of a shell. */
const shell = (/** @type {string} */ text) => `'${text.replaceAll("'", "'\\''")}'`;

/**
 * The recipes that fit what a service speaks.
 *
 * @param {RecipeInput} input
 * @returns {Recipe[]}
 */
export function recipes(input) {
  switch (dialectOf(input.service)) {
    case "openai": return openAI(input);
    case "anthropic": return anthropic(input);
    case "gemini": return gemini(input);
    case "rest": return rest(input);
  }
}

/**
 * Tools that do not speak what a service speaks, with the format that they need.
 *
 * @param {Service} service
 * @returns {{tool: string, format: import("../core/types.js").ApiFormat}[]}
 */
export function unfitTools(service) {
  const dialect = dialectOf(service);
  if (dialect === "rest") return [];
  /** @type {{tool: string, dialect: string, format: import("../core/types.js").ApiFormat}[]} */
  const tools = [
    { tool: "Claude Code", dialect: "anthropic", format: "anthropic_native" },
    { tool: "Codex CLI", dialect: "openai", format: "openai_compatible" },
    { tool: "Gemini CLI", dialect: "gemini", format: "gemini_native" },
  ];
  return tools.filter((tool) => tool.dialect !== dialect);
}

/** @param {string} code */
const terminal = (code) => ({ title: t("services.use.terminal"), code });
/**
 * @param {string} name
 * @param {string} code
 */
const file = (name, code) => ({ title: name, code });

/**
 * A request with Foundation alone.
 *
 * @param {string} url
 * @param {Record<string, string>} headers
 * @param {string} body A literal of Swift; empty for a request without a body.
 * @param {string} method
 */
function swift(url, headers, body, method = "POST") {
  const lines = [
    "import Foundation", "#if canImport(FoundationNetworking)", "import FoundationNetworking", "#endif", "", `var request = URLRequest(url: URL(string: ${quoted(url)})!)`,
    `request.httpMethod = ${quoted(method)}`, ...Object.entries(headers).map(([name, value]) => `request.setValue(${quoted(value)}, forHTTPHeaderField: ${quoted(name)})`),
    ...body === "" ? [] : [`let body: [String: Any] = ${body}`, "request.httpBody = try JSONSerialization.data(withJSONObject: body)"],
    "let (data, _) = try await URLSession.shared.data(for: request)", "print(String(decoding: data, as: UTF8.self))",
  ];
  return lines.join("\n");
}

/**
 * @param {string} type
 * @param {string} host
 * @param {string[]} notes
 * @returns {Recipe}
 */
function cherryStudio(type, host, notes = []) {
  return {
    id: "cherry", label: "Cherry Studio", blocks: [], notes: [t("services.use.cherryNote"), ...notes],
    fields: [
      { label: t("services.use.cherryType"), value: type }, { label: t("services.use.cherryKey"), value: PLACEHOLDER }, { label: t("services.use.cherryHost"), value: host },
    ],
  };
}

/**
 * @param {string} url
 * @param {string} model
 * @returns {Recipe}
 */
function otherApps(url, model) {
  return {
    id: "other", label: t("services.use.other"), blocks: [], notes: [t("services.use.otherNote")],
    fields: [
      { label: t("services.use.baseURL"), value: url }, { label: t("services.use.apiKey"), value: PLACEHOLDER }, { label: t("services.use.model"), value: model },
    ],
  };
}

/**
 * @param {RecipeInput} input
 * @returns {Recipe[]}
 */
function openAI({ service, base, model }) {
  const url = base + openAIPath(service);
  const name = quoted(model);
  const body = JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }] });
  const bearer = { "Authorization": `Bearer ${PLACEHOLDER}`, "Content-Type": "application/json" };
  // Cherry Studio appends /v1 to an address that names no version, unless the address ends with #.
  const ownVersion = versionOf(service);
  const cherryHost = ownVersion === "v1" || openAIPath(service) !== pathOf(service) ? base + openAIPath(service).replace(/\/v1$/, "") : `${base}${pathOf(service)}#`;
  /** @type {Recipe[]} */
  const made = [
    {
      id: "curl", label: "curl", notes: [],
      blocks: [terminal(`curl ${shell(`${url}/chat/completions`)} \\\n  -H "Authorization: Bearer ${PLACEHOLDER}" \\\n  -H "Content-Type: application/json" \\\n  -d ${shell(body)}`)],
    },
    {
      id: "python", label: "Python", notes: [],
      blocks: [
        terminal("pip install openai"),
        file("Python", `from openai import OpenAI\n\nclient = OpenAI(\n    base_url=${quoted(url)},\n    api_key=${quoted(PLACEHOLDER)},\n)\nanswer = client.chat.completions.create(\n    model=${name},\n    messages=[{"role": "user", "content": "Hello"}],\n)\nprint(answer.choices[0].message.content)`),
      ],
    },
    {
      id: "typescript", label: "TypeScript", notes: [],
      blocks: [
        terminal("npm install openai"),
        file("TypeScript", `import OpenAI from "openai";\n\nconst client = new OpenAI({\n  baseURL: ${quoted(url)},\n  apiKey: ${quoted(PLACEHOLDER)},\n});\nconst answer = await client.chat.completions.create({\n  model: ${name},\n  messages: [{ role: "user", content: "Hello" }],\n});\nconsole.log(answer.choices[0].message.content);`),
      ],
    },
    {
      id: "swift", label: "Swift", notes: [],
      blocks: [file("Swift", swift(`${url}/chat/completions`, bearer, `["model": ${name}, "messages": [["role": "user", "content": "Hello"]]]`))],
    },
    {
      id: "codex", label: "Codex CLI", notes: [t("services.use.codexNote")],
      blocks: [
        file("~/.codex/config.toml", `model = ${name}\nmodel_provider = "rotator"\n\n[model_providers.rotator]\nname = "API Key Rotator"\nbase_url = ${quoted(url)}\nenv_key = "ROTATOR_API_KEY"\nwire_api = "responses"`),
        terminal(`export ROTATOR_API_KEY=${PLACEHOLDER}\ncodex`),
      ],
    },
    cherryStudio("OpenAI", cherryHost, cherryHost.endsWith("#") ? [t("services.use.cherryHash")] : []),
    {
      id: "langchain", label: "LangChain", notes: [],
      blocks: [
        terminal("pip install langchain-openai"),
        file("Python", `from langchain_openai import ChatOpenAI\n\nllm = ChatOpenAI(\n    base_url=${quoted(url)},\n    api_key=${quoted(PLACEHOLDER)},\n    model=${name},\n)\nprint(llm.invoke("Hello").text)`),
      ],
    },
    {
      id: "litellm", label: "LiteLLM", notes: [],
      blocks: [
        terminal("pip install litellm"),
        file("Python", `import litellm\n\nanswer = litellm.completion(\n    model=${quoted(`openai/${model}`)},\n    api_base=${quoted(url)},\n    api_key=${quoted(PLACEHOLDER)},\n    messages=[{"role": "user", "content": "Hello"}],\n)\nprint(answer.choices[0].message.content)`),
      ],
    },
    otherApps(url, model),
  ];
  return made;
}

/**
 * @param {RecipeInput} input
 * @returns {Recipe[]}
 */
function anthropic({ service, base, model }) {
  const url = base + pathOf(service);
  const name = quoted(model);
  const body = JSON.stringify({ model, max_tokens: 1024, messages: [{ role: "user", content: "Hello" }] });
  const isOwn = hostOf(targetOf(service)) === "api.anthropic.com";
  return [
    {
      id: "curl", label: "curl", notes: [],
      blocks: [terminal(`curl ${shell(`${url}/v1/messages`)} \\\n  -H "x-api-key: ${PLACEHOLDER}" \\\n  -H "anthropic-version: 2023-06-01" \\\n  -H "Content-Type: application/json" \\\n  -d ${shell(body)}`)],
    },
    {
      id: "python", label: "Python", notes: [],
      blocks: [
        terminal("pip install anthropic"),
        file("Python", `from anthropic import Anthropic\n\nclient = Anthropic(\n    base_url=${quoted(url)},\n    api_key=${quoted(PLACEHOLDER)},\n)\nanswer = client.messages.create(\n    model=${name},\n    max_tokens=1024,\n    messages=[{"role": "user", "content": "Hello"}],\n)\nprint(answer.content[0].text)`),
      ],
    },
    {
      id: "typescript", label: "TypeScript", notes: [],
      blocks: [
        terminal("npm install @anthropic-ai/sdk"),
        file("TypeScript", `import Anthropic from "@anthropic-ai/sdk";\n\nconst client = new Anthropic({\n  baseURL: ${quoted(url)},\n  apiKey: ${quoted(PLACEHOLDER)},\n});\nconst answer = await client.messages.create({\n  model: ${name},\n  max_tokens: 1024,\n  messages: [{ role: "user", content: "Hello" }],\n});\nconsole.log(answer.content);`),
      ],
    },
    {
      id: "swift", label: "Swift", notes: [],
      blocks: [file("Swift", swift(
        `${url}/v1/messages`, { "x-api-key": PLACEHOLDER, "anthropic-version": "2023-06-01", "Content-Type": "application/json" },
        `["model": ${name}, "max_tokens": 1024, "messages": [["role": "user", "content": "Hello"]]]`))],
    },
    {
      id: "claude-code", label: "Claude Code", notes: [t("services.use.claudeNote")],
      blocks: [
        terminal(`export ANTHROPIC_BASE_URL=${shell(url)}\nexport ANTHROPIC_AUTH_TOKEN=${PLACEHOLDER}\n${isOwn ? "" : `export ANTHROPIC_MODEL=${shell(model)}\n`}claude`),
        file("~/.claude/settings.json", JSON.stringify({ env: { ANTHROPIC_BASE_URL: url, ANTHROPIC_AUTH_TOKEN: PLACEHOLDER, ...isOwn ? {} : { ANTHROPIC_MODEL: model } } }, null, 2)),
      ],
    },
    cherryStudio("Anthropic", url),
    {
      id: "langchain", label: "LangChain", notes: [],
      blocks: [
        terminal("pip install langchain-anthropic"),
        file("Python", `from langchain_anthropic import ChatAnthropic\n\nllm = ChatAnthropic(\n    base_url=${quoted(url)},\n    api_key=${quoted(PLACEHOLDER)},\n    model=${name},\n)\nprint(llm.invoke("Hello").text)`),
      ],
    },
    {
      id: "litellm", label: "LiteLLM", notes: [],
      blocks: [
        terminal("pip install litellm"),
        file("Python", `import litellm\n\nanswer = litellm.completion(\n    model=${quoted(`anthropic/${model}`)},\n    api_base=${quoted(url)},\n    api_key=${quoted(PLACEHOLDER)},\n    messages=[{"role": "user", "content": "Hello"}],\n)\nprint(answer.choices[0].message.content)`),
      ],
    },
    otherApps(url, model),
  ];
}

/**
 * @param {RecipeInput} input
 * @returns {Recipe[]}
 */
function gemini({ service, base, model }) {
  const url = base + pathOf(service);
  const name = quoted(model);
  // SDKs append a version of their own, which differs from one to the next: where the base URL names one, they are told it.
  const told = versionOf(service);
  const version = geminiVersion(service);
  const call = `${url}/${version}/models/${encodeURIComponent(model)}:generateContent`;
  const body = JSON.stringify({ contents: [{ role: "user", parts: [{ text: "Hello" }] }] });
  return [
    {
      id: "curl", label: "curl", notes: [],
      blocks: [terminal(`curl ${shell(call)} \\\n  -H "x-goog-api-key: ${PLACEHOLDER}" \\\n  -H "Content-Type: application/json" \\\n  -d ${shell(body)}`)],
    },
    {
      id: "python", label: "Python", notes: [],
      blocks: [
        terminal("pip install google-genai"),
        file("Python", `from google import genai\n\nclient = genai.Client(\n    api_key=${quoted(PLACEHOLDER)},\n    http_options={"base_url": ${quoted(url)}${told === null ? "" : `, "api_version": ${quoted(version)}`}},\n)\nanswer = client.models.generate_content(model=${name}, contents="Hello")\nprint(answer.text)`),
      ],
    },
    {
      id: "typescript", label: "TypeScript", notes: [],
      blocks: [
        terminal("npm install @google/genai"),
        file("TypeScript", `import { GoogleGenAI } from "@google/genai";\n\nconst client = new GoogleGenAI({\n  apiKey: ${quoted(PLACEHOLDER)},\n  httpOptions: { baseUrl: ${quoted(url)}${told === null ? "" : `, apiVersion: ${quoted(version)}`} },\n});\nconst answer = await client.models.generateContent({ model: ${name}, contents: "Hello" });\nconsole.log(answer.text);`),
      ],
    },
    {
      id: "swift", label: "Swift", notes: [],
      blocks: [file("Swift", swift(call, { "x-goog-api-key": PLACEHOLDER, "Content-Type": "application/json" }, `["contents": [["role": "user", "parts": [["text": "Hello"]]]]]`))],
    },
    {
      id: "gemini-cli", label: "Gemini CLI", notes: [t("services.use.geminiNote")],
      blocks: [
        terminal(`export GOOGLE_GEMINI_BASE_URL=${shell(url)}\nexport GEMINI_API_KEY=${PLACEHOLDER}\n${told === null ? "" : `export GOOGLE_GENAI_API_VERSION=${shell(version)}\n`}gemini -m ${shell(model)}`),
        // Without it, a base URL alone makes the tool expect a way of logging in that it does not take from a terminal.
        file("~/.gemini/settings.json", JSON.stringify({ security: { auth: { selectedType: "gemini-api-key" } } }, null, 2)),
      ],
    },
    cherryStudio("Gemini", url),
    {
      id: "langchain", label: "LangChain", notes: [],
      blocks: [
        terminal("pip install langchain-google-genai"),
        file("Python", `from langchain_google_genai import ChatGoogleGenerativeAI\n\nllm = ChatGoogleGenerativeAI(\n    base_url=${quoted(url)},\n${told === null ? "" : `    api_version=${quoted(told)},\n`}    api_key=${quoted(PLACEHOLDER)},\n    model=${name},\n)\nprint(llm.invoke("Hello").text)`),
      ],
    },
    otherApps(url, model),
  ];
}

/**
 * @param {RecipeInput} input
 * @returns {Recipe[]}
 */
function rest({ service, base, path }) {
  const url = base + pathOf(service) + path;
  const method = service.method ?? "GET";
  const option = method === "GET" ? "" : `-X ${method} `;
  return [
    { id: "curl", label: "curl", notes: [], blocks: [terminal(`curl ${option}${shell(url)} \\\n  -H "X-Proxy-Key: ${PLACEHOLDER}"`)] },
    {
      id: "python", label: "Python", notes: [],
      blocks: [
        terminal("pip install requests"),
        file("Python", `import requests\n\nanswer = requests.request(\n    ${quoted(method)},\n    ${quoted(url)},\n    headers={"X-Proxy-Key": ${quoted(PLACEHOLDER)}},\n)\nprint(answer.status_code, answer.text)`),
      ],
    },
    {
      id: "typescript", label: "TypeScript", notes: [],
      blocks: [file("TypeScript", `const answer = await fetch(${quoted(url)}, {\n  method: ${quoted(method)},\n  headers: { "X-Proxy-Key": ${quoted(PLACEHOLDER)} },\n});\nconsole.log(answer.status, await answer.text());`)],
    },
    { id: "swift", label: "Swift", notes: [], blocks: [file("Swift", swift(url, { "X-Proxy-Key": PLACEHOLDER }, "", method))] },
    {
      id: "other", label: t("services.use.other"), blocks: [], notes: [t("services.use.restNote")],
      fields: [{ label: t("services.use.baseURL"), value: base + pathOf(service) }, { label: t("services.use.keyHeader"), value: `X-Proxy-Key: ${PLACEHOLDER}` }],
    },
  ];
}
