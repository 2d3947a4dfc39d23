// SPDX-License-Identifier: MIT

import { h, replace } from "../core/dom.js";
import { api, send } from "../core/api.js";
import { t } from "../core/text.js";
import { button, failed } from "../components/controls.js";
import { progressBar } from "../components/charts.js";
import { formDialog, openDialog } from "../components/dialogs.js";
import { areaField, numberField, textField, tokensField } from "../components/forms.js";
import { notify } from "../components/toasts.js";

/**
 * @typedef {import("../core/types.js").Service} Service
 * @typedef {import("../core/types.js").BatchResult} BatchResult
 */

/** So many keys go in one call: each call takes a moment, and a cancel waits for no more than that. */
const CHUNK = 5_000;
/** More lines than these are not shown, whatever is wrong with them. */
const FAULTS_SHOWN = 20;
/** A text of so many characters is long. */
const LONG = 65_536;

/**
 * The keys of a text, a line each, without blank lines and comments, and what stands there twice.
 *
 * @param {string} text
 */
export function keysOf(text) {
  const seen = new Set();
  /** @type {{line: number, value: string}[]} */
  const keys = [];
  let duplicates = 0;
  text.split(/\r\n|\r|\n/).forEach((raw, index) => {
    const value = raw.trim();
    if (value === "" || value.startsWith("#")) return;
    if (seen.has(value)) {
      duplicates += 1;
      return;
    }
    seen.add(value);
    keys.push({ line: index + 1, value });
  });
  return { keys, duplicates };
}

/**
 * Imports keys that are pasted, dropped or chosen: shows what they are first, then how far it is. What was pasted is gone with the dialog.
 *
 * @param {Service} service
 * @returns {Promise<boolean>} Whether any key was added.
 */
export async function importKeys(service) {
  const path = `/admin/proxy-configs/${service.id}/keys/batch`;
  let added = 0, isRunning = false, isCancelled = false;
  /** @param {{value: string}[]} keys @param {boolean} isDryRun @returns {Promise<BatchResult>} */
  const call = async (keys, isDryRun) => (await send("POST", isDryRun ? `${path}?dry_run=true` : path, {
    body: keys.map((key) => key.value).join("\n"), headers: { "Content-Type": "text/plain; charset=utf-8" },
  })).json();

  await openDialog({
    title: t("keys.importTitle", { service: service.name }),
    mayClose: () => !isRunning,
    content: (/** @type {(done: true | null) => void} */ close) => {
      const text = areaField({ label: t("keys.paste"), rows: 8, isCode: true, hint: t("keys.pasteHint"), placeholder: "sk-…\nsk-…", onInput: again });
      /** @type {HTMLInputElement} */
      const file = h("input", { type: "file", accept: ".txt,.csv,text/plain", "aria-label": t("keys.file"), on: { change: () => void take(file.files?.[0]) } });
      const result = h("div", { class: "stack", role: "status" });
      const area = h("div", {
        class: "stack key-drop",
        on: {
          dragover: (/** @type {DragEvent} */ event) => event.preventDefault(),
          drop: (/** @type {DragEvent} */ event) => {
            event.preventDefault();
            void take(event.dataTransfer?.files[0]);
          },
        },
      }, text.element, h("label", { class: "row" }, h("span", {}, t("keys.file")), file), result);
      const cancel = button(t("action.cancel"), () => { if (isRunning) isCancelled = true; else close(null); });
      const next = button(t("keys.preview"), preview, { kind: "primary" });
      const actions = h("div", { class: "row end" }, cancel, next);
      /** What was looked at is not what stands there now. */
      function again() {
        replace(result);
        replace(actions, cancel, next);
      }
      // What is long is not put into a text area: a hundred thousand lines in one would stop the page for seconds.
      let long = "";
      text.element.addEventListener("paste", (event) => {
        const pasted = event.clipboardData?.getData("text") ?? "";
        if (pasted.length < LONG) return;
        event.preventDefault();
        void takeLong(pasted);
      });

      /** @param {File | undefined} chosen */
      async function take(chosen) {
        if (chosen !== undefined) await takeLong(await chosen.text());
      }

      /** @param {string} given */
      async function takeLong(given) {
        long = given;
        text.set("");
        text.element.hidden = true;
        await preview().catch(failed);
      }

      async function preview() {
        const { keys, duplicates } = keysOf(long === "" ? text.value() : long);
        if (keys.length === 0) {
          long = "";
          text.element.hidden = false;
          text.refuse(t("keys.nothing"));
          text.focus();
          return;
        }
        replace(result, h("p", {}, t("keys.looking", { count: keys.length })));
        const seen = { fresh: 0, known: duplicates, faults: /** @type {{line: number, reason: string}[]} */ ([]), faultCount: 0 };
        for (let start = 0; start < keys.length; start += CHUNK) {
          const part = keys.slice(start, start + CHUNK);
          const told = await call(part, true);
          seen.fresh += told.success_count;
          seen.known += told.skipped_count;
          seen.faultCount += told.failed_count;
          for (const fault of told.failed_keys.slice(0, FAULTS_SHOWN - seen.faults.length)) seen.faults.push({ line: part[fault.index].line, reason: fault.reason });
        }
        replace(
          result,
          h("dl", { class: "facts" }, h("dt", {}, t("keys.new")), h("dd", {}, t("keys.count", { count: seen.fresh })), h("dt", {}, t("keys.duplicate")), h("dd", {}, t("keys.count", { count: seen.known })), h("dt", {}, t("keys.malformed")), h("dd", {}, t("keys.count", { count: seen.faultCount }))),
          seen.faults.length > 0 && h("ul", { class: "quiet" }, seen.faults.map((fault) => h("li", {}, t("keys.fault", { line: fault.line, reason: fault.reason })))));
        if (seen.fresh === 0) return;
        replace(actions, cancel, button(t("keys.importCount", { count: seen.fresh }), () => run(keys, 0), { kind: "primary" }));
      }

      /**
       * @param {{line: number, value: string}[]} keys
       * @param {number} from
       */
      async function run(keys, from) {
        const progress = progressBar(t("keys.progress"));
        replace(result, progress.element);
        replace(actions, cancel);
        isRunning = true;
        isCancelled = false;
        let at = from;
        try {
          for (; at < keys.length && !isCancelled; at += CHUNK) {
            progress.show(at, keys.length, t("keys.progressWords", { done: at, total: keys.length }));
            added += (await call(keys.slice(at, at + CHUNK), false)).success_count;
          }
        } catch (error) {
          isRunning = false;
          replace(
            result, h("p", { class: "form-error", role: "alert" }, t("keys.stopped", { done: at, total: keys.length, reason: error instanceof Error ? error.message : String(error) })));
          replace(actions, cancel, button(t("keys.continue"), () => run(keys, at), { kind: "primary" }));
          return;
        }
        isRunning = false;
        long = "";
        text.set("");
        notify(t(isCancelled ? "keys.importCancelled" : "keys.imported", { count: added }));
        close(true);
      }

      return { body: area, actions: [actions] };
    },
  });
  return added > 0;
}

