// SPDX-License-Identifier: MIT

import { api, ApiError } from "../core/api.js";
import { h, icon } from "../core/dom.js";
import { dateTime, duration, NONE, timeElement } from "../core/format.js";
import { address } from "../core/router.js";
import { t, word } from "../core/text.js";
import { badge, copyButton, fill } from "../components/controls.js";
import { openDialog } from "../components/dialogs.js";
import { plainTable } from "../components/virtual-table.js";
import { explanationOf, statusElement } from "./request-words.js";

/** @typedef {import("../core/types.js").Attempt} Attempt */
/** @typedef {import("../core/types.js").Exchange} Exchange */
/** @typedef {import("../core/types.js").ExchangeTrace} ExchangeTrace */

/**
 * Shows all that is known of a request, with what was tried for it.
 *
 * @param {Exchange} exchange
 * @param {(id: string) => string} serviceName What a service of that slug is called.
 * @param {AbortSignal} signal Aborted when the view is left: the dialog goes with it.
 */
export function showRequest(exchange, serviceName, signal) {
  const body = h("div", { class: "stack" });
  void fill(body, async () => {
    /** @type {{items: ExchangeTrace[]}} */
    let answer;
    try {
      answer = await api.get(`/admin/requests/${encodeURIComponent(exchange.request_id)}`, signal);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return h("p", {}, t("requests.forgotten"));
      throw error;
    }
    // Clients may use an id again.
    const trace = answer.items.find((one) => one.id === exchange.id) ?? answer.items[0];
    return trace === undefined ? h("p", {}, t("requests.forgotten")) : content(trace, serviceName);
  });
  return openDialog({
    title: t("requests.titleOf", { when: dateTime(exchange.started_at) }), shape: "side",
    content: (close) => {
      signal.addEventListener("abort", () => close(null), { once: true });
      return { body };
    },
  });
}

/**
 * @param {ExchangeTrace} trace
 * @param {(id: string) => string} serviceName
 */
function content(trace, serviceName) {
  const { text, remedy } = explanationOf(trace);
  const fact = (/** @type {string} */ label, /** @type {import("../core/dom.js").Child} */ value) => [h("dt", {}, label), h("dd", {}, value)];
  const { tokens } = trace;
  return [
    h("p", { class: `notice ${trace.is_failure ? "warning" : ""}` }, text, remedy !== null && [" ", remedy]),
    h(
      "dl", { class: "facts" },
      fact(t("requests.column.status"), statusElement(trace)),
      fact(t("requests.column.time"), [dateTime(trace.started_at, { dateStyle: "medium", timeStyle: "long" }), " (", timeElement(trace.started_at), ")"]),
      fact(t("requests.column.service"), trace.service === "" ? h("span", { class: "quiet" }, t("requests.noService")) : trace.service_id === null ? trace.service : h("a", { href: address(["services", trace.service_id]) }, serviceName(trace.service))),
      fact(t("requests.column.client"), trace.client === "" ? NONE : trace.client_id === null ? trace.client : h("a", { href: address(["clients", trace.client_id]) }, trace.client)),
      fact(t("requests.column.model"), trace.model === null ? NONE : h("code", {}, trace.model)),
      fact(t("requests.column.method"), [h("code", {}, trace.method), trace.is_stream && ` (${t("requests.streamed")})`]),
      fact(t("requests.column.latency"), duration(trace.duration_ms)),
      fact(t("requests.column.firstByte"), duration(trace.first_byte_ms)),
      fact(t("requests.column.tokens"), tokens === null ? h("span", { class: "quiet" }, t("requests.tokensUnknown")) : [
        t("requests.tokens", { input: tokens.input, output: tokens.output, total: tokens.total }),
        tokens.cached_input > 0 && h("div", { class: "quiet" }, t("requests.tokensCached", { tokens: tokens.cached_input })), tokens.reasoning > 0 && h("div", { class: "quiet" }, t("requests.tokensReasoning", { tokens: tokens.reasoning })),
      ]),
      fact(t("requests.filter.requestID"), h("span", { class: "row tight" }, h("code", {}, trace.request_id), copyButton(trace.request_id, t("requests.copyID"), { hidesLabel: true }))),
      fact(t("requests.replica"), h("code", {}, trace.replica))),
    h("h3", {}, t("requests.attempts", { count: trace.attempt_count })),
    trace.attempts.length === 0 ? h("p", { class: "quiet" }, t("requests.noAttempts")) : timeline(trace),
    trace.attempt_count > trace.attempts.length && h("p", { class: "hint" }, t("requests.attemptsMore", { count: trace.attempt_count - trace.attempts.length })),
  ];
}

