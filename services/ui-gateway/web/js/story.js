// SPDX-License-Identifier: Apache-2.0
// Events as sentences for the feed. Pure; called with the state as it was before the event.

import { labelList } from "./clusterfields.js";
import { actionDoing, actionName, count, duration, moment, shortHost } from "./format.js";

// Answers {tone, subject, text, taskId} or null when the event deserves no line.
export function describe(state, type, data) {
  switch (type) {
  case "cluster":
    return clusterLine(state, data);
  case "job":
    return jobLine(state, data);
  case "plan":
    return planLine(data);
  case "task":
    return taskLine(state, data);
  case "node":
    return nodeLine(data);
  case "replace":
    return { tone: "warn", subject: shortHost(data.hostname),
      text: join(`is replaced by ${shortHost((data.by || {}).hostname)}`, data.message) };
  case "labels":
    return { tone: "", subject: "labels",
      text: labelList(data).length > 0 ? `are ${labelList(data).join(", ")}` : "are removed" };
  case "lease":
    return leaseLine(data);
  case "template":
    return { tone: "", subject: "cluster",
      text: `follows version ${data.version} of template ${data.template}` };
  default:
    return null;
  }
}

function clusterLine(state, data) {
  const tone = { active: "ok", incomplete: "bad", inconsistent: "warn" }[data.status] || "";

  if (!data.status || (data.status === state.status && !data.message))
    return null;
  return { tone, subject: "cluster", text: join(`is ${data.status}`, data.message) };
}

function jobLine(state, data) {
  const old = state.jobs.find((job) => job.id === data.jobId);
  const name = actionName(data.action || (old && old.action)).toLowerCase();

  if (old && old.status === data.status)
    return null;
  switch (data.status) {
  case "running":
    return { tone: "run", subject: name, text: "started" };
  case "complete":
    return { tone: "ok", subject: name, text: "done" };
  case "failed":
    return { tone: "bad", subject: name, text: join("failed", data.message) };
  case "paused":
    return { tone: "warn", subject: name, text: "paused" };
  default:
    return null;
  }
}

function planLine(data) {
  const tasks = data.taskstotal ?? (data.tasks || []).length;
  const nodes = data.nodestotal ?? (data.nodes || []).length;
  const what = actionDoing(data.action);

  if (tasks === 0 || data.part > 1) // a long plan comes in parts
    return null;
  if (nodes === 0)
    return { tone: "warn", subject: "plan", text: `${count(tasks, "task")} added` };
  return { tone: "", subject: "plan",
    text: `${what}: ${count(tasks, "task")} on ${count(nodes, "node")}` };
}

function taskLine(state, data) {
  const task = state.tasks.get(data.taskId);
  const name = (data.taskName || (task && task.name) || "task").toLowerCase();
  const node = state.nodes.get(data.nodeId);
  const line = {
    subject: shortHost(data.hostname || (node && node.hostname)) || `node ${data.nodenum ?? ""}`,
    taskId: data.taskId,
  };
  const what = data.service ? `${name} ${data.service}` : name;
  const took = task && task.started && data.time ? ` in ${duration(data.time - task.started)}` : "";

  switch (data.state) {
  case "running":
    return { ...line, tone: "run",
      text: data.attempt > 1 ? `${what} started, attempt ${data.attempt}` : `${what} started` };
  case "complete":
    return { ...line, tone: "ok", text: `${what} done${took}` };
  case "retry":
    return { ...line, tone: "warn", text: join(`${what} did not work, will be tried again`,
      data.message) };
  case "failed":
    return { ...line, tone: "bad", text: join(`${what} failed`, data.message) };
  case "dropped":
    return { ...line, tone: "", text: `${what} not needed any more` };
  default:
    return null;
  }
}

function nodeLine(data) {
  const address = Object.values(data.ipaddresses || {})[0];

  if (!address)
    return null;
  return { tone: "", subject: shortHost(data.hostname) || `node ${data.nodenum ?? ""}`,
    text: `has address ${address}` };
}

function leaseLine(data) {
  const end = data.expireTime ? moment(data.expireTime) : "";

  if (data.expired)
    return { tone: "warn", subject: "lease", text: `is over since ${end}` };
  if (data.warning)
    return { tone: "warn", subject: "lease", text: `is nearly over: it ends ${end}` };
  return { tone: "", subject: "lease", text: end ? `ends ${end}` : "never ends" };
}

function join(text, message) {
  return message ? `${text}: ${message}` : text;
}