/** The members of a key's limits, with their texts. */
export const LIMITS = /** @type {const} */ ([
  ["requests_per_minute", "keys.limit.requestsMinute"], ["requests_per_day", "keys.limit.requestsDay"], ["tokens_per_minute", "keys.limit.tokensMinute"],
  ["tokens_per_day", "keys.limit.tokensDay"], ["concurrent_requests", "keys.limit.concurrent"],
]);

/**
 * The fields of what can be changed of a key.
 *
 * @param {import("../core/types.js").Key | null} key
 */
export function keyFields(key) {
  const name = textField({ label: t("keys.name"), name: "name", value: key?.name ?? "" });
  const weight = numberField({ label: t("keys.weight"), name: "weight", value: key?.weight ?? 1, min: 1, max: 1_000_000, required: true, hint: t("keys.weightHint") });
  const tags = tokensField({ label: t("keys.tags"), name: "tags", value: key?.tags ?? [], hint: t("keys.tagsHint") });
  const group = textField({ label: t("keys.group"), name: "quota_group", value: key?.quota_group ?? "", hint: t("keys.groupHint") });
  const limits = LIMITS.map(([member, label]) => numberField({ label: t(label), name: member, value: key?.limits[member] ?? null, min: 1, hint: t("keys.limitHint") }));
  return {
    fields: [name, weight, tags, group, ...limits],
    value: () => ({
      name: name.value(), weight: weight.value(), tags: tags.value() ?? [], quota_group: group.value() === "" ? null : group.value(),
      limits: Object.fromEntries(LIMITS.map(([member], index) => [member, limits[index].value()])),
    }),
  };
}

/**
 * Adds one key, with all that it may have.
 *
 * @param {Service} service
 * @returns {Promise<boolean>} Whether it was added.
 */
export async function addKey(service) {
  const value = textField({ label: t("keys.value"), name: "key_value", type: "password", required: true, autocomplete: "off", hint: t("keys.valueHint") });
  const more = keyFields(null);
  const made = await formDialog({
    title: t("keys.addTitle", { service: service.name }), fields: [value, ...more.fields], action: t("keys.add"),
    submit: async () => {
      await api.post(`/admin/proxy-configs/${service.id}/keys`, { key_value: value.value().trim(), ...more.value() });
      value.set("");
      return true;
    },
  });
  if (made === true) notify(t("keys.added"));
  return made === true;
}
