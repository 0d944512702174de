// SPDX-License-Identifier: Apache-2.0
// The views at size, with the network played: a fleet at work, and a large cluster at work.
// window.scale.NAME(seconds) answers what was measured.

import { clusterView } from "../web/js/cluster.js";
import { clustersView } from "../web/js/clusters.js";

const CLUSTERS = 1000;
const NODES = 625;
const STEPS = 16;
const PER_SECOND = 50;
const START = 1700000000000;
const OPERATIONS = [{ name: "create", actions: ["cluster_create"], title: "Create", doing: "creating",
  from: [], fields: [], needs: [] }];

let answer = null;
let source = null;
let longest = 0;

new PerformanceObserver((list) => list.getEntries().forEach((task) => {
  longest = Math.max(longest, task.duration);
})).observe({ type: "longtask" });

/** @type {any} */ (window).SharedWorker = undefined;
window.EventSource = class extends EventTarget {
  constructor() {
    super();
    source = this;
    this.readyState = 1;
    queueMicrotask(() => this.dispatchEvent(new Event("open")));
  }

  tell(type, data) {
    this.dispatchEvent(new MessageEvent(type, { data: JSON.stringify(data) }));
  }

  close() {}
};
window.EventSource.OPEN = 1;
window.fetch = async (at) => new Response(String(at).endsWith("/operations") ? JSON.stringify(OPERATIONS)
  : answer, { headers: { "Content-Type": "application/json" } });

const id = (n, width) => String(n).padStart(width, "0");
const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));

const summary = (n, done) => ({ id: id(n, 8), name: `c${n}`, status: done < 27 ? "pending" : "active",
  createTime: START + n, numNodes: 3, clusterTemplate: { name: "web" }, services: ["nginx"], labels: {},
  progress: { action: "cluster_create", actionstatus: "running", stepstotal: 27, stepscompleted: done } });

const task = (k, state) => ({ taskId: `00000001-002-${id(k, 3)}`, taskName: "INSTALL",
  service: `s${k % STEPS}`, nodeId: `n${Math.floor(k / STEPS)}`, nodenum: 1000 + Math.floor(k / STEPS),
  stage: k % STEPS, state, attempt: 1, time: START, started: START, worker: "p1" });

function largeCluster() {
  const nodes = Array.from({ length: NODES }, (_, n) => ({ nodeId: `n${n}`, nodenum: 1000 + n,
    hostname: `big1-${1000 + n}.local`, services: ["s0"], hardwaretype: "small", imagetype: "deb" }));
  const tasks = Array.from({ length: NODES * STEPS }, (_, k) => task(k));
  const about = { jobId: "00000001-002", action: "cluster_create", time: START };

  return { cluster: { id: "00000001", name: "big", status: "pending", createTime: START, labels: {},
    lastEvent: 1000 }, recent: [],
  before: [{ seq: 1, type: "plan", data: { ...about, nodes, tasks: [] } },
    { seq: 2, type: "plan", data: { ...about, nodes: [], part: 2,
      tasks: tasks.map((one) => ({ ...one, nodeId: undefined })) } },
    { seq: 3, type: "job", data: { ...about, status: "running", stepstotal: tasks.length } }],
  tasks: tasks.slice(0, tasks.length / 2).map((one) => ({ ...one, state: "complete" })) };
}

// Shows a view, and tells it events for so long.
async function show(view, params, ready, seconds, tell) {
  const root = document.getElementById("main");
  const began = performance.now();

  longest = 0;
  root.replaceChildren();
  const shown = view(root, params);

  while (root.querySelectorAll(ready).length === 0)
    await pause(5);
  await pause(100);
  const found = { shown: performance.now() - began - 100, opening: longest };

  longest = 0;
  for (let n = 0; n < seconds * PER_SECOND; n++) {
    tell(n);
    await pause(1000 / PER_SECOND);
  }
  await pause(200);
  found.seconds = (performance.now() - began) / 1000;
  found.longest = longest;
  found.elements = document.querySelectorAll("*").length;
  shown.destroy();
  return found;
}

/** @type {any} */ (window).scale = {
  fleet(seconds) {
    answer = JSON.stringify(Array.from({ length: CLUSTERS }, (_, n) => summary(n + 1, n < 150 ? 5 : 27)));
    return show(clustersView, {}, "#clusters > li", seconds, (n) =>
      source.tell("summary", summary(1 + n * 7 % CLUSTERS, n % 28)));
  },

  cluster(seconds) {
    answer = JSON.stringify(largeCluster());
    return show(clusterView, { id: "00000001" }, "#nodes .node", seconds, (n) =>
      source.tell("event", { cluster: "00000001", seq: 1001 + n, type: "task",
        data: task(5000 + (n >> 1), n % 2 ? "complete" : "running") }));
  },
};
