// SPDX-License-Identifier: Apache-2.0
// The page of all clusters, live.

import { listClusters } from "./api.js";
import { underName } from "./clusterfields.js";
import { openCreateForm } from "./createform.js";
import { announce, bar, gathered, growing, h, icon, keyed, setText } from "./dom.js";
import { actionDoing, age, count, statusTone } from "./format.js";
import { LIST } from "./hub.js";
import { setLink } from "./linkstate.js";
import { initial, merge, replaceAll, select, totals } from "./liststore.js";
import { askRemoval } from "./removal.js";
import { clusterHref } from "./router.js";
import { openStream } from "./stream.js";

const GATHER = 50;
const ROWS = 60;
const TICK = 5000;
const RETRY = 3000;

export function clustersView(root) {
  const more = growing(ROWS, () => render());
  const ui = build(root, more.el);
  const rows = new Map();
  const drawing = gathered(GATHER, flush);
  let reading = new AbortController();
  let state = initial();
  let arrived = new Map(); // id -> the newest summary since the list was last drawn
  let early = new Map(); // the same since the reading under way began
  let retry = 0;

  // Each opening of the stream starts a fresh reading; one that is still under way is given up.
  async function load() {
    const mine = new AbortController();

    clearTimeout(retry);
    reading.abort();
    reading = mine;
    early = new Map();
    try {
      state = replaceAll(state, await listClusters(mine.signal), [...early.values()]);
    } catch (error) {
      if (!mine.signal.aborted)
        loadFailed(error);
      return;
    }
    ui.problem.hidden = true;
    arrived = new Map();
    render();
  }

  function loadFailed(error) {
    setText(ui.problem, error.message);
    ui.problem.hidden = false;
    ui.loading.hidden = true;
    retry = setTimeout(load, RETRY);
  }

  function received(event) {
    arrived.set(event.data.id, event.data);
    early.set(event.data.id, event.data);
    drawing.ask();
  }

  // A fleet at work sends more events than a page can be drawn for.
  function flush() {
    const news = [...arrived.values()];
    const changed = news.filter((c) => state.byId.has(c.id)
      && state.byId.get(c.id).status !== c.status);

    arrived = new Map();
    if (changed.length === 1)
      announce(`${changed[0].name} is ${changed[0].status}`);
    else if (changed.length > 1)
      announce(`${changed.length} clusters have changed`);
    state = merge(state, news);
    if (state.loaded)
      render();
  }

  function render() {
    const sum = totals(state);
    const all = sum.clusters + sum.terminated;
    const filter = { text: ui.search.value, terminated: ui.terminated.checked };
    const list = select(state, filter);

    ui.loading.hidden = true;
    ui.tools.hidden = all === 0;
    ui.terminatedBox.hidden = sum.terminated === 0;
    setText(ui.terminatedText, `Show ${count(sum.terminated, "terminated cluster")}`);
    setText(ui.totals, all === 0 ? "" : totalsText(sum));
    ui.empty.hidden = sum.clusters > 0 || list.length > 0;
    ui.nothing.hidden = list.length > 0 || !ui.empty.hidden;
    ui.create.hidden = !ui.empty.hidden;
    ui.table.hidden = list.length === 0;
    keyed(ui.list, rows, more.cut(list), (c) => c.id, clusterRow);
  }

  ui.search.addEventListener("input", render);
  ui.terminated.addEventListener("change", render);
  const ticker = setInterval(() => rows.forEach((row) => row.tick()), TICK);
  const close = openStream(LIST, { onEvent: received, onState: setLink, onOpen: load });

  load();
  return {
    destroy() {
      close();
      drawing.stop();
      more.destroy();
      clearInterval(ticker);
      clearTimeout(retry);
      reading.abort();
      setLink("idle");
    },
  };
}

function totalsText(sum) {
  const parts = [count(sum.clusters, "cluster"), count(sum.nodes, "node")];

  if (sum.pending > 0)
    parts.push(`${sum.pending} at work`);
  return parts.join(" · ");
}

