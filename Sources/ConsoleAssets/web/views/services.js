// SPDX-License-Identifier: MIT

import { newServiceView } from "./service-new.js";
import { serviceListView } from "./service-list.js";
import { servicePageView } from "./service-page.js";

/** @type {import("../core/router.js").View} */
export function servicesView(context) {
  const [first] = context.path;
  if (first === undefined) return serviceListView(context);
  return first === "new" ? newServiceView(context) : servicePageView(context);
}
