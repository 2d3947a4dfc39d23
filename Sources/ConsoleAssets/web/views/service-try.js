// SPDX-License-Identifier: MIT

import { api, withQuery } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { t } from "../core/text.js";
import { button, failed, segmented } from "../components/controls.js";
import { areaField, checkField, pairsField, textField } from "../components/forms.js";
import { notify } from "../components/toasts.js";
import { dialectOf, pathOf } from "./service-address.js";
import { modelNames, modelRequest, modelsPath } from "./service-dialects.js";
import { exampleModel } from "./service-presets.js";
import { AnswerView } from "./trial-answer.js";
import { TrialKey } from "./trial-key.js";

/** @typedef {import("../core/types.js").Service} Service */
/** @typedef {import("./service-dialects.js").TrialRequest} TrialRequest */

/**
 * The try-it box: sends a request through the proxy, as a client would, and shows the answer as it comes.
 *
 * @param {import("./service-page.js").TabContext} context
 */
export function tryTab({ root, service, signal, onLeave, changed }) {
  const form = dialectOf(service) === "rest" ? restForm(service) : modelForm(service, signal);
  const answer = new AnswerView(service, signal);
  /**
   * The trial that runs.
   *
   * @type {{abort: AbortController, key: TrialKey | null} | null}
   */
  let running = null;

  const send = button(t("services.try.send"), () => {}, { kind: "primary", type: "submit", icon: "play" });
  const stop = button(t("services.try.stop"), () => running?.abort.abort(), { icon: "close" });
  stop.hidden = true;
  const element = h(
    "form", {
      class: "card", novalidate: true, "aria-labelledby": "try-title",
      on: {
        submit: (/** @type {SubmitEvent} */ event) => {
          event.preventDefault();
          if (running !== null || !form.validate()) return;
          void run(form.request());
        },
        // As in many a place where one writes to a model.
        keydown: (/** @type {KeyboardEvent} */ event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) element.requestSubmit();
        },
      },
    },
    h("h2", { id: "try-title" }, t("services.try.request")), form.element, h("div", { class: "row" }, send, stop), h("p", { class: "hint" }, t("services.try.keyHint")));

  /** @param {TrialRequest} request */
  const run = async (request) => {
    const trial = running = { abort: new AbortController(), key: /** @type {TrialKey | null} */ (null) };
    send.disabled = true;
    stop.hidden = false;
    stop.focus();
    try {
      trial.key = await TrialKey.make(service.slug);
      if (!trial.abort.signal.aborted) await answer.run(request, trial.key.value, trial.abort.signal);
    } catch (error) {
      failed(error);
    } finally {
      running = null;
      const hadFocus = document.activeElement === stop || document.activeElement === document.body;
      send.disabled = false;
      stop.hidden = true;
      if (hadFocus && !signal.aborted) send.focus();
      void trial.key?.remove();
    }
  };

  onLeave(() => running?.abort.abort());
  addEventListener("pagehide", () => running?.key?.removeInPassing(), { signal });
  replace(
    root,
    !service.is_active && h("p", { class: "notice warning" }, t("services.try.off"), " ", button(t("services.try.switchOn"), async () => {
      changed(/** @type {Service} */ (await api.put(`/admin/proxy-configs/${service.id}/status`, { is_active: true })));
      root.querySelector(".notice")?.remove();
      form.focus();
    }, { kind: "link" })),
    h("div", { class: "try" }, element, answer.element));
}

/**
 * What is asked of a model.
 *
 * @param {Service} service
 * @param {AbortSignal} signal
 */
