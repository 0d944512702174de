// SPDX-License-Identifier: Apache-2.0

import { setOperations } from "../web/js/operations.js";
import { currentJob, fromSnapshot, initial, nodeState, nodesOf, plannedJobs, progressOf, reduce, startOf,
  tasksByNode } from "../web/js/store.js";
import { equal, ok, test } from "./harness.js";

const SOLVE = "00000012-001";
const CREATE = "00000012-002";
const DELETE = "00000012-003";

// Numbers events and gives each a time, a second apart.
function history(...list) {
  return list.map(([type, data], i) =>
    ({ seq: i + 1, type, data: { time: (i + 1) * 1000, ...data } }));
}

const node = (n) => ({ nodeId: `n${n}`, nodenum: 1000 + n, hostname: `hello12-${1000 + n}.local`,
  hardwaretype: "small", imagetype: "debian12", services: ["web"] });

const step = (k, n, taskName, service = "", stage = k) => ({ taskId: `${CREATE}-${k}`, taskName,
  nodeId: `n${n}`, nodenum: 1000 + n, service, stage, after: [] });

const state = (k, n, word, more) => ["task", { taskId: `${CREATE}-${k}`, taskName: "CREATE",
  service: "", nodeId: `n${n}`, nodenum: 1000 + n, hostname: `hello12-${1000 + n}.local`,
  state: word, attempt: 1, ...more }];

const PLAN = ["plan", { jobId: CREATE, action: "cluster_create", nodes: [node(1), node(0)],
  tasks: [step(1, 0, "CREATE", "", 0), step(2, 1, "CREATE", "", 0),
    step(3, 0, "INSTALL", "web", 1)] }];

const START = [
  ["cluster", { status: "pending" }],
  ["job", { jobId: SOLVE, action: "solve_layout", status: "running", stepstotal: 0,
    stepscompleted: 0 }],
  ["job", { jobId: SOLVE, action: "solve_layout", status: "complete", stepstotal: 0,
    stepscompleted: 0 }],
  PLAN,
  ["job", { jobId: CREATE, action: "cluster_create", status: "running", stepstotal: 3,
    stepscompleted: 0 }],
];

const from = (...list) => reduce(initial(), history(...list));

test("a plan makes nodes by number and pending tasks in the order they run", () => {
  const s = from(...START);
  const job = currentJob(s);

  equal(job.id, CREATE);
  equal(nodesOf(s, job).map((n) => n.num), [1000, 1001]);
  equal(tasksByNode(s, job).get("n0").map((t) => [t.name, t.service, t.state]),
    [["create", "", "pending"], ["install", "web", "pending"]]);
  equal(progressOf(s, job), { total: 3, done: 0 });
  equal(startOf(s, job), 2000);
});

test("a task moves through its states and keeps its times", () => {
  const s = from(...START, state(1, 0, "ready", { attempt: 0 }), state(1, 0, "running",
    { provisionerId: "p1" }), state(1, 0, "complete", { statusCode: 0 }));
  const task = s.tasks.get(`${CREATE}-1`);

  equal([task.state, task.started, task.ended, task.worker, task.statusCode],
    ["complete", 7000, 8000, "p1", 0]);
  equal(progressOf(s, currentJob(s)), { total: 3, done: 1 });
});

test("a retry remembers when and why, and running again starts a new clock", () => {
  const failed = [...START, state(1, 0, "running"),
    state(1, 0, "retry", { message: "exit 7", retryAt: 9999 })];
  const s = from(...failed);
  const again = from(...failed, state(1, 0, "running", { attempt: 2 }));
  const task = s.tasks.get(`${CREATE}-1`);

  equal([task.state, task.message, task.retryAt], ["retry", "exit 7", 9999]);
  equal(nodeState(tasksByNode(s, currentJob(s)).get("n0"), currentJob(s)), "retry");
  equal([again.tasks.get(task.id).started, again.tasks.get(task.id).retryAt,
    again.tasks.get(task.id).attempt, again.tasks.get(task.id).message], [8000, 0, 2, ""]);
});