function build(root, more) {
  const ui = {
    totals: h("p", { class: "muted num", id: "totals" }),
    create: h("button", { class: "button primary", type: "button", id: "new-cluster",
      onclick: openCreateForm }, icon("plus"), "New cluster"),
    search: h("input", { type: "search", placeholder: "Filter by name, template, service",
      "aria-label": "Filter clusters", autocomplete: "off" }),
    terminated: h("input", { type: "checkbox", id: "show-terminated" }),
    terminatedText: h("span"),
    problem: h("p", { class: "callout", role: "alert", "data-tone": "bad", hidden: true }),
    loading: h("p", { class: "muted", text: "Reading the clusters" }),
    nothing: h("p", { class: "muted pad", text: "No cluster matches.", hidden: true }),
    list: h("ul", { class: "rows", id: "clusters", "aria-label": "Clusters" }),
    empty: emptyState(),
  };

  document.title = "Clusters · Loom";
  ui.terminatedBox = h("label", { class: "check" }, ui.terminated, ui.terminatedText);
  ui.tools = h("div", { class: "tools", hidden: true }, h("div", { class: "search" }, ui.search),
    ui.terminatedBox);
  ui.table = h("section", { class: "card table", hidden: true },
    h("div", { class: "row row-head", "aria-hidden": "true" },
      ...["Cluster", "Status", "Progress", "Template", "Nodes", "Age", ""]
        .map((text) => h("span", { text }))), ui.list, more);
  root.append(
    h("div", { class: "page-head" },
      h("div", {}, h("h1", { tabindex: "-1", text: "Clusters" }), ui.totals), ui.create),
    ui.problem, ui.tools, ui.loading, ui.empty, ui.nothing, ui.table);
  return ui;
}

function emptyState() {
  const sample = "loom cluster create --help";

  return h("section", { class: "empty card", id: "empty", hidden: true },
    icon("layers", "empty-mark"),
    h("h2", { text: "No clusters yet" }),
    h("p", { class: "muted", text: "Choose a template and a size. Loom works out the layout, makes "
      + "the nodes, installs the services and shows you every task as it happens." }),
    h("button", { class: "button primary", type: "button", onclick: openCreateForm },
      icon("plus"), "Create your first cluster"),
    h("p", { class: "muted small" }, "From a terminal: ", h("code", { text: sample })));
}

function cell(cls, label, ...content) {
  return h("div", { class: `cell ${cls}` }, h("span", { class: "cell-label", text: label }),
    ...content);
}

function clusterRow(first) {
  const link = h("a", { class: "row-link", href: clusterHref(first.id) });
  const under = h("span", { class: "muted mono small clip" });
  const status = h("span", { class: "pill" });
  const progress = bar("Progress");
  const tasks = h("span", { class: "muted num small clip tasks-text" });
  const template = h("span", { class: "clip" });
  const nodes = h("span", { class: "num" });
  const born = h("span", { class: "num muted" });
  const remove = h("button", { class: "icon-button quiet", type: "button" }, icon("trash"));
  let cluster = null;

  remove.addEventListener("click", () =>
    askRemoval({ id: cluster.id, name: cluster.name, nodes: cluster.numNodes,
      busy: cluster.status === "pending" }));

  function tick() {
    setText(born, age(Date.now() - cluster.createTime));
  }

  function update(next) {
    if (next === cluster)
      return;
    const p = next.progress || { stepstotal: 0, stepscompleted: 0 };
    const busy = next.status === "pending";
    const deleting = busy && p.action === "cluster_delete";
    const failed = p.actionstatus === "failed";
    const tone = busy ? "run" : statusTone(next.status);

    cluster = next;
    setText(link, next.name);
    setText(under, underName(next));
    setText(status, next.status);
    status.dataset.tone = statusTone(next.status);
    progress.set(p.stepscompleted, p.stepstotal, failed ? "bad" : tone);
    setText(tasks, next.message || tasksText(p, busy));
    tasks.title = next.message || "";
    setText(template, next.clusterTemplate ? next.clusterTemplate.name : "");
    setText(nodes, next.numNodes > 0 ? String(next.numNodes) : "–");
    born.title = new Date(next.createTime).toLocaleString();
    remove.hidden = next.status === "terminated";
    remove.disabled = deleting;
    remove.setAttribute("aria-label", `Delete ${next.name}`);
    remove.title = deleting ? "It is being deleted" : "Delete";
    el.dataset.status = next.status;
    tick();
  }

  const el = h("li", { class: "row", data: { id: first.id } },
    h("div", { class: "cell c-name" }, link, under),
    cell("c-status", "Status", status),
    cell("c-progress", "Progress", progress.el, tasks),
    cell("c-template", "Template", template),
    cell("c-nodes", "Nodes", nodes),
    cell("c-age", "Age", born),
    h("div", { class: "cell c-act" }, remove));

  return { el, update, tick };
}

function tasksText(p, busy) {
  const figures = p.stepstotal > 0 ? `${p.stepscompleted} of ${p.stepstotal}` : "";

  if (!busy)
    return figures;
  return figures ? `${actionDoing(p.action)} · ${figures}` : actionDoing(p.action);
}
