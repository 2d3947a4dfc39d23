// SPDX-License-Identifier: MIT

import { ApiError, api, withQuery } from "../core/api.js";
import { h, icon, replace } from "../core/dom.js";
import { number, octets } from "../core/format.js";
import { locale, t, word } from "../core/text.js";
import { button, failed, segmented } from "../components/controls.js";
import { confirm } from "../components/dialogs.js";
import { areaField, section, textField } from "../components/forms.js";
import { notify } from "../components/toasts.js";
import { plainTable } from "../components/virtual-table.js";
import { passphraseFault, passphraseHeader } from "./settings-passphrase.js";

/** @typedef {import("../core/types.js").ImportReport} ImportReport */
/** @typedef {import("../core/types.js").ImportTally} ImportTally */

/** The server tells no more changes one by one. */
const CHANGES_MAX = 1_000;
const CHANGES_SHOWN = 100;
const KINDS = /** @type {const} */ (["services", "keys", "clients"]);

/**
 * What a document holds, as far as it can be told without the passphrase.
 *
 * @typedef {{text: string, name: string, services: number, keys: number, clients: number, isSealed: boolean}} Chosen
 */

/**
 * A document into this server: first what it would change, then the change itself.
 *
 * @param {import("./settings.js").TabContext} context
 */
export function importSection({ signal }) {
  return new ImportForm(signal).element;
}

class ImportForm {
  #chosen = /** @type {Chosen | null} */ (null);
  #mode = /** @type {"merge" | "replace"} */ ("merge");
  #signal;
  #file;
  #drop;
  #about = h("div", { role: "status" });
  #pasted;
  #passphrase;
  #modes = h("div", {});
  #message = h("div", { class: "form-error", role: "alert" });
  #report = h("div", { class: "stack", tabindex: -1 });
  #try;

  element;