test("a second plan of the same job adds tasks and loses none", () => {
  const s = from(...START, state(1, 0, "complete"), ["plan", { jobId: CREATE,
    action: "cluster_create", nodes: [], tasks: [step(9, 0, "DELETE", "", 0)] }]);
  const job = currentJob(s);

  equal(s.tasks.size, 4);
  equal(s.tasks.get(`${CREATE}-1`).state, "complete");
  equal(nodesOf(s, job).length, 2);
  equal(progressOf(s, job), { total: 4, done: 1 });
});

test("a plan that repeats a known task does not reset it", () => {
  const s = from(...START, state(1, 0, "running"), PLAN);

  equal(s.tasks.get(`${CREATE}-1`).state, "running");
  equal(s.tasks.size, 3);
});

test("events seen before change nothing, so a resumed stream may overlap", () => {
  const events = history(...START, state(1, 0, "running"), state(1, 0, "complete"));
  const once = reduce(initial(), events);
  const twice = reduce(reduce(reduce(initial(), events.slice(0, 6)), events.slice(2, 6)), events);

  equal(twice, once);
});

test("one at a time or all at once gives the same state", () => {
  const events = history(...START, state(1, 0, "running"), state(2, 1, "running"),
    state(1, 0, "failed", { message: "no" }), ["cluster", { status: "incomplete", message: "no" }]);

  equal(events.reduce((s, e) => reduce(s, [e]), initial()), reduce(initial(), events));
});

test("the old state stays as it was, and what did not change stays the same object", () => {
  const old = from(...START);
  const before = JSON.stringify([...old.tasks, ...old.nodes, old.jobs, old.feed]);
  const next = reduce(old, [{ seq: 6, type: "task", data: state(1, 0, "running")[1] }]);

  equal(JSON.stringify([...old.tasks, ...old.nodes, old.jobs, old.feed]), before);
  ok(next.tasks.get(`${CREATE}-2`) === old.tasks.get(`${CREATE}-2`), "same task");
  ok(next.nodes.get("n0") === old.nodes.get("n0"), "same node");
  ok(next.tasks.get(`${CREATE}-1`) !== old.tasks.get(`${CREATE}-1`), "changed task");
});

test("a task that no plan named appears all the same, with its node and job", () => {
  const s = from(state(4, 7, "running"));
  const task = s.tasks.get(`${CREATE}-4`);

  equal([task.jobId, task.nodeId], [CREATE, "n7"]);
  equal(s.nodes.get("n7").num, 1007);
});

test("a node event brings the address and keeps the rest", () => {
  const s = from(...START, ["node", { nodeId: "n0", nodenum: 1000, hostname: "hello12-1000.local",
    ipaddresses: { access_v4: "10.0.0.5" } }]);

  equal(s.nodes.get("n0").addresses, { access_v4: "10.0.0.5" });
  equal(s.nodes.get("n0").hardware, "small");
});

test("complete means all tasks are done, whatever was retried", () => {
  const s = from(...START, state(1, 0, "failed"), ["job", { jobId: CREATE,
    action: "cluster_create", status: "complete", stepstotal: 3, stepscompleted: 3 }],
  ["cluster", { status: "active" }]);
  const job = currentJob(s);

  equal(progressOf(s, job), { total: 3, done: 3 });
  equal([s.status, job.ended], ["active", 7000]);
});

test("a failed layout is the job to show, with its message", () => {
  const s = from(START[0], ["job", { jobId: SOLVE, action: "solve_layout", status: "failed",
    stepstotal: 0, stepscompleted: 0, message: "no layout" }], ["cluster", { status: "terminated",
    message: "no layout" }]);

  equal(currentJob(s).message, "no layout");
  equal(s.message, "no layout");
  equal(plannedJobs(s), []);
});

