// SPDX-License-Identifier: Apache-2.0
// Where the page starts.

import { clustersView } from "./clusters.js";
import { clusterView } from "./cluster.js";
import { loadOperations } from "./api.js";
import { h } from "./dom.js";
import * as router from "./router.js";
import { begin } from "./signin.js";

function unknownView(root) {
  document.title = "Not found · Loom";
  root.append(h("section", { class: "empty" },
    h("h1", { tabindex: "-1", text: "There is nothing at this address" }),
    h("p", { class: "muted", text: "The link may be mistyped or old." }),
    h("a", { class: "button", href: "#/", text: "All clusters" })));
  return { destroy() {} };
}

const main = document.getElementById("main");

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
begin(main).then((may) => {
  if (!may)
    return;
  // The words of the list of clusters can wait for it; the page of one cluster reads it again.
  loadOperations().catch(() => {});
  router.start(main, { clusters: clustersView, cluster: clusterView, unknown: unknownView });
});
