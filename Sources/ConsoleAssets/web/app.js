// SPDX-License-Identifier: MIT

import { h, icon, replace } from "./core/dom.js";
import { feed } from "./core/feed.js";
import { setTheme, theme } from "./core/preferences.js";
import { address, place } from "./core/router.js";
import { session } from "./core/session.js";
import { currentLanguage, setLanguage, t } from "./core/text.js";
import { button, failure } from "./components/controls.js";
import { clearToasts, installToasts } from "./components/toasts.js";
import { clientsView } from "./views/clients.js";
import { loginForm } from "./views/login.js";
import { overviewView } from "./views/overview.js";
import { requestsView } from "./views/requests.js";
import { rulesView } from "./views/rules.js";
import { servicesView } from "./views/services.js";
import { settingsView } from "./views/settings.js";

/** @type {{name: string, view: import("./core/router.js").View, icon: Parameters<typeof icon>[0], label: import("./core/text.js").TextKey}[]} */
const VIEWS = [
  { name: "overview", view: overviewView, icon: "overview", label: "nav.overview" },
  { name: "services", view: servicesView, icon: "services", label: "nav.services" },
  { name: "clients", view: clientsView, icon: "clients", label: "nav.clients" },
  { name: "requests", view: requestsView, icon: "requests", label: "nav.requests" },
  { name: "rules", view: rulesView, icon: "rules", label: "nav.rules" },
  { name: "settings", view: settingsView, icon: "settings", label: "nav.settings" },
];

const app = /** @type {HTMLElement} */ (document.getElementById("app"));
const main = h("main", { id: "main", tabindex: -1 });
const navigation = h("nav", { class: "navigation" });
const connection = h("p", { class: "connection", role: "status" });
/** @type {(() => void)[]} */
let endings = [];
let shownView = "";

/** Shows the view that the address names. */
async function showView() {
  for (const end of endings.splice(0)) end();
  const { segments, query } = place();
  const chosen = VIEWS.find((view) => view.name === segments[0]) ?? VIEWS[0];
  drawNavigation(chosen.name);
  const root = h("div", { class: `view view-${chosen.name}` });
  replace(main, root);
  const abort = new AbortController();
  endings = [() => abort.abort()];
  const mine = endings;
  const setTitle = (/** @type {string} */ title) => { document.title = `${title} · API Key Rotator`; };
  setTitle(t(chosen.label));
  if (shownView !== "" && shownView !== chosen.name) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
  shownView = chosen.name;
  try {
    await chosen.view({ root, path: segments.slice(1), query, signal: abort.signal, onLeave: (end) => { if (abort.signal.aborted) end(); else mine.push(end); }, setTitle });
  } catch (error) {
    if (!abort.signal.aborted) replace(root, failure(error, () => void showView()));
  }
}

/** @param {string} current */
function drawNavigation(current) {
  navigation.setAttribute("aria-label", t("nav.label"));
  replace(
    navigation, h("p", { class: "brand" }, h("img", { src: "/console/icon.svg", alt: "", width: 28, height: 28 }), h("span", {}, "API Key Rotator")),
    h("ul", {}, VIEWS.map((view) => h("li", {}, h("a", { href: address([view.name]), "aria-current": view.name === current ? "page" : null }, icon(view.icon), h("span", {}, t(view.label)))))),
    h(
      "div", { class: "navigation-foot" }, connection,
      h("label", { class: "compact-select" }, h("span", { class: "offscreen" }, t("theme.label")), h(
        "select", { value: theme(), on: { change: (/** @type {any} */ event) => setTheme(event.target.value) } },
        h("option", { value: "auto" }, t("theme.auto")), h("option", { value: "light" }, t("theme.light")), h("option", { value: "dark" }, t("theme.dark")))),
      languageSelect(),
      button(t("session.leave"), () => session.leave(), { kind: "plain", icon: "leave" })));
  drawConnection();
}

/** The choice of the language, each named in itself. */
function languageSelect() {
  return h("label", { class: "compact-select" }, h("span", { class: "offscreen" }, t("language.label")), h(
    "select", {
      value: currentLanguage(),
      on: {
        change: (/** @type {any} */ event) => {
          setLanguage(event.target.value);
          installToasts();
          if (session.token === null) drawLogin();
          else void showView();
        },
      },
    }, h("option", { value: "en", lang: "en" }, "English"), h("option", { value: "zh", lang: "zh-CN" }, "中文")));
}

function drawConnection() {
  const isStoreDown = feed.isStoreUp === false;
  connection.dataset.state = !feed.isConnected ? "away" : isStoreDown ? "warning" : "live";
  connection.textContent = !feed.isConnected ? t("connection.away") : isStoreDown ? t("connection.storeDown") : t("connection.live");
}

/** The whole page before anybody has logged in. */
function drawLogin() {
  document.title = `${t("login.title")} · API Key Rotator`;
  replace(app, h("main", { class: "login-page" }, h("img", { src: "/console/icon.svg", alt: "", width: 48, height: 48 }), h("h1", {}, "API Key Rotator"), h("p", { class: "hint" }, t("login.intro")), loginForm(), languageSelect()));
  /** @type {HTMLElement | null} */ (app.querySelector("input"))?.focus();
}

function drawPage() {
  replace(app, h("a", { class: "skip", href: "#main", on: { click: (/** @type {Event} */ event) => { event.preventDefault(); main.focus(); } } }, t("nav.skip")), navigation, main);
  void showView();
}

/** Asks for a login in front of the page, which stays as it is. */
function askForLogin() {
  const dialog = h("dialog", { class: "dialog narrow", "aria-labelledby": "session-ended" });
  dialog.append(
    h("header", {}, h("h2", { id: "session-ended" }, t("session.ended"))), h("div", { class: "dialog-body" }, h("p", {}, t("session.endedHint")), loginForm()));
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  session.addEventListener("begin", () => {
    dialog.close();
    dialog.remove();
  }, { once: true });
  document.body.append(dialog);
  dialog.showModal();
}

setTheme(theme());
installToasts();
addEventListener("hashchange", () => { if (session.token !== null) void showView(); });
feed.addEventListener("change", drawConnection);
session.addEventListener("end", askForLogin);
session.addEventListener("leave", () => {
  for (const end of endings.splice(0)) end();
  clearToasts();
  drawLogin();
});
session.addEventListener("begin", () => { if (!app.contains(main)) drawPage(); });
drawLogin();
void feed.run();
