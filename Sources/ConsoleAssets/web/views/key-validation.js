// SPDX-License-Identifier: MIT

import { h, replace } from "../core/dom.js";
import { api, ApiError } from "../core/api.js";
import { number } from "../core/format.js";
import { t, word } from "../core/text.js";
import { button, failed } from "../components/controls.js";
import { progressBar } from "../components/charts.js";
import { confirm, formDialog } from "../components/dialogs.js";
import { areaField, checkField, numberField, section, selectField, textField } from "../components/forms.js";
import { notify } from "../components/toasts.js";

/**
 * @typedef {import("../core/types.js").Job} Job
 * @typedef {{state?: string, ids?: number[]}} Target
 */

/**
 * Where a validation of the pool is started and followed: one that runs already is found again.
 *
 * @param {{service: import("../core/types.js").Service, states: string[], changed: () => void, signal: AbortSignal, onLeave: (end: () => void) => void}} context
 */
export function validationPanel({ service, states, changed, signal, onLeave }) {
  const element = h("section", { class: "card", hidden: true, "aria-label": t("keys.validation") });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  onLeave(() => clearTimeout(timer));

  /** @param {number} id */
  async function follow(id) {
    clearTimeout(timer);
    /** @type {Job} */
    const job = await api.get(`/admin/jobs/${id}?results_limit=1`, signal);
    draw(job);
    if (job.state !== "running") return changed();
    timer = setTimeout(() => void goOn(id), 1000);
    return undefined;
  }

  /** @param {number} id */
  async function goOn(id) {
    try {
      await follow(id);
    } catch (error) {
      if (signal.aborted) return;
      // The job goes on without us: it is asked for again when the server can be reached.
      if (!(error instanceof ApiError) || error.status !== 0 && error.status !== 503) return failed(error);
      timer = setTimeout(() => void goOn(id), 3000);
    }
  }

  const progress = progressBar(t("keys.validation"));
  const counts = h("dl", { class: "facts" });
  /** What the rest of the panel was drawn for: while it stays the same only numbers change, so that a button can be pressed at leisure. */
  let drawn = "";

  /** @param {Job} job */
  function draw(job) {
    element.hidden = false;
    progress.show(job.done, job.total, t("keys.tried", { done: job.done, total: job.total }));
    const told = Object.entries(job.counts).filter(([, count]) => count > 0);
    counts.hidden = told.length === 0;
    replace(counts, told.map(([verdict, count]) => [h("dt", {}, word("jobs.verdict", verdict)), h("dd", {}, number(count))]));
    const state = JSON.stringify([job.job_id, job.state, job.reason, job.provider_at_fault]);
    if (state === drawn) return;
    drawn = state;
    const call = (/** @type {"cancel" | "retest"} */ what) => async () => {
      /** @type {{job_id: number}} */
      const answer = await api.post(`/admin/jobs/${job.job_id}/${what}`);
      await follow(answer.job_id);
    };
    const rejected = job.counts.rejected ?? 0;
    const unsound = Object.entries(job.counts).some(([verdict, count]) => verdict !== "ok" && verdict !== "valid" && verdict !== "skipped" && count > 0);
    replace(
      element, h("div", { class: "spread" }, h("h3", {}, t(`keys.job.${job.state}`)), h(
        "div", { class: "row" },
        job.state === "running" && button(t("keys.stop"), call("cancel")),
        job.state === "done" && rejected > 0 && button(t("keys.deleteRejected", { count: rejected }), () => deleteRejected(job), { kind: "danger" }),
        job.state !== "running" && unsound && button(t("keys.retest"), call("retest")),
        job.state !== "running" && button("", () => { element.hidden = true; }, { kind: "plain", icon: "close", label: t("action.close") }))),
      job.reason !== null && job.reason !== "cancelled" && h("p", { class: "notice warning" }, t("keys.failedBecause", { reason: word("jobs.reason", job.reason) }), job.reason === "probe_proves_nothing" && [" ", t("keys.proveHint")]),
      job.provider_at_fault && h("p", { class: "notice warning" }, t("keys.providerAtFault")),
      progress.element, counts);
  }

  /** @param {Job} job */
  async function deleteRejected(job) {
    const count = job.counts.rejected ?? 0;
    if (!await confirm({ title: t("keys.deleteRejected", { count }), message: t("keys.deleteRejectedHint"), action: t("keys.delete") })) return;
    /** @type {{deleted_count: number}} */
    const result = await api.post(`/admin/jobs/${job.job_id}/delete-rejected`);
    notify(t("keys.deleted", { count: result.deleted_count }));
    element.hidden = true;
    changed();
  }

  /** @param {Target} target */
  async function start(target) {
    const state = selectField({
      label: t("keys.which"), value: target.state ?? "",
      options: [{ value: "", label: t("keys.anyState") }, ...states.map((one) => ({ value: one, label: word("state", one) }))],
    });
    const concurrency = numberField({ label: t("keys.concurrency"), name: "concurrency", value: 16, min: 1, max: 256, required: true });
    const rate = numberField({ label: t("keys.rate"), name: "rate_per_second", value: 50, min: 1, max: 10_000, required: true });
    const apply = checkField({ label: t("keys.apply"), name: "apply", value: true });
    const probePath = textField({ label: t("keys.probePath"), name: "path", placeholder: "/v1/chat/completions", hint: t("keys.probeHint"), isCode: true });
    const probeBody = areaField({ label: t("keys.probeBody"), name: "body", rows: 3, isCode: true });
    const ids = target.ids;
    /** @type {{job_id: number} | null} */
    const begun = await formDialog({
      title: t("keys.validate"), intro: t("keys.validateHint"), action: t("keys.validateNow"),
      fields: [ids === undefined ? state.element : h("p", {}, t("keys.selected", { count: ids.length })), section(t("keys.advanced"), concurrency.element, rate.element, apply.element, probePath.element, probeBody.element)],
      validated: [concurrency, rate, probePath, probeBody],
      submit: () => api.post(`/admin/proxy-configs/${service.id}/keys/validate`, {
        ...ids !== undefined ? { ids } : state.value() !== "" ? { filter: { state: state.value() } } : {},
        concurrency: concurrency.value(), rate_per_second: rate.value(), apply: apply.value(),
        ...probePath.value() !== "" ? { probe: { path: probePath.value(), ...probeBody.value().trim() !== "" ? { method: "POST", body: probeBody.value() } : {} } } : {},
      }),
    });
    if (begun !== null) await follow(begun.job_id);
  }

  void (async () => {
    /** @type {Job[]} */
    const jobs = await api.all("/admin/jobs");
    const running = jobs.find((job) => job.service_id === service.id && job.state === "running");
    if (running !== undefined && !signal.aborted) await follow(running.job_id);
  })().catch(() => {});

  return { element, start: (/** @type {Target} */ target) => start(target) };
}
