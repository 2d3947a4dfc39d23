// SPDX-License-Identifier: MIT

import { h } from "../core/dom.js";
import { address } from "../core/router.js";
import { t } from "../core/text.js";
import { tabLinks } from "../components/controls.js";
import { alertsTab } from "./settings-alerts.js";
import { auditTab } from "./settings-audit.js";
import { generalTab } from "./settings-general.js";
import { jobsTab } from "./settings-jobs.js";
import { transferTab } from "./settings-transfer.js";

/**
 * What a tab is given: the view's own context, with the tab's place as its root.
 *
 * @typedef {import("../core/router.js").ViewContext} TabContext
 */

/** @type {{name: "general" | "audit" | "transfer" | "alerts" | "jobs", show: (context: TabContext) => void | Promise<void>}[]} */
const TABS = [
  { name: "general", show: generalTab }, { name: "audit", show: auditTab }, { name: "transfer", show: transferTab }, { name: "alerts", show: alertsTab },
  { name: "jobs", show: jobsTab },
];

/** @type {import("../core/router.js").View} */
export async function settingsView(context) {
  const tab = TABS.find(({ name }) => name === context.path[0]) ?? TABS[0];
  const root = h("div", { class: "stack" });
  context.setTitle(`${t(`settings.tab.${tab.name}`)} · ${t("nav.settings")}`);
  context.root.append(
    h("h1", {}, t("nav.settings")),
    tabLinks(TABS.map(({ name }) => ({ label: t(`settings.tab.${name}`), href: address(["settings", name]), isCurrent: name === tab.name })), t("nav.settings")), root);
  await tab.show({ ...context, root });
}
