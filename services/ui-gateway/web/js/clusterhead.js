// SPDX-License-Identifier: Apache-2.0
// The head of a cluster's page: name, status, facts, overall progress, messages.

import { actionBar } from "./actions.js";
import { changes, openChange } from "./change.js";
import { facts } from "./clusterfields.js";
import { bar, h, icon, setText, setTitle } from "./dom.js";
import { actionDoing, actionName, count, shortHost, statusTone, ticking } from "./format.js";
import { isPossible } from "./operations.js";
import { askRemoval } from "./removal.js";
import { failedTask, progressOf, startOf } from "./store.js";
import { whyLine } from "./why.js";

// openLog(taskId) shows the log of the task that the job failed with.
export function clusterHead(cluster, now, openLog) {
  const retry = changes().find((kind) => kind.name === "retry");
  const status = h("span", { class: "pill big", id: "status", role: "status" });
  const remove = h("button", { class: "button", type: "button", id: "delete-cluster" },
    icon("trash"), "Delete");
  const known = () => (state ? [...state.nodes.values()] : []);
  const actions = actionBar(cluster, known);
  const why = whyLine(cluster.id);
  const text = h("span", { id: "message" });
  const showLog = h("button", { class: "button small", type: "button", id: "failed-log",
    text: "Open log", hidden: true, onclick: () => openLog(failedTask(state, state.jobs[state.jobs.length - 1]).id) });
  const again = h("button", { class: "button small", type: "button", id: "failed-retry", hidden: true,
    onclick: () => openChange(cluster, retry, known()) }, retry ? retry.title : "");
  const message = h("p", { class: "callout", hidden: true }, text, " ", showLog, " ", again);
  const doing = h("span", { class: "doing", id: "doing" });
  const elapsed = h("span", { class: "num muted", id: "elapsed" });
  const tasks = h("span", { class: "num muted", id: "tasks" });
  const progress = bar("Overall progress");
  const nodes = h("dd", { class: "num" });
  const told = h("dl", { class: "facts" });
  let labels = null;
  let state = null;
  let job = null;

  remove.addEventListener("click", () =>
    askRemoval({ id: cluster.id, name: cluster.name, nodes: state ? state.nodes.size : 0,
      busy: state && state.status === "pending" }));

  const el = h("section", { class: "cluster-head" },
    h("a", { class: "back", href: "#/" }, icon("back"), "All clusters"),
    h("div", { class: "page-head" },
      h("div", { class: "title-line" }, h("h1", { tabindex: "-1", text: cluster.name }), status),
      h("div", { class: "actions" }, actions.el, remove)),
    actions.problem,
    why.el,
    cluster.description ? h("p", { class: "muted", text: cluster.description }) : null,
    told,
    message,
    h("div", { class: "card overall" },
      h("div", { class: "overall-line" }, doing, h("span", { class: "grow" }),
        h("span", { class: "figures" }, tasks, elapsed)),
      progress.el));

  function update(nextState, nextJob) {
    state = nextState;
    job = nextJob;
    showStatus(state.status || cluster.status);
    showFacts();
    showMessage();
    showProgress();
    actions.update(state);
    why.update(state);
    setText(nodes, state.nodes.size > 0 ? String(state.nodes.size) : "–");
    tick();
  }

  function showFacts() {
    if (labels === state.labels)
      return;
    labels = state.labels;
    told.replaceChildren(...facts({ ...cluster, labels }),
      h("div", {}, h("dt", { text: "Nodes" }), nodes));
  }

  function showStatus(word) {
    setText(status, word);
    status.dataset.tone = statusTone(word);
    status.dataset.status = word;
    remove.hidden = word === "terminated";
    const deleting = word === "pending" && job && job.action === "cluster_delete";

    remove.disabled = Boolean(deleting);
    remove.title = deleting ? "It is being deleted" : "";
    setTitle(`${cluster.name} · ${word} · Loom`);
  }

  function showMessage() {
    const last = state.jobs[state.jobs.length - 1];
    const words = state.message || (last && last.message) || "";
    const failed = last && last.status === "failed";
    const task = failed ? failedTask(state, last) : null;

    setText(text, failed ? withHosts(words, state.nodes) : words);
    message.hidden = !words;
    message.dataset.tone = failed ? "bad" : "";
    showLog.hidden = !task;
    again.hidden = !failed || !retry || !isPossible(retry, state.status);
  }

  function showProgress() {
    const { total, done } = progressOf(state, job);
    const tone = { complete: "ok", failed: "bad" }[job && job.status] || "run";

    progress.set(done, total, tone);
    setText(doing, job ? doingText(job) : state.seq > 0 ? "Waiting to start" : "\u00a0");
    setText(tasks, total > 0 ? `${done} of ${count(total, "task")}` : "");
  }

  function tick() {
    const from = state && job ? startOf(state, job) : 0;

    setText(elapsed, from ? ticking((job.ended || now()) - from) : "");
  }

  return { el, update, tick, destroy: why.destroy };
}

// Nodes are known by their host names on this page.
export function withHosts(words, nodes) {
  return words.replace(/\bon node (\d+)\b/g, (text, num) => {
    const node = [...nodes.values()].find((one) => String(one.num) === num);

    return node && node.hostname ? `on ${shortHost(node.hostname)}` : text;
  });
}

function doingText(job) {
  const doing = actionDoing(job.action);

  switch (job.status) {
  case "complete":
    return `${actionName(job.action)} done`;
  case "failed":
    return `${actionName(job.action)} failed`;
  case "paused":
    return `${actionName(job.action)} paused`;
  default:
    return doing.charAt(0).toUpperCase() + doing.slice(1);
  }
}
