// SPDX-License-Identifier: Apache-2.0
// One node: who it is, and its tasks as rows of small buttons, a row for the node itself and one
// for each service. A task opens its log.

import { bar, h, icon, keyed, setIcon, setText } from "./dom.js";
import { duration, shortHost, taskWord, ticking } from "./format.js";
import { nodeState } from "./store.js";

const CARD_WORDS = {
  running: "working",
  retry: "trying again",
  ready: "next in line",
  waiting: "waiting",
  stopped: "stopped",
  failed: "failed",
  done: "done",
};

// openLog(taskId) is called for a task that is clicked; now() is the server's clock.
export function nodeCard(first, openLog, now) {
  const rows = new Map();
  const name = h("h3", { class: "node-name" });
  const where = h("p", { class: "muted small node-where" });
  const address = h("code", { class: "node-address" });
  const types = h("span");
  const status = h("span", { class: "pill" });
  const progress = bar("Tasks of this node");
  const lines = h("div", { class: "lines" });
  const el = h("li", { class: "node card", data: { id: first.id } },
    h("div", { class: "node-head" }, icon("machine", "icon node-icon"),
      h("div", { class: "node-who" }, name, where), status),
    lines, progress.el);
  let shown = {};

  where.append(address, types);

  function update({ node, tasks, job }) {
    if (shown.node === node && shown.job === job && same(shown.tasks, tasks))
      return;
    shown = { node, tasks, job };
    setText(name, shortHost(node.hostname) || `node ${node.num}`);
    name.title = node.hostname;
    setText(address, Object.values(node.addresses)[0] || "");
    setText(types, [node.hardware, node.image].filter(Boolean).join(" · "));
    showState(tasks, job);
    keyed(lines, rows, groups(tasks), (group) => group.service, (group) =>
      serviceRow(group, openLog, now));
  }

  function showState(tasks, job) {
    const state = nodeState(tasks, job);
    const done = tasks.filter((task) => task.state === "complete").length;
    const tone = { running: "run", retry: "warn", failed: "bad", done: "ok" }[state] || "off";
    const gone = state === "done" && job && job.action === "cluster_delete";

    el.dataset.state = state;
    setText(status, gone ? "deleted" : CARD_WORDS[state]);
    status.dataset.tone = gone ? "off" : tone;
    progress.set(done, tasks.length, tone);
  }

  function tick() {
    rows.forEach((row) => row.tick());
  }

  return { el, update, tick };
}

function same(a, b) {
  return a && a.length === b.length && a.every((task, i) => task === b[i]);
}

function groups(tasks) {
  const byService = new Map();

  for (const task of tasks) {
    if (!byService.has(task.service))
      byService.set(task.service, { service: task.service, tasks: [] });
    byService.get(task.service).tasks.push(task);
  }
  return [...byService.values()].sort((a, b) => (a.service ? 1 : 0) - (b.service ? 1 : 0));
}

function serviceRow(first, openLog, now) {
  const own = new Map();
  const list = h("ol", { class: "tasks" });
  const el = h("div", { class: "line" },
    h("span", { class: first.service ? "line-name" : "line-name muted",
      text: first.service || "node" }), list);

  function update(group) {
    keyed(list, own, group.tasks, (task) => task.id, (task) => taskButton(task, openLog, now));
  }
  return { el, update, tick: () => own.forEach((task) => task.tick()) };
}

function taskButton(first, openLog, now) {
  const mark = icon("pending");
  const name = h("span", { text: first.name });
  const time = h("span", { class: "task-time num" });
  const state = h("span", { class: "sr-only" });
  const button = h("button", { class: "task", type: "button", data: { task: first.id },
    onclick: () => openLog(first.id) }, mark, name, state, time);
  let task = null;

  function update(next) {
    if (task === next)
      return;
    task = next;
    setIcon(mark, task.state);
    button.dataset.state = task.state;
    button.title = task.message ? `${taskWord(task.state)}: ${task.message}` : taskWord(task.state);
    setText(state, `, ${[task.service, taskWord(task.state)].filter(Boolean).join(", ")}, open log `);
    setText(name, task.attempt > 1 ? `${task.name} ×${task.attempt}` : task.name);
    tick();
  }

  function tick() {
    setText(time, task ? taskTime(task, now()) : "");
  }
  return { el: h("li", {}, button), update, tick };
}

function taskTime(task, now) {
  if (task.state === "running" && task.started)
    return ticking(now - task.started);
  if (task.state === "retry" && task.retryAt > now)
    return `in ${ticking(task.retryAt - now + 999)}`;
  if ((task.state === "complete" || task.state === "failed") && task.started && task.ended)
    return duration(task.ended - task.started);
  return "";
}