/**
 * The attempts as bars over the time of the request. It is a table, so that it can be read as one.
 *
 * @param {ExchangeTrace} trace
 */
function timeline(trace) {
  const whole = Math.max(trace.duration_ms, ...trace.attempts.map((attempt) => attempt.began_ms + attempt.duration_ms), 0.001);
  const bar = (/** @type {number} */ from, /** @type {number} */ to, /** @type {string} */ state) => {
    const piece = h("span", { data: { state } });
    piece.style.left = `${from / whole * 100}%`;
    piece.style.width = `${Math.max(0, to - from) / whole * 100}%`;
    return h("div", { class: "attempt-bar", "aria-hidden": "true" }, piece);
  };
  const last = trace.attempts[trace.attempts.length - 1];
  // From the head of the answer on, it is on its way to the client.
  const answerFrom = trace.attempts.length === trace.attempt_count && last.verdict === "success" ? Math.min(whole, last.began_ms + last.duration_ms) : null;
  /** @type {{attempt: Attempt | null, index: number, from: number, to: number}[]} */
  const rows = trace.attempts.map((attempt, index) => ({ attempt, index, from: attempt.began_ms, to: attempt.began_ms + attempt.duration_ms }));
  if (answerFrom !== null && trace.duration_ms > answerFrom) rows.push({ attempt: null, index: rows.length, from: answerFrom, to: trace.duration_ms });
  const key = (/** @type {Attempt} */ attempt) => trace.service_id === null
    ? `#${attempt.key_id}` : h("a", { href: address(["services", trace.service_id, "keys"], { key: attempt.key_id }), "aria-label": t("requests.keyOf", { id: String(attempt.key_id) }) }, `#${attempt.key_id}`);
  return h("div", { class: "timeline" }, plainTable({
    caption: t("requests.timeline"), rows,
    columns: [
      { label: t("requests.column.key"), cell: ({ attempt }) => attempt === null ? h("span", { class: "quiet" }, icon("down"), h("span", { class: "offscreen" }, t("requests.answer"))) : key(attempt) },
      { label: t("requests.verdict"), cell: ({ attempt }) => attempt === null ? h("span", { class: "quiet" }, trace.ending === "complete" ? t("requests.answer") : word("requests.ending", trace.ending)) : [
        attempt.status === null ? h("span", { class: "quiet" }, t("requests.noAnswer")) : String(attempt.status), " ", badge(attempt.verdict, "requests.verdict"),
        hasReason(attempt) && h("div", { class: "quiet" }, word("requests.reason", attempt.reason ?? "")),
      ] },
      { label: t("requests.when"), cell: ({ attempt, from, to }) => [
        bar(from, to, attempt?.verdict ?? (trace.ending === "complete" ? "answer" : "abandoned")),
        h("div", { class: "attempt-times" }, h("span", {}, t("requests.beganAfter", { time: duration(from) })), h("span", {}, t("requests.took", { time: duration(to - from) }))),
      ] },
    ],
  }), h("p", { class: "hint" }, t("requests.timelineHint", { time: duration(whole) })));
}

/**
 * Whether the reason says more than the verdict.
 *
 * @param {Attempt} attempt
 */
const hasReason = (attempt) => attempt.reason !== null && attempt.reason !== attempt.verdict && !(attempt.verdict === "exhausted" && attempt.reason === "quota_exhausted");