test("a later job is shown when it has tasks; the earlier one can be chosen", () => {
  const s = from(...START, ["plan", { jobId: DELETE, action: "CLUSTER_DELETE", nodes: [node(0)],
    tasks: [{ taskId: `${DELETE}-1`, taskName: "DELETE", nodeId: "n0", nodenum: 1000, service: "",
      stage: 0, after: [] }] }]);

  equal(currentJob(s).action, "cluster_delete");
  equal(plannedJobs(s).map((job) => job.id), [CREATE, DELETE]);
  equal(nodesOf(s, currentJob(s)).length, 1);
  equal(nodesOf(s, s.jobs.find((job) => job.id === CREATE)).length, 2);
});

test("what a node is doing", () => {
  const t = (...states) => states.map((word) => ({ state: word }));
  const running = { status: "running" };
  const failed = { status: "failed" };
  const complete = { status: "complete" };

  equal(nodeState(t("complete", "running", "pending"), running), "running");
  equal(nodeState(t("complete", "ready"), running), "ready");
  equal(nodeState(t("pending", "pending"), running), "waiting");
  equal(nodeState(t("complete", "complete"), running), "done");
  equal(nodeState(t("complete", "failed", "pending"), failed), "failed");
  equal(nodeState(t("complete", "failed", "pending"), running), "waiting");
  equal(nodeState(t("complete", "dropped"), complete), "done");
  equal(nodeState(t("failed", "complete"), complete), "done");
  equal(nodeState(t("pending", "pending"), failed), "stopped");
});

test("the feed tells the story in order and forgets the oldest lines first", () => {
  setOperations([{ actions: ["solve_layout"], title: "Layout", doing: "laying out" },
    { name: "create", actions: ["cluster_create"], title: "Create",
    doing: "creating" }]);
  const s = from(...START, state(1, 0, "running"), state(1, 0, "complete"));
  const many = [];

  equal(s.feed.map((line) => `${line.subject} ${line.text}`), ["cluster is pending",
    "layout started", "layout done", "plan creating: 3 tasks on 2 nodes", "create started",
    "hello12-1000 create started", "hello12-1000 create done in 1.0\u00a0s"]);
  for (let i = 0; i < 300; i++)
    many.push(state(1, 0, "running"), state(1, 0, "retry"));
  const long = from(...START, ...many);

  equal([long.feed.length, long.feedCut, long.feed[399].seq], [400, 205, 605]);
  setOperations([]);
});

test("leases and templates are told and change nothing", () => {
  const s = from(["cluster", { status: "active" }], ["lease", { expireTime: 1896112800000 }],
    ["lease", { expireTime: 1896112800000, warning: true }],
    ["lease", { expireTime: 1896112800000, expired: true }],
    ["template", { template: "web", version: 2 }]);

  equal(s.status, "active");
  equal(s.feed.map((line) => `${line.subject} ${line.text}`.replace(/ [^ ]*2030.*/, "")
    .replace(/ (Jan|31).*/, "")), ["cluster is active", "lease ends",
    "lease is nearly over: it ends", "lease is over since",
    "cluster follows version 2 of template web"]);
});

test("an unknown type, or one without data, is harmless", () => {
  const s = from(["something", { x: 1 }], ["cluster", undefined]);

  equal([s.seq, s.status, s.feed], [2, "", []]);
});

test("a large history is reduced at once", () => {
  const tasks = [];
  const events = [];

  for (let n = 0; n < 500; n++)
    for (let k = 0; k < 10; k++)
      tasks.push(step(n * 10 + k, n, "INSTALL", "web", k));
  events.push(["plan", { jobId: CREATE, action: "cluster_create",
    nodes: Array.from({ length: 500 }, (_, n) => node(n)), tasks }]);
  for (const task of tasks)
    for (const word of ["ready", "running", "complete"])
      events.push(["task", { ...task, state: word, attempt: 1 }]);
  const began = performance.now();
  const s = from(...events);

  equal(progressOf(s, currentJob(s)), { total: 5000, done: 5000 });
  ok(performance.now() - began < 2000, "under two seconds");
});

