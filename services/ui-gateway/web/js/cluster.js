// SPDX-License-Identifier: Apache-2.0
// The page of one cluster: a snapshot, painted at once, and its events from there on.

import { getSnapshot, loadOperations } from "./api.js";
import { clusterHead } from "./clusterhead.js";
import { announce, gathered, growing, h, keyed } from "./dom.js";
import { feedView } from "./feed.js";
import { actionName } from "./format.js";
import { setLink } from "./linkstate.js";
import { nodeCard } from "./nodecard.js";
import { currentJob, fromSnapshot, nodesOf, plannedJobs, reduce, tasksByNode } from "./store.js";
import { openStream } from "./stream.js";
import { openTaskLog } from "./tasklog.js";

const GATHER = 40;
const SLICE = 1000; // events applied without a pause: some 10 ms
const NODES = 24;
const TICK = 1000;
const RETRY = 3000;
const CLOCK_ERROR = 1500;

export function clusterView(root, { id }) {
  const stop = new AbortController();
  let page = null;
  let close = () => {};
  let timer = 0;

  async function load() {
    try {
      const [answer] = await Promise.all([getSnapshot(id, stop.signal), loadOperations()]);
      const focused = root.contains(document.activeElement);

      root.replaceChildren();
      page = makePage(root, answer);
      if (focused)
        root.querySelector("h1").focus({ preventScroll: true });
      close = openStream(id, { cursor: page.cursor, onEvent: page.received, onState: setLink });
    } catch (error) {
      if (stop.signal.aborted)
        return;
      showProblem(root, error);
      if (error.status !== 404)
        timer = setTimeout(load, RETRY);
    }
  }

  document.title = `Cluster ${id} · Loom`;
  root.append(h("h1", { class: "sr-only", tabindex: "-1", text: `Cluster ${id}` }),
    h("p", { class: "muted", text: "Reading the cluster" }));
  load();
  return {
    destroy() {
      stop.abort();
      clearTimeout(timer);
      close();
      if (page)
        page.destroy();
      setLink("idle");
    },
  };
}

function showProblem(root, error) {
  const gone = error.status === 404;

  root.replaceChildren(h("section", { class: "empty card" },
    h("h1", { tabindex: "-1", text: gone ? "There is no such cluster"
      : "The cluster cannot be shown now" }),
    h("p", { class: "muted", role: "status", text: gone
      ? "It may belong to somebody else, or the address is mistyped." : error.message }),
    h("a", { class: "button", href: "#/", text: "All clusters" })));
}

function makePage(root, snapshot) {
  const { cluster, serverTime } = snapshot;
  const skew = serverTime ? Date.now() - serverTime : 0;
  const offset = Math.abs(skew) > CLOCK_ERROR ? skew : 0;
  const now = () => Date.now() - offset;
  const cards = new Map();
  const head = clusterHead(cluster, now, openLog);
  const jobs = jobTabs((job) => {
    chosen = job;
    render();
  });
  const nodes = h("ul", { class: "nodes", id: "nodes", "aria-label": "Nodes" });
  const waiting = h("p", { class: "muted pad", id: "no-nodes" });
  const feed = feedView(openLog);
  const more = growing(NODES, () => render());
  const drawing = gathered(GATHER, flush);
  const ticker = setInterval(tick, TICK);
  let state = fromSnapshot(snapshot);
  let queue = [];
  let chosen = null;
  let log = null;

  root.append(head.el, h("div", { class: "columns" },
    h("section", { "aria-labelledby": "nodes-title" },
      h("div", { class: "section-head" }, h("h2", { id: "nodes-title", text: "Nodes" }), jobs.el),
      waiting, nodes, more.el), feed.el));

  // A burst of events is applied and drawn at once; a long one (after a pause) in slices, so that the
  // page answers meanwhile.
  function received(event) {
    queue.push(event);
    drawing.ask();
  }

  function flush() {
    const before = state;

    state = reduce(state, queue.splice(0, SLICE));
    if (queue.length > 0)
      drawing.ask();
    if (before.status && before.status !== state.status)
      announce(`${cluster.name} is ${state.status}`);
    render();
    if (log)
      log.changed();
  }

  function render() {
    const latest = currentJob(state);
    const job = state.jobs.find((j) => j.id === chosen) || latest;
    const byNode = tasksByNode(state, job);
    const items = nodesOf(state, job).map((node) =>
      ({ node, tasks: byNode.get(node.id) || [], job }));

    head.update(state, latest);
    jobs.update(plannedJobs(state), job);
    waiting.textContent = noNodesText(state);
    waiting.hidden = items.length > 0;
    keyed(nodes, cards, more.cut(items), (item) => item.node.id, (item) => nodeCard(item.node, openLog, now));
    feed.update(state);
  }

  function tick() {
    head.tick();
    cards.forEach((card) => card.tick());
    if (log)
      log.tick();
  }

  function openLog(taskId) {
    if (!state.tasks.has(taskId))
      return;
    log = openTaskLog({ now,
      getTask: () => state.tasks.get(taskId),
      getNode: () => state.nodes.get(state.tasks.get(taskId).nodeId),
      onClose: () => {
        log = null;
      } });
  }

  render();
  return {
    received,
    cursor: () => (queue.length > 0 ? queue[queue.length - 1].seq : state.seq),
    destroy() {
      clearInterval(ticker);
      drawing.stop();
      more.destroy();
      head.destroy();
    },
  };
}

function noNodesText(state) {
  if (state.status === "terminated")
    return "This cluster has no nodes.";
  return "Working out the layout. The nodes appear here in a moment.";
}

// Buttons to look at earlier work of a cluster that has had more than one job.
function jobTabs(choose) {
  const views = new Map();
  const el = h("div", { class: "tabs", role: "group", "aria-label": "Work to show", hidden: true });

  function tab(first) {
    const button = h("button", { class: "tab", type: "button", onclick: () => choose(first.id) });

    return { el: button, update: ({ job, on }) => {
      button.textContent = actionName(job.action);
      button.setAttribute("aria-pressed", String(on));
      button.dataset.state = job.status;
    } };
  }

  function update(jobs, shown) {
    const items = jobs.map((job) => ({ id: job.id, job, on: shown && job.id === shown.id }));

    el.hidden = jobs.length < 2;
    keyed(el, views, items, (item) => item.id, tab);
  }
  return { el, update };
}
