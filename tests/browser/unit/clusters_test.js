// SPDX-License-Identifier: Apache-2.0
// The list of clusters beside a busy fleet, with the network played by the test.

import { clustersView } from "../web/js/clusters.js";
import { setOperations } from "../web/js/operations.js";
import { equal, ok, test } from "./harness.js";

const CLUSTERS = 1000;
const OPERATIONS = [{ actions: ["cluster_create"], title: "Create", doing: "creating", from: [],
  fields: [] }];
const summary = (n, status, done) => ({ id: String(n).padStart(8, "0"), name: `c${n}`, status,
  createTime: n, numNodes: 3, clusterTemplate: { name: "web" }, services: ["nginx"],
  progress: { action: "cluster_create", actionstatus: "running", stepstotal: 27,
    stepscompleted: done } });

// What the page asks of the browser's network while fn runs.
async function withNetwork(list, fn) {
  const real = { fetch: window.fetch, EventSource: window.EventSource,
    SharedWorker: window.SharedWorker };
  const root = document.createElement("main");
  const frame = document.createElement("div");

  frame.innerHTML = '<span id="link-state"></span><span id="announcer"></span>';
  document.body.append(frame, root);
  class Source extends EventTarget {
    constructor() {
      super();
      Source.last = this;
      this.readyState = 1;
    }

    close() {
      this.readyState = 2;
    }

    tell(data) {
      this.dispatchEvent(new MessageEvent("summary", { data: JSON.stringify(data) }));
    }
  }
  Source.OPEN = 1;
  Source.CLOSED = 2;
  window.EventSource = Source;
  window.SharedWorker = undefined;
  setOperations(OPERATIONS);
  window.fetch = async (at) => new Response(
    JSON.stringify(String(at).endsWith("/operations") ? OPERATIONS : list),
    { headers: { "Content-Type": "application/json" } });
  const view = clustersView(root);

  try {
    await until(() => root.querySelectorAll("#clusters > li").length > 0);
    await fn(root, Source);
  } finally {
    view.destroy();
    root.remove();
    frame.remove();
    setOperations([]);
    Object.assign(window, real);
  }
}

function until(holds) {
  return new Promise((resolve, reject) => {
    const end = Date.now() + 20000;
    const look = () => {
      if (holds())
        resolve();
      else if (Date.now() > end)
        reject(new Error(`never: ${holds}`));
      else
        setTimeout(look, 10);
    };

    look();
  });
}

test("a busy fleet is drawn in gathers, not for each event", () => {
  const list = Array.from({ length: CLUSTERS }, (_, n) => summary(n + 1, "active", 27));

  return withNetwork(list, async (root, source) => {
    const rows = () => root.querySelectorAll("#clusters > li");
    const first = () => root.querySelector("#clusters .tasks-text").textContent;
    const changes = new MutationObserver(() => {});

    ok(rows().length < 200, `${rows().length} rows at once`);
    changes.observe(root, { subtree: true, childList: true, attributes: true,
      characterData: true });
    for (let n = 0; n < 1350; n++)
      source.last.tell(summary(CLUSTERS - (n % 150), "pending", Math.floor(n / 150)));
    equal(changes.takeRecords().length, 0);
    await until(() => first() === "creating · 8 of 27");
    equal(root.querySelector("#totals").textContent, "1000 clusters · 3000 nodes · 150 at work");
    changes.disconnect();
  });
});

test("a long list grows by its button, and rows that stay are the same elements", () => {
  const list = Array.from({ length: 500 }, (_, n) => summary(n + 1, "active", 27));

  return withNetwork(list, async (root) => {
    const rows = () => root.querySelectorAll("#clusters > li");
    const top = rows()[0];
    const before = rows().length;

    root.querySelector(".more").click();
    ok(rows().length > before, `${rows().length} after ${before}`);
    equal(rows()[0] === top, true);
  });
});
