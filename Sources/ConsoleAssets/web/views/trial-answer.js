// SPDX-License-Identifier: MIT

import { api, withQuery } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { duration, NONE, number, octets } from "../core/format.js";
import { address } from "../core/router.js";
import { t, word } from "../core/text.js";
import { badge, copyButton, segmented } from "../components/controls.js";
import { plainTable } from "../components/virtual-table.js";
import { dialectOf } from "./service-address.js";
import { AnswerReader } from "./service-dialects.js";

/** @typedef {import("../core/types.js").Service} Service */
/** @typedef {import("../core/types.js").ExchangeTrace} ExchangeTrace */

/** How much of an answer is kept to be shown. */
const KEPT_MAX = 512 * 1024;
/** A record is written when the exchange has ended, a little after the client has seen its end. */
const TRACE_WAIT = 6_000;
const TRACE_EVERY = 250;
/** An answer that arrives fast is painted no more often than it can be read. */
const DRAW_EVERY = 50;

/**
 * An answer to a trial as it comes: its text, its octets, how long it took, and which keys were tried for it.
 */
export class AnswerView {
  #service;
  #signal;
  /** Counts the trials: what belongs to an older one is not shown any more. */
  #trial = 0;
  #shows = /** @type {"text" | "raw"} */ ("text");
  #raw = "";
  #dropped = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #drawing;
  /** @type {AnswerReader | null} */
  #reader = null;
  #isBinary = false;

  #status = h("p", { class: "trial-status", role: "status" });
  #facts = h("dl", { class: "figures" });
  #text = h("pre", { class: "output", tabindex: 0, role: "group" });
  #thinking = thinkingElement();
  #error = h("p", { class: "form-error", role: "alert" });
  #more = h("p", { class: "hint" });
  #trace = h("div", { class: "stack" });
  #sent = h("div", {});
  #body = h("div", { class: "stack", hidden: true });

  /** @type {HTMLElement} */
  element;

