// SPDX-License-Identifier: Apache-2.0
// The plan of a change, as a person reads it before it is done.

import { h, tags } from "./dom.js";
import { count, shortHost } from "./format.js";

const LINES = 40;

// Would this plan do nothing at all?
export function isEmptyPlan(plan) {
  const nodes = plan.nodes || {};

  return [nodes.added, nodes.removed, nodes.changed, plan.config, plan.template, plan.tasks]
    .every((list) => !list || list.length === 0);
}

// One line of words: "1 node added, 7 tasks".
export function planSummary(plan) {
  const nodes = plan.nodes || {};
  const parts = [[nodes.added, "node added", "nodes added"],
    [nodes.removed, "node removed", "nodes removed"],
    [nodes.changed, "node changed", "nodes changed"],
    [plan.config, "setting changed", "settings changed"],
    [plan.template, "difference in the template", "differences in the template"],
    [plan.tasks, "task", "tasks"]]
    .filter(([list]) => list && list.length > 0)
    .map(([list, one, many]) => count(list.length, one, many));

  return parts.length > 0 ? parts.join(", ") : "Nothing would change.";
}

// How many nodes it destroys.
export function nodesLost(plan) {
  return ((plan.nodes || {}).removed || []).length;
}

// known: the nodes that there are, as {num, hostname}; a plan names those only that it changes.
export function planView(plan, known = []) {
  const nodes = plan.nodes || {};
  const names = hosts(nodes, known);

  return h("div", { class: "plan" },
    h("p", { class: "plan-summary", text: planSummary(plan) }),
    group("Added", nodes.added, (node) => nodeItem(node, node.services)),
    group("Removed", nodes.removed, (node) => nodeItem(node, node.services)),
    group("Changed", nodes.changed, (node) => nodeItem(node,
      [...signed("+", node.servicesAdded), ...signed("−", node.servicesRemoved)])),
    group("Settings", plan.config, difference),
    group("Template", plan.template, difference),
    group("Services started", plan.started, (name) => h("li", { text: name })),
    group("Tasks", plan.tasks, (task) => taskItem(task, names)),
    group("Not as it was", plan.notes, (text) => h("li", { text })));
}

function group(title, list, line) {
  if (!list || list.length === 0)
    return null;
  return h("div", {}, h("p", { class: "preview-title", text: title }),
    h("ul", {}, ...list.slice(0, LINES).map(line),
      list.length > LINES ? h("li", { class: "muted", text: `and ${list.length - LINES} more` })
        : null));
}

function nodeItem(node, names) {
  const name = shortHost(node.hostname) || `node ${node.nodenum}`;

  return h("li", {}, h("span", { class: "num", text: name }),
    tags(names || []));
}

// Map number -> host name.
function hosts(nodes, known) {
  const names = new Map();

  for (const node of known)
    names.set(node.num, shortHost(node.hostname));
  for (const node of [nodes.added, nodes.removed, nodes.changed].flatMap((list) => list || []))
    names.set(node.nodenum, shortHost(node.hostname));
  return names;
}

function taskItem(task, names) {
  const what = [String(task.taskName).toLowerCase(), task.service].filter(Boolean).join(" ");

  return h("li", {}, h("span", { text: what }),
    h("span", { class: "muted num", text: names.get(task.nodenum) || `node ${task.nodenum}` }));
}

function signed(sign, names) {
  return (names || []).map((name) => `${sign}${name}`);
}

function difference({ path, from, to }) {
  const words = (value) => (value === undefined ? "(none)" : JSON.stringify(value));

  return h("li", { class: "difference" }, h("code", { text: path }),
    h("span", { text: `${words(from)} → ${words(to)}` }));
}
