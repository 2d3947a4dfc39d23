// SPDX-License-Identifier: MIT

import { api } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { duration, number, timeElement } from "../core/format.js";
import { repeat } from "../core/repeat.js";
import { address } from "../core/router.js";
import { t, word } from "../core/text.js";
import { badge, busy, button, failure } from "../components/controls.js";
import { progressBar } from "../components/charts.js";
import { notify } from "../components/toasts.js";
import { plainTable } from "../components/virtual-table.js";

/** @typedef {import("../core/types.js").Job} Job */

const REFRESH_MS = 2_000;

/**
 * The jobs that run and those that have ended lately, the latest first.
 *
 * @param {import("./settings.js").TabContext} context
 */
export async function jobsTab({ root, signal, onLeave }) {
  const body = h("div", { class: "card jobs" }, busy());
  root.append(h("p", { class: "hint" }, t("jobs.intro")), body);
  /** @type {Map<number, string>} */
  let services = new Map();
  let shown = "";

  const load = async () => {
    /** @type {Job[]} */
    const jobs = await api.all("/admin/jobs");
    const text = JSON.stringify(jobs);
    if (signal.aborted || text === shown) return;
    shown = text;
    // Keeps the focus on what can be pressed while a job goes on.
    const focused = /** @type {HTMLElement | null} */ (body.contains(document.activeElement) ? document.activeElement?.closest("[data-job]") : null)?.dataset.job;
    replace(body, jobs.length === 0 ? h("p", { class: "quiet" }, t("jobs.none")) : table(jobs.reverse()));
    if (focused !== undefined) /** @type {HTMLElement | null} */ (body.querySelector(`[data-job="${focused}"] .button`))?.focus();
  };

  const table = (/** @type {Job[]} */ jobs) => plainTable({
    caption: t("settings.tab.jobs"), rows: jobs,
    columns: [
      {
        label: t("jobs.job"),
        cell: (job) => h(
          "span", { class: "audit-when" }, h("span", {}, t("jobs.validate", { id: String(job.job_id) })),
          job.retest_of !== null && h("span", { class: "quiet" }, t("jobs.retestOf", { id: String(job.retest_of) })),
          !job.apply && h("span", { class: "quiet" }, t("jobs.notApplied"))),
      },
      {
        label: t("jobs.service"),
        cell: (job) => services.has(job.service_id) ? h(
          "a", { href: address(["services", job.service_id, "keys"]) }, services.get(job.service_id)) : t("jobs.serviceGone", { id: String(job.service_id) }),
      },
      {
        label: t("jobs.state"),
        cell: (job) => h("span", { class: "row tight" }, badge(job.state, "jobs.state"), job.reason !== null && h("span", { class: "quiet" }, word("jobs.reason", job.reason))),
      },
      { label: t("jobs.progress"), cell: progress },
      {
        label: t("jobs.began"),
        cell: (job) => h(
          "span", { class: "audit-when" }, timeElement(job.created_at),
          job.finished_at !== null && h("span", { class: "quiet" }, t("jobs.took", { span: duration(Date.parse(job.finished_at) - Date.parse(job.created_at)) }))),
      },
      { label: t("jobs.actions"), hidesLabel: true, cell: (job) => job.state === "running" && h("span", { data: { job: String(job.job_id) } }, button(t("jobs.cancel"), async () => {
        await api.post(`/admin/jobs/${job.job_id}/cancel`);
        notify(t("jobs.cancelled", { id: String(job.job_id) }));
        await load();
      }, { label: t("jobs.cancelOf", { id: String(job.job_id) }) })) },
    ],
  });

  const begin = async () => {
    replace(body, busy());
    try {
      /** @type {{id: number, name: string}[]} */
      const all = await api.all("/admin/proxy-configs");
      services = new Map(all.map((service) => [service.id, service.name]));
      await load();
    } catch (error) {
      if (!signal.aborted) replace(body, failure(error, () => void begin()));
    }
  };
  await begin();
  repeat(REFRESH_MS, load, onLeave);
}

/** @param {Job} job */
function progress(job) {
  const counts = Object.entries(job.counts).filter(([, count]) => count > 0).map(([verdict, count]) => t("jobs.count", { count, verdict: word("jobs.verdict", verdict) })).join(t("jobs.comma"));
  const says = t("jobs.done", { done: number(job.done), total: number(job.total) });
  if (job.state !== "running") return h("span", { class: "audit-when" }, h("span", {}, says), h("span", { class: "quiet" }, counts));
  const bar = progressBar(t("jobs.progressOf", { id: String(job.job_id) }));
  bar.show(job.done, job.total, says);
  return h("span", { class: "stack tight" }, bar.element, h("span", { class: "quiet" }, counts));
}
