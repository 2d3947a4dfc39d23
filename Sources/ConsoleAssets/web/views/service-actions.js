// SPDX-License-Identifier: MIT

import { api } from "../core/api.js";
import { t } from "../core/text.js";
import { confirm } from "../components/dialogs.js";
import { notify } from "../components/toasts.js";
import { pathOf } from "./service-address.js";

/** @typedef {import("../core/types.js").Service} Service */

/**
 * Switches a service on or off, and offers to undo it.
 *
 * @param {Service} service
 * @param {boolean} isOn
 * @param {(service: Service) => void} undone Shows the service as it is after the undoing.
 */
export async function setActive(service, isOn, undone) {
  const put = (/** @type {boolean} */ value) => /** @type {Promise<Service>} */ (api.put(`/admin/proxy-configs/${service.id}/status`, { is_active: value }));
  await put(isOn);
  notify(t(isOn ? "services.switchedOn" : "services.switchedOff", { name: service.name, path: pathOf(service) }), { undo: async () => undone(await put(!isOn)) });
}

/**
 * Asks whether a service is to be deleted, saying what goes with it, and deletes it.
 *
 * @param {Service} service
 * @returns {Promise<boolean>} Whether it is gone.
 */
export async function deleteService(service) {
  const { keys } = /** @type {import("../core/types.js").PoolSummary} */ (await api.get(`/admin/proxy-configs/${service.id}/summary`));
  const isSure = await confirm({
    title: t("services.deleteTitle", { name: service.name }),
    message: [keys === 0 ? t("services.deleteNoKeys") : t("services.deleteKeys", { count: keys }), " ", t("services.deleteClients", { path: pathOf(service) }), " ", t("services.deleteFinal")],
    action: keys > 0 ? t("services.deleteAction", { count: keys }) : t("services.delete"),
  });
  if (!isSure) return false;
  await api.delete(`/admin/proxy-configs/${service.id}`);
  notify(t("services.deleted", { name: service.name }));
  return true;
}
