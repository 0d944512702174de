// SPDX-License-Identifier: Apache-2.0
// The story of one cluster: a snapshot of it, and its events from there on. Pure: reduce(state, events) answers a
// new state and leaves the old one as it was; objects that did not change stay the same objects,
// so a view can compare by reference. Events are {seq, type, data} in commit order; an event seen
// before (seq not above the state's) changes nothing, so a resumed stream may overlap.

import { describe } from "./story.js";

const FEED_MAX = 400;
const FINAL = new Set(["complete", "failed", "dropped"]);

export function initial() {
  return {
    seq: 0,
    status: "",
    message: "",
    labels: null, // not known
    firstTime: 0,
    lastTime: 0,
    jobs: [],
    nodes: new Map(),
    tasks: new Map(),
    feed: [],
    feedCut: 0,
  };
}

export function reduce(old, events) {
  const state = { ...old, jobs: old.jobs.slice(), nodes: new Map(old.nodes),
    tasks: new Map(old.tasks), feed: old.feed.slice() };

  for (const event of events) {
    if (event.seq <= state.seq)
      continue;
    state.seq = event.seq;
    apply(state, event.type, event.data || {}, event.seq);
  }
  if (state.feed.length > FEED_MAX) {
    state.feedCut += state.feed.length - FEED_MAX;
    state.feed = state.feed.slice(-FEED_MAX);
  }
  return state;
}

// The state as of a snapshot (GET /v2/clusters/ID/snapshot): all events that still matter, the newest
// with all between, and how each task stands.
export function fromSnapshot({ cluster, before, recent, tasks }) {
  let state = reduce(initial(), before);

  state.feed = [];
  state.feedCut = recent.length > 0 ? recent[0].seq - 1 : 0;
  for (const task of tasks) // a line of the feed may tell how long it took
    if (state.tasks.has(task.taskId))
      patchTask(state, task.taskId, { started: task.started || 0 });
  state = reduce(state, recent);
  for (const task of tasks) {
    onTask(state, task);
    patchTask(state, task.taskId, { started: task.started || 0, worker: task.worker || "" });
  }
  state.status = cluster.status;
  state.message = cluster.message || "";
  state.labels = cluster.labels || {};
  state.seq = Math.max(state.seq, cluster.lastEvent);
  return state;
}

function patchTask(state, id, change) {
  state.tasks.set(id, { ...state.tasks.get(id), ...change });
}

const HANDLERS = { cluster: onCluster, job: onJob, plan: onPlan, task: onTask, node: onNode,
  replace: onReplace, lease: onlyTold, template: onlyTold, labels: onLabels };

function apply(state, type, data, seq) {
  const handler = HANDLERS[type];
  const line = handler ? describe(state, type, data) : null;

  if (!handler)
    return;
  state.firstTime = state.firstTime || data.time || 0;
  state.lastTime = data.time || state.lastTime;
  handler(state, data);
  if (line)
    state.feed.push({ ...line, seq, time: data.time || state.lastTime });
}

// Worth a line, without being part of the cluster's state here.
function onlyTold() {
}

function onLabels(state, data) {
  state.labels = data.labels || {};
}

function onCluster(state, data) {
  state.status = data.status || state.status;
  state.message = data.message || "";
}

// Replaces the job of that id by {...job, ...change}, or adds it.
function patchJob(state, id, change) {
  const at = state.jobs.findIndex((job) => job.id === id);
  const job = at >= 0 ? state.jobs[at] : { id, action: "", status: "not_submitted", total: 0,
    done: 0, message: "", started: 0, ended: 0, nodes: [] };

  if (at >= 0)
    state.jobs[at] = { ...job, ...change(job) };
  else
    state.jobs.push({ ...job, ...change(job) });
}

function onJob(state, data) {
  const status = data.status || "running";
  const over = status === "complete" || status === "failed";

  patchJob(state, data.jobId, (job) => ({
    action: lower(data.action) || job.action,
    status,
    total: data.stepstotal ?? job.total,
    done: data.stepscompleted ?? job.done,
    message: data.message || "",
    started: job.started || data.time || 0,
    ended: over ? job.ended || data.time || 0 : 0,
  }));
}

function onPlan(state, data) {
  const nodes = data.nodes || [];

  for (const node of nodes)
    patchNode(state, node.nodeId, node);
  const tasks = withNodes(state, data.tasks || []);

  for (const task of tasks)
    planTask(state, data.jobId, task);
  patchJob(state, data.jobId, (job) => ({
    action: lower(data.action) || job.action,
    started: job.started || data.time || 0,
    nodes: [...new Set([...job.nodes, ...nodes.map((node) => node.nodeId),
      ...tasks.map((task) => task.nodeId)])],
  }));
}

// A snapshot tells the node of a task by its number where a plan has told which that is.
function withNodes(state, tasks) {
  if (tasks.every((task) => task.nodeId))
    return tasks;
  const ids = new Map([...state.nodes.values()].map((node) => [node.num, node.id]));

  return tasks.map((task) => (task.nodeId ? task : { ...task, nodeId: ids.get(task.nodenum) }));
}

function patchNode(state, id, data) {
  const node = state.nodes.get(id) || { id, num: 0, hostname: "", hardware: "", image: "",
    services: [], addresses: {} };

  state.nodes.set(id, {
    id,
    num: data.nodenum ?? node.num,
    hostname: data.hostname || node.hostname,
    hardware: data.hardwaretype || node.hardware,
    image: data.imagetype || node.image,
    services: data.services || node.services,
    addresses: data.ipaddresses || node.addresses,
  });
}