  /**
   * @param {Service} service
   * @param {AbortSignal} signal Aborted when the view is left.
   */
  constructor(service, signal) {
    this.#service = service;
    this.#signal = signal;
    const empty = h("p", { class: "hint" }, t("services.try.empty"));
    this.#body.append(
      this.#facts,
      h("div", { class: "spread" }, segmented(t("services.try.view"), [{ value: "text", label: t("services.try.text") }, { value: "raw", label: t("services.try.raw") }], this.#shows, (value) => {
        this.#shows = value;
        this.#draw();
      }), copyButton(() => this.#shows === "text" && this.#reader !== null ? this.#reader.answer.text : this.#raw, t("services.try.copy"))),
      this.#thinking.holder, this.#text, this.#error, this.#more, this.#trace, this.#sent);
    this.element = h("section", { class: "card answer", "aria-labelledby": "answer-title" }, h("h2", { id: "answer-title" }, t("services.try.answer")), this.#status, empty, this.#body);
    this.#status.hidden = true;
    this.#begun = () => {
      empty.remove();
      this.#status.hidden = false;
      this.#body.hidden = false;
    };
  }

  /** @type {() => void} */
  #begun;

  /**
   * Sends a request and shows what comes back, until it has ended.
   *
   * @param {import("./service-dialects.js").TrialRequest} request
   * @param {string} key
   * @param {AbortSignal} abort
   */
  async run(request, key, abort) {
    const trial = this.#trial += 1;
    this.#begun();
    this.#raw = "";
    this.#dropped = 0;
    this.#isBinary = false;
    this.#reader = null;
    this.#status.textContent = t("services.try.waiting");
    replace(this.#facts);
    replace(this.#trace);
    this.#draw();
    this.#showSent(request);

    const began = performance.now();
    /** @type {Response} */
    let response;
    try {
      response = await fetch(request.path, {
        method: request.method, headers: { ...request.headers, "X-Proxy-Key": key }, body: request.body === "" ? undefined : request.body, signal: abort, cache: "no-store", credentials: "omit",
        redirect: "manual",
      });
    } catch {
      this.#status.textContent = t(abort.aborted ? "services.try.stoppedEarly" : "services.try.noAnswer");
      return;
    }
    const headAt = performance.now();
    if (response.type === "opaqueredirect") {
      this.#status.textContent = t("services.try.redirect");
      return;
    }
    const requestID = response.headers.get("x-rotator-request-id") ?? "";
    const times = { first: /** @type {number | null} */ (null), total: /** @type {number | null} */ (null) };
    this.#showFacts(response, times, requestID);
    const kind = response.headers.get("Content-Type") ?? "";
    this.#isBinary = kind !== "" && !/^text\/|json|xml|javascript|x-www-form-urlencoded|event-stream/i.test(kind);
    // An error of any kind is shown as it came.
    if (response.ok && dialectOf(this.#service) !== "rest") this.#reader = new AnswerReader(/event-stream/i.test(kind));
    this.#status.textContent = t("services.try.arriving", { status: response.status });

    let isBroken = false;
    try {
      await this.#read(response, () => {
        if (times.first !== null) return;
        times.first = performance.now() - began;
        this.#showFacts(response, times, requestID);
      });
    } catch {
      isBroken = true;
    }
    times.total = performance.now() - began;
    // Without a body, the head is all that came.
    times.first ??= headAt - began;
    this.#reader?.end();
    this.#showFacts(response, times, requestID);
    this.#status.textContent = this.#ending(response, times.total, isBroken, abort.aborted);
    this.#draw();
    void this.#followTrace(requestID, trial);
  }

  /**
   * @param {Response} response
   * @param {number} total
   * @param {boolean} isBroken
   * @param {boolean} isStopped
   */
  #ending(response, total, isBroken, isStopped) {
    const values = { status: response.status, time: duration(total) };
    if (isStopped) return t("services.try.stopped", values);
    if (isBroken) return t("services.try.broken", values);
    if (this.#reader?.answer.error) return t("services.try.failedInside", values);
    if (response.ok) return t("services.try.done", values);
    // An answer without a key in it is the rotator's own.
    return t(response.headers.has("x-rotator-key-id") ? "services.try.refusedByProvider" : "services.try.refusedByRotator", values);
  }

  /**
   * @param {Response} response
   * @param {() => void} arrived
   */
  async #read(response, arrived) {
    const reader = response.body?.getReader();
    if (reader === undefined) return;
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      const text = decoder.decode(value, { stream: !done });
      if (value !== undefined && value.length > 0) arrived();
      if (this.#isBinary) this.#dropped += value?.length ?? 0;
      else {
        this.#reader?.take(text);
        const room = KEPT_MAX - this.#raw.length;
        this.#raw += text.slice(0, Math.max(0, room));
        this.#dropped += Math.max(0, text.length - room);
      }
      this.#scheduleDraw();
      if (done) return;
    }
  }

  #scheduleDraw() {
    if (this.#drawing === undefined) this.#drawing = setTimeout(() => this.#draw(), DRAW_EVERY);
  }

  #draw() {
    clearTimeout(this.#drawing);
    this.#drawing = undefined;
    const answer = this.#shows === "text" ? this.#reader?.answer ?? null : null;
    const text = this.#shows === "raw" ? this.#raw : answer === null ? pretty(this.#raw) : answer.text;
    this.#thinking.holder.hidden = answer === null || answer.thinking === "";
    show(this.#thinking.text, answer?.thinking ?? "");
    this.#text.setAttribute("aria-label", t(this.#shows === "raw" ? "services.try.raw" : "services.try.text"));
    this.#text.hidden = this.#isBinary || text === "" && (answer?.error ?? "") !== "";
    show(this.#text, text);
    this.#error.textContent = answer?.error ?? "";
    this.#more.textContent = this.#dropped === 0 ? "" : t(this.#isBinary ? "services.try.binary" : "services.try.dropped", { size: octets(this.#dropped) });
  }

  /** @param {import("./service-dialects.js").TrialRequest} request */
  #showSent(request) {
    replace(this.#sent, h(
      "details", {}, h("summary", {}, t("services.try.sent")),
      h("pre", { class: "output", tabindex: 0, role: "group", "aria-label": t("services.try.sent") }, [
        `${request.method} ${request.path}`, ...Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`), ...request.body === "" ? [] : ["", pretty(request.body)],
      ].join("\n"))));
  }

  /**
   * @param {Response} response
   * @param {{first: number | null, total: number | null}} times
   * @param {string} requestID
   */
  #showFacts(response, times, requestID) {
    const keyID = response.headers.get("x-rotator-key-id");
    const fact = (/** @type {string} */ label, /** @type {import("../core/dom.js").Child} */ value) => h("div", {}, h("dt", {}, label), h("dd", {}, value));
    replace(
      this.#facts, fact(t("services.try.status"), h("span", { class: response.ok ? "good" : "bad" }, String(response.status))), fact(t("services.try.firstByte"), duration(times.first)),
      fact(t("services.try.total"), duration(times.total)), fact(t("services.try.attempts"), response.headers.get("x-rotator-attempts") ?? NONE),
      fact(t("services.try.key"), keyID === null ? NONE : this.#keyLink(Number(keyID))),
      requestID !== "" && fact(t("services.try.requestID"), h("span", { class: "code" }, requestID)));
  }

  /** @param {number} id */
  #keyLink(id) { return h("a", { href: address(["services", this.#service.id, "keys"], { key: id }) }, `#${id}`); }

  /**
   * Shows which keys were tried, as soon as the server has written it down.
   *
   * @param {string} requestID
   * @param {number} trial
   */
  async #followTrace(requestID, trial) {
    if (requestID === "") return;
    const isOver = () => this.#signal.aborted || trial !== this.#trial;
    replace(this.#trace, h("p", { class: "hint" }, t("services.try.traceWaiting")));
    for (const until = performance.now() + TRACE_WAIT; performance.now() < until;) {
      try {
        // The listing says that there is none yet; asked for itself, what is not there is an error, and the browser writes each down.
        const { items: found } = /** @type {{items: unknown[]}} */ (await api.get(withQuery("/admin/requests", { request_id: requestID, limit: 1 }), this.#signal));
        if (isOver()) return;
        if (found.length > 0) {
          const { items } = /** @type {{items: ExchangeTrace[]}} */ (await api.get(`/admin/requests/${encodeURIComponent(requestID)}`, this.#signal));
          if (isOver()) return;
          if (items[0] !== undefined) return this.#showTrace(items[0]);
        }
      } catch (error) {
        if (isOver()) return;
        return replace(this.#trace, h("p", { class: "hint" }, error instanceof Error ? error.message : String(error)));
      }
      await new Promise((resolve) => setTimeout(resolve, TRACE_EVERY));
    }
    if (!isOver()) replace(this.#trace, h("p", { class: "hint" }, t("services.try.traceMissing")));
  }

  /** @param {ExchangeTrace} trace */
  #showTrace(trace) {
    const hint = trace.error_code !== null && word("services.advice", trace.error_code);
    replace(
      this.#trace,
      trace.error_code !== null && h("p", { class: "notice warning" }, hint === trace.error_code.replaceAll("_", " ") ? trace.error_code : hint),
      trace.attempts.length > 0 && plainTable({
        caption: t("services.try.attemptsTitle"), showsCaption: true, rows: trace.attempts.map((attempt, index) => ({ attempt, index })),
        columns: [
          { label: t("services.try.attempt"), cell: ({ index }) => number(index + 1), isSecondary: true },
          { label: t("services.try.key"), cell: ({ attempt }) => this.#keyLink(attempt.key_id) },
          { label: t("services.try.status"), cell: ({ attempt }) => attempt.status === null ? NONE : String(attempt.status) },
          { label: t("services.try.verdict"), cell: ({ attempt }) => [badge(attempt.verdict, "services.verdict"), attempt.reason && attempt.reason !== attempt.verdict && h("span", { class: "quiet" }, ` ${attempt.reason.replaceAll("_", " ")}`)] },
          { label: t("services.try.began"), cell: ({ attempt }) => duration(attempt.began_ms), isNumber: true, isSecondary: true },
          { label: t("services.try.took"), cell: ({ attempt }) => duration(attempt.duration_ms), isNumber: true },
        ],
      }),
      trace.tokens !== null && h("p", { class: "hint" }, t("services.try.tokens", { input: trace.tokens.input, output: trace.tokens.output })),
      h("p", {}, h("a", { href: address(["requests"], { request_id: trace.request_id }) }, t("services.try.inRequests"))));
  }
}

/** Where a model's reasoning is shown, folded. */
function thinkingElement() {
  const text = h("pre", { class: "output quiet", tabindex: 0, role: "group", "aria-label": t("services.try.thinking") });
  return { holder: h("details", { class: "thinking", hidden: true }, h("summary", {}, t("services.try.thinking")), text), text };
}

/**
 * Shows a text that grows: what is there stays, so that it can be selected and scrolled meanwhile, and whoever stands at its end sees what comes.
 *
 * @param {HTMLElement} element
 * @param {string} text
 */
function show(element, text) {
  const present = element.textContent ?? "";
  if (present === text) return;
  const isAtEnd = element.scrollTop + element.clientHeight >= element.scrollHeight - 4;
  if (present !== "" && text.startsWith(present)) element.append(text.slice(present.length));
  else element.textContent = text;
  if (isAtEnd) element.scrollTop = element.scrollHeight;
}

/**
 * JSON with line breaks; anything else as it is.
 *
 * @param {string} text
 */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