test("another node takes the place and the tasks of one that could not be made", () => {
  const s = from(...START, state(1, 0, "running"), state(1, 0, "retry", { message: "no" }),
    ["replace", { jobId: CREATE, ...node(0), message: "no", by: node(2),
      moved: [`${CREATE}-1`, `${CREATE}-3`, "nonsense"] }],
    ["plan", { jobId: CREATE, action: "cluster_create", nodes: [], tasks: [
      { ...step(4, 0, "DELETE"), taskId: `${CREATE}-4` }] }]);
  const job = currentJob(s);

  equal(nodesOf(s, job).map((n) => n.num), [1000, 1001, 1002]);
  equal(tasksByNode(s, job).get("n2").map((t) => t.name), ["create", "install"]);
  equal(tasksByNode(s, job).get("n0").map((t) => t.name), ["delete"]);
  ok(s.feed.some((line) => line.text.includes("is replaced by hello12-1002")));
});

// What the server answers for a history: the newest events, of the others those not about one task,
// and how each task stands that is not just planned, without what the plan says of it. A plan's tasks
// have no ids of nodes, and not what they wait for.
function snapshotOf(events, recent) {
  const whole = reduce(initial(), events);
  const cut = events.length - recent;
  const brief = (event) => (event.type !== "plan" ? event : { ...event, data: { ...event.data,
    tasks: event.data.tasks.map((task) => ({ ...task, nodeId: undefined, after: undefined })) } });

  return { cluster: { status: whole.status, message: whole.message, lastEvent: events.length },
    before: events.slice(0, cut).filter((event) => event.type !== "task").map(brief),
    recent: events.slice(cut).map(brief),
    tasks: [...whole.tasks.values()].filter((task) => task.state !== "pending")
      .map((task) => ({ ...events.findLast(({ data }) => data.taskId === task.id).data,
        taskName: undefined, service: undefined, nodeId: undefined, nodenum: undefined,
        hostname: undefined, started: task.started, worker: task.worker })) };
}

test("a snapshot and what follows tell what the whole history tells, wherever it is cut", () => {
  const events = history(...START, state(1, 0, "running", { provisionerId: "p1" }),
    state(2, 1, "running"), state(1, 0, "complete"), ["node", { nodeId: "n0", nodenum: 1000,
      ipaddresses: { access_v4: "10.0.0.5" } }], state(2, 1, "retry", { message: "no", retryAt: 5 }),
    state(2, 1, "running", { attempt: 2 }), state(2, 1, "failed", { message: "no" }),
    ["cluster", { status: "incomplete", message: "no" }], ["labels", { labels: { a: "b" } }]);

  for (let known = 5; known <= events.length; known++) {
    for (let recent = 0; recent <= known; recent++) {
      const s = reduce(fromSnapshot(snapshotOf(events.slice(0, known), recent)), events.slice(known));
      const whole = reduce(initial(), events);

      for (const part of ["seq", "status", "message", "nodes", "tasks", "jobs"])
        equal(s[part], whole[part]);
      equal(s.feed.map((line) => line.text), whole.feed.slice(whole.feed.length - s.feed.length).map((line) => line.text));
    }
  }
});

test("a plan that comes in parts is one line, of all of it", () => {
  const s = from(...START.slice(0, 3), ["plan", { ...PLAN[1], part: 1, taskstotal: 4, nodestotal: 2 }],
    ["plan", { jobId: CREATE, action: "cluster_create", part: 2, taskstotal: 4, nodestotal: 2, nodes: [],
      tasks: [step(4, 1, "INSTALL", "web", 1)] }]);

  equal(s.tasks.size, 4);
  equal(s.feed.filter((line) => line.text.includes("4 tasks on 2 nodes")).length, 1);
  equal(s.feed.filter((line) => line.text.includes("task")).length, 1);
});