function onNode(state, data) {
  patchNode(state, data.nodeId, data);
}

// Another node takes the place of one that could not be made, and its tasks.
function onReplace(state, data) {
  const by = data.by || {};

  patchNode(state, by.nodeId, by);
  for (const id of data.moved || []) {
    const task = state.tasks.get(id);

    if (task)
      state.tasks.set(id, { ...task, nodeId: by.nodeId });
  }
  patchJob(state, data.jobId, (job) => ({ nodes: [...new Set([...job.nodes, by.nodeId])] }));
}

function newTask(state, id, jobId) {
  return { id, jobId, name: "", nodeId: "", service: "", stage: 0, order: state.tasks.size,
    state: "pending", attempt: 0, started: 0, ended: 0, message: "", statusCode: null,
    worker: "", retryAt: 0 };
}

function planTask(state, jobId, data) {
  const task = state.tasks.get(data.taskId) || newTask(state, data.taskId, jobId);

  state.tasks.set(data.taskId, {
    ...task,
    name: lower(data.taskName) || task.name,
    nodeId: data.nodeId || task.nodeId,
    service: data.service || task.service,
    stage: data.stage ?? task.stage,
  });
}

function onTask(state, data) {
  const jobId = String(data.taskId).replace(/-[^-]*$/, "");
  const task = state.tasks.get(data.taskId) || newTask(state, data.taskId, jobId);
  const running = data.state === "running";

  state.tasks.set(data.taskId, {
    ...task,
    name: lower(data.taskName) || task.name,
    nodeId: data.nodeId || task.nodeId,
    service: data.service || task.service,
    state: data.state,
    attempt: data.attempt ?? task.attempt,
    started: running ? data.time || 0 : task.started,
    ended: FINAL.has(data.state) || data.state === "retry" ? data.time || 0 : 0,
    message: data.message || "",
    statusCode: data.statusCode ?? null,
    worker: data.provisionerId || task.worker,
    retryAt: data.retryAt || 0,
  });
  if (data.nodeId && !state.nodes.has(data.nodeId))
    patchNode(state, data.nodeId, { nodenum: data.nodenum, hostname: data.hostname });
}

function lower(text) {
  return String(text || "").toLowerCase();
}

// ---- what views ask ----

// The job to show when nobody chose one: the newest that has tasks, else the newest.
export function currentJob(state) {
  const planned = state.jobs.filter((job) => job.nodes.length > 0);
  const newest = state.jobs[state.jobs.length - 1] || null;

  if (newest && newest.status === "failed")
    return newest.nodes.length > 0 || planned.length === 0 ? newest : planned[planned.length - 1];
  return planned[planned.length - 1] || newest;
}

// Jobs a person may want to look at: those with tasks, in order.
export function plannedJobs(state) {
  return state.jobs.filter((job) => job.nodes.length > 0);
}

// A job's tasks by node: Map nodeId -> tasks in the order they run.
export function tasksByNode(state, job) {
  const byNode = new Map();

  for (const task of state.tasks.values()) {
    if (!job || task.jobId !== job.id)
      continue;
    if (!byNode.has(task.nodeId))
      byNode.set(task.nodeId, []);
    byNode.get(task.nodeId).push(task);
  }
  for (const list of byNode.values())
    list.sort((a, b) => a.stage - b.stage || a.order - b.order);
  return byNode;
}

// The nodes of a job, or all when it names none, by number.
export function nodesOf(state, job) {
  const ids = job && job.nodes.length > 0 ? new Set(job.nodes) : null;

  return [...state.nodes.values()].filter((node) => !ids || ids.has(node.id))
    .sort((a, b) => a.num - b.num || (a.id < b.id ? -1 : 1));
}

export function progressOf(state, job) {
  let total = 0;
  let done = 0;

  if (!job)
    return { total: 0, done: 0 };
  for (const task of state.tasks.values()) {
    if (task.jobId !== job.id)
      continue;
    total++;
    done += task.state === "complete" ? 1 : 0;
  }
  total = Math.max(total, job.total);
  done = Math.max(done, job.done);
  return { total, done: job.status === "complete" ? total : done };
}

// The task that a failed job failed with: the last one that failed for good. Null when none did.
export function failedTask(state, job) {
  let found = null;

  for (const task of state.tasks.values())
    if (job && task.jobId === job.id && task.state === "failed" && (!found || task.ended >= found.ended))
      found = task;
  return found;
}

// What a node is doing in this job: failed, running, retry, ready, waiting, stopped or done.
export function nodeState(tasks, job) {
  const has = (name) => tasks.some((task) => task.state === name);
  const over = job && (job.status === "failed" || job.status === "complete");

  if (has("running"))
    return "running";
  if (!over && has("retry"))
    return "retry";
  if (!over && has("ready"))
    return "ready";
  if (has("failed") && (over || !has("pending")))
    return job && job.status === "complete" ? "done" : "failed";
  if (has("pending") || has("retry") || has("ready"))
    return over ? "stopped" : "waiting";
  return "done";
}

// When the work that a job belongs to began: a create counts from its layout.
export function startOf(state, job) {
  const at = state.jobs.indexOf(job);
  const before = at > 0 ? state.jobs[at - 1] : null;

  if (before && job.action === "cluster_create" && before.action === "solve_layout")
    return before.started || job.started;
  return job ? job.started : 0;
}