  /** @param {AbortSignal} signal */
  constructor(signal) {
    this.#signal = signal;
    this.#file = h("input", {
      type: "file", accept: ".json,application/json", class: "offscreen", "aria-label": t("transfer.file"),
      on: { change: () => { const file = this.#file.files?.[0]; if (file) this.#read(file).catch(failed); } },
    });
    this.#drop = h(
      "label", { class: "import-drop" }, this.#file, icon("upload"), h("strong", {}, t("transfer.choose")), h("span", { class: "hint" }, t("transfer.drop")));
    this.#drop.addEventListener("dragover", (event) => {
      event.preventDefault();
      this.#drop.classList.add("over");
    });
    this.#drop.addEventListener("dragleave", () => this.#drop.classList.remove("over"));
    this.#drop.addEventListener("drop", (event) => {
      event.preventDefault();
      this.#drop.classList.remove("over");
      const file = event.dataTransfer?.files[0];
      if (file !== undefined) this.#read(file).catch(failed);
    });
    this.#pasted = areaField({ label: t("transfer.pasted"), rows: 5, isCode: true, onInput: (text) => this.#take(text, "") });
    this.#passphrase = textField({
      label: t("transfer.passphrase"), type: "password", autocomplete: "off", hint: t("transfer.openHint"), onInput: () => this.#changed(),
      check: (value) => this.#chosen?.isSealed === false ? null : passphraseFault(value),
    });
    this.#try = button(t("transfer.dryRun"), () => this.#run(true), { kind: "primary", icon: "search" });
    const form = h(
      "form", { class: "form", novalidate: true }, this.#drop, this.#about, section(t("transfer.paste"), this.#pasted.element), this.#passphrase.element, this.#modes,
      this.#message, h("div", { class: "row" }, this.#try));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#try.click();
    });
    this.element = h(
      "section", { class: "card", "aria-label": t("transfer.importTitle") }, h("h2", {}, t("transfer.importTitle")), h("p", { class: "hint" }, t("transfer.importIntro")),
      form, this.#report);
    this.#drawModes();
  }

  #drawModes() {
    const says = h("p", { class: "hint", role: "status" }, t(`transfer.modeHint.${this.#mode}`));
    replace(
      this.#modes, h("div", { class: "field" }, h("span", { class: "label", "aria-hidden": "true" }, t("transfer.mode")),
      segmented(t("transfer.mode"), [{ value: "merge", label: t("transfer.mode.merge") }, { value: "replace", label: t("transfer.mode.replace") }], this.#mode, (mode) => {
        this.#mode = mode;
        replace(says, t(`transfer.modeHint.${mode}`));
        this.#changed();
      }), says));
  }

  /** @param {File} file */
  async #read(file) {
    this.#pasted.set("");
    this.#take(await file.text(), file.name);
  }

  /**
   * @param {string} text
   * @param {string} name Of the file; empty where it was pasted.
   */
  #take(text, name) {
    this.#chosen = null;
    this.#passphrase.element.hidden = false;
    this.#changed();
    if (text.trim() === "") return replace(this.#about);
    try {
      this.#chosen = contentsOf(text, name);
    } catch {
      return replace(this.#about, h("p", { class: "field-error" }, name === "" ? t("transfer.notADocument") : t("transfer.notADocumentNamed", { name })));
    }
    const { services, keys, clients, isSealed } = this.#chosen;
    this.#passphrase.element.hidden = !isSealed;
    return replace(
      this.#about, h(
        "p", { class: "notice" }, name !== "" && [h("strong", {}, name), ` (${octets(text.length)}): `],
        t("transfer.contents", { what: countsText({ services, keys, clients }) }), " ", t(isSealed ? "transfer.sealed" : "transfer.unsealed")));
  }

  /** What was told of an import is no longer what it would do. */
  #changed() {
    replace(this.#report);
    replace(this.#message);
  }

  /** @param {boolean} isDryRun */
  async #run(isDryRun) {
    replace(this.#message);
    if (this.#chosen === null) {
      replace(this.#message, t("transfer.chooseFirst"));
      this.#file.focus();
      return;
    }
    if (!this.#passphrase.validate()) return this.#passphrase.focus();
    try {
      const response = await api.post(withQuery("/admin/import", { mode: this.#mode, dry_run: isDryRun }), undefined, {
        body: this.#chosen.text, headers: { "Content-Type": "application/json", ...passphraseHeader(this.#chosen.isSealed ? this.#passphrase.value() : "") },
      });
      if (!this.#signal.aborted) this.#show(/** @type {ImportReport} */ (response));
    } catch (error) {
      if (error instanceof ApiError && (error.code === "wrong_passphrase" || error.code === "invalid_passphrase")) {
        this.#passphrase.refuse(error.code === "wrong_passphrase" ? t("transfer.wrongPassphrase") : error.message);
        this.#passphrase.focus();
        return;
      }
      replace(this.#message, error instanceof Error ? error.message : String(error));
    }
    return undefined;
  }

  /** @param {ImportReport} report */
  #show(report) {
    const isDone = !report.dry_run;
    const changed = KINDS.reduce((sum, kind) => sum + report[kind].created + report[kind].updated + report[kind].deleted, 0);
    replace(
      this.#report, h("h3", {}, t(changed === 0 ? "transfer.nothingChanges" : isDone ? "transfer.doneTitle" : "transfer.wouldTitle")),
      changed > 0 && [tallies(report), changeList(report)],
      !isDone && changed > 0 && h(
        "div", { class: "row" },
        button(t("transfer.import"), () => this.#import(report), { kind: this.#mode === "replace" && deletions(report) > 0 ? "danger" : "primary", icon: "upload" })));
    if (isDone) this.#forget();
    this.#report.focus();
  }

  /** @param {ImportReport} report */
  async #import(report) {
    const of = (/** @type {"created" | "updated" | "deleted"} */ did) => countsText({ services: report.services[did], keys: report.keys[did], clients: report.clients[did] });
    const isSure = await confirm({
      title: t("transfer.confirmTitle"), action: t("transfer.import"), isHarmless: deletions(report) === 0,
      message: [
        h("p", {}, t("transfer.confirm", { created: of("created"), updated: of("updated") })),
        deletions(report) > 0 && h("p", { class: "bad" }, t("transfer.confirmDeletes", { what: of("deleted") })),
        h("p", {}, t("transfer.confirmAdvice")),
      ],
    });
    if (!isSure) return;
    await this.#run(false);
    if (this.#chosen === null) notify(t("transfer.imported"));
  }

  /** Nothing of the document or its passphrase stays. */
  #forget() {
    this.#chosen = null;
    this.#pasted.set("");
    this.#passphrase.set("");
    this.#file.value = "";
    replace(this.#about);
  }
}

/**
 * How many services, keys and clients, in words; those that are none are left out.
 *
 * @param {Record<typeof KINDS[number], number>} counts
 */
export function countsText(counts) {
  const parts = KINDS.filter((kind) => counts[kind] > 0).map((kind) => t(`transfer.count.${kind}`, { count: counts[kind] }));
  return parts.length === 0 ? t("transfer.count.nothing") : new Intl.ListFormat(locale(), { type: "conjunction" }).format(parts);
}

/** @param {ImportReport} report */
const deletions = (report) => KINDS.reduce((sum, kind) => sum + report[kind].deleted, 0);

/**
 * What stands in a document.
 *
 * @param {string} text
 * @param {string} name
 * @returns {Chosen}
 */
function contentsOf(text, name) {
  const document = JSON.parse(text);
  if (document?.format !== "api-key-rotator/catalogue") throw new Error("another format");
  const services = Array.isArray(document.services) ? document.services : [];
  const keys = services.reduce((/** @type {number} */ sum, /** @type {any} */ service) => sum + (Array.isArray(service?.keys) ? service.keys.length : 0), 0);
  return {
    text, name, services: services.length, keys, clients: Array.isArray(document.clients) ? document.clients.length : 0,
    isSealed: document.kdf !== undefined && document.kdf !== null,
  };
}

/** @param {ImportReport} report */
function tallies(report) {
  const count = (/** @type {number | undefined} */ value) => value ? number(value) : h("span", { class: "quiet" }, "0");
  return plainTable({
    caption: t("transfer.tallies"), rows: [...KINDS],
    columns: [
      { label: t("transfer.kindLabel"), cell: (kind) => t(`transfer.kind.${kind}`) },
      .../** @type {const} */ (["created", "updated", "deleted", "unchanged"]).map((did) => ({ label: t(`transfer.did.${did}`), isNumber: true, cell: (/** @type {typeof KINDS[number]} */ kind) => count(report[kind][did]) })),
      ...report.keys.duplicate ? [{ label: t("transfer.did.duplicate"), isNumber: true, cell: (/** @type {typeof KINDS[number]} */ kind) => count(report[kind].duplicate) }] : [],
    ],
  });
}

/** @param {ImportReport} report */
function changeList(report) {
  const line = (/** @type {ImportReport["changes"][number]} */ change) => h(
    "li", {}, h("span", { class: "import-change", data: { action: change.action } }, t(`transfer.change.${change.action}`)), " ", subjectOf(change),
    change.members.length > 0 && h("span", { class: "quiet" }, t("transfer.members", { members: change.members.join(", ") })));
  const list = h("ul", { class: "import-changes" }, report.changes.slice(0, CHANGES_SHOWN).map(line));
  const rest = report.changes.length - CHANGES_SHOWN;
  const more = rest > 0 && button(t("transfer.moreChanges", { count: rest }), (event) => {
    list.append(...report.changes.slice(CHANGES_SHOWN).map(line));
    /** @type {HTMLElement} */ (event.currentTarget).remove();
  });
  return h(
    "div", { class: "stack" }, h("h4", {}, t("transfer.changes")), list, more,
    report.changes.length >= CHANGES_MAX && h("p", { class: "hint" }, t("transfer.changesCut", { max: CHANGES_MAX })));
}

/** @param {ImportReport["changes"][number]} change */
function subjectOf(change) {
  const several = /^keys of (.+)$/.exec(change.subject), one = /^key (\d+) of (.+)$/.exec(change.subject);
  if (change.kind === "key" && several !== null) return t("transfer.keysOf", { count: change.count, service: several[1] });
  if (change.kind === "key" && one !== null) return t("transfer.keyOf", { id: one[1], service: one[2] });
  return `${word("transfer.one", change.kind)} ${change.subject}`;
}