function modelForm(service, signal) {
  let call = /** @type {import("./service-dialects.js").OpenAICall} */ ("chat");
  const known = new Set([exampleModel(service)].filter((name) => name !== ""));
  const model = textField({ label: t("services.use.model"), value: exampleModel(service), required: true, isCode: true, options: [...known], hint: t("services.try.modelHint") });
  const prompt = areaField({ label: t("services.try.prompt"), rows: 4, value: t("services.try.promptExample"), required: true });
  const isStream = checkField({ label: t("services.try.stream"), value: true });
  const suggest = (/** @type {string[]} */ names) => {
    for (const name of names) known.add(name);
    const list = model.element.querySelector("datalist");
    if (list !== null) replace(list, [...known].map((value) => h("option", { value })));
  };
  // Those that clients have asked for lately cost nothing to know.
  api.get(withQuery("/admin/requests", { service: service.slug, limit: 100 }), signal).then((page) => {
    suggest(/** @type {import("../core/types.js").Page<import("../core/types.js").Exchange>} */ (page).items.map((one) => one.model ?? "").filter((name) => name !== ""));
  }, () => {});
  const fetchModels = button(t("services.try.listModels"), async () => {
    const key = await TrialKey.make(service.slug);
    try {
      const response = await fetch(modelsPath(service), { headers: { "X-Proxy-Key": key.value }, cache: "no-store", credentials: "omit", signal });
      const text = await response.text();
      const names = response.ok ? modelNames(JSON.parse(text)) : [];
      if (!response.ok) throw new Error(t("services.try.modelsRefused", { status: response.status, body: text.slice(0, 300) }));
      suggest(names);
      notify(t("services.try.modelsFound", { count: names.length }));
      model.focus();
    } finally {
      void key.remove();
    }
  }, { kind: "plain", icon: "refresh" });
  return {
    element: h(
      "div", { class: "form" }, h("div", { class: "stack tight" }, model.element, h("div", {}, fetchModels)),
      dialectOf(service) === "openai" && segmented(t("services.try.call"), [{ value: "chat", label: "Chat Completions" }, { value: "responses", label: "Responses" }], call, (value) => { call = value; }),
      prompt.element, isStream.element),
    validate: () => {
      const wrong = [model, prompt].filter((field) => !field.validate());
      wrong[0]?.focus();
      return wrong.length === 0;
    },
    request: () => modelRequest(service, { model: model.value(), prompt: prompt.value(), isStream: isStream.value(), call }),
    focus: () => prompt.focus(),
  };
}

/**
 * A request to any API.
 *
 * @param {Service} service
 */
function restForm(service) {
  const method = textField({
    label: t("services.field.method"), value: service.method ?? "GET", required: true, isCode: true, options: ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"],
    check: (value) => /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$/.test(value) && !/^(connect|trace|track)$/i.test(value) ? null : t("services.field.methodWrong"),
  });
  const below = (/** @type {string} */ path) => pathOf(service) + (path === "" || path.startsWith("/") ? path : `/${path}`);
  const path = textField({
    label: t("services.use.path"), value: "/", isCode: true, hint: t("services.try.pathHint", { path: pathOf(service) }),
    // The browser works dot segments out itself: what leads elsewhere would not reach this service.
    check: (value) => new URL(below(value), location.origin).pathname.startsWith(`${pathOf(service)}/`) || value === "" ? null : t("services.try.pathWrong", { path: pathOf(service) }),
  });
  const query = textField({ label: t("services.try.query"), isCode: true, placeholder: "q=Hamburg&limit=10" });
  const headers = pairsField({ label: t("services.try.headers"), name: "", value: {}, nameLabel: t("services.field.headerName"), valueLabel: t("services.field.headerValue") });
  const body = areaField({ label: t("services.try.body"), rows: 5, isCode: true, hint: t("services.try.bodyHint") });
  const hasBody = () => !/^(GET|HEAD)$/i.test(method.value());
  const refresh = () => { body.element.hidden = !hasBody(); };
  method.element.addEventListener("input", refresh);
  refresh();
  return {
    element: h("div", { class: "form" }, h("div", { class: "method-and-path" }, method.element, path.element), query.element, headers.element, body.element),
    validate: () => {
      const wrong = [method, path, headers].filter((field) => !field.validate());
      if (wrong.length === 0) {
        try {
          new Headers(headers.value());
        } catch {
          headers.refuse(t("services.try.headersWrong"));
          wrong.push(headers);
        }
      }
      wrong[0]?.focus();
      return wrong.length === 0;
    },
    request: () => {
      /** @type {Record<string, string>} */
      const given = headers.value();
      const text = hasBody() ? String(body.value()) : "";
      const hasType = Object.keys(given).some((name) => name.toLowerCase() === "content-type");
      const target = below(path.value());
      const question = query.value().replace(/^\?/, "");
      return {
        method: method.value().toUpperCase(), path: target + (question === "" ? "" : `${target.includes("?") ? "&" : "?"}${question}`), body: text,
        headers: text !== "" && !hasType ? { "Content-Type": isJSON(text) ? "application/json" : "text/plain", ...given } : given,
      };
    },
    focus: () => path.focus(),
  };
}

/** @param {string} text */
function isJSON(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
