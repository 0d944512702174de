// SPDX-License-Identifier: Apache-2.0

import { formFields } from "../web/js/clusterfields.js";
import { withHosts } from "../web/js/clusterhead.js";
import { h, setText, tags } from "../web/js/dom.js";
import { getSnapshot, refusalText } from "../web/js/api.js";
import { actionDoing, actionName, age, count, duration, fewNames, parseExactly, plainLog, shortHost,
  ticking } from "../web/js/format.js";
import { askable, isPossible, pathOf, setOperations } from "../web/js/operations.js";
import { isEmptyPlan, planSummary, planView } from "../web/js/planview.js";
import { parse } from "../web/js/router.js";
import { equal, test } from "./harness.js";

test("lengths of time, which no line is broken in", () => {
  const plain = (text) => text.replaceAll("\u00a0", " ");

  equal([0, 450, 9990, 12000, 185000, 7800000, 300000000].map((ms) => plain(duration(ms))),
    ["0.0 s", "0.4 s", "9.9 s", "12 s", "3 m 05 s", "2 h 10 m", "3 d"]);
  equal(duration(185000).includes(" "), false);
  equal([-5000, 999, 59999, 60000].map((ms) => plain(ticking(ms))), ["0 s", "0 s", "59 s", "1 m 00 s"]);
  equal([5000, 120000, 7200000, 86400000 * 3].map(age), ["5 s", "2 min", "2 h", "3 d"]);
});

test("a failure names nodes as the page does", () => {
  const nodes = new Map([["a", { num: 1001, hostname: "fail2-3-1001.local" }]]);

  equal(withHosts("INSTALL of bad on node 1001 failed: no", nodes), "INSTALL of bad on fail2-3-1001 failed: no");
  equal(withHosts("START on node 1002 failed", nodes), "START on node 1002 failed");
});

test("an API of the version before is not the end of a cluster", async () => {
  const real = window.fetch;
  const statuses = async (cluster) => {
    window.fetch = async (path) => new Response("{}", { status: String(path).includes("/snapshot?") ? 404 : cluster });
    return getSnapshot("00000001").then(() => 200, (error) => error.status);
  };

  try {
    equal([await statuses(200), await statuses(404), await statuses(503)], [503, 404, 503]);
  } finally {
    window.fetch = real;
  }
});

test("counts and names", () => {
  equal([count(1, "node"), count(0, "node"), shortHost("a-1000.local"), shortHost(undefined)],
    ["1 node", "0 nodes", "a-1000", ""]);
});

test("logs lose colours, cursor moves and overwritten lines, and keep their text", () => {
  equal(plainLog("\u001b[1;32m+ ok\u001b[0m\r\n"), "+ ok\n");
  equal(plainLog("10%\r50%\r100%\ndone"), "100%\ndone");
  equal(plainLog("10%\r50%\r"), "50%");
  equal(plainLog("a\u0000b\tc <b>&amp;</b>"), "ab\tc <b>&amp;</b>");
  equal(plainLog("\u001b]0;title\u0007x"), "x");
});

test("plans of changes", () => {
  const nothing = { nodes: { added: [], removed: [], changed: [] }, config: [], tasks: [] };
  const some = { nodes: { added: [{}, {}], removed: [{}] }, config: [{}], tasks: [{}, {}] };

  equal([nothing, {}, some, { tasks: [{}] }].map(isEmptyPlan), [true, true, false, false]);
  equal([nothing, some].map(planSummary), ["Nothing would change.",
    "2 nodes added, 1 node removed, 1 setting changed, 2 tasks"]);
});

test("the tasks of a plan are of nodes by their host names, new ones and those that there are", () => {
  const view = planView({ nodes: { added: [{ nodenum: 1002, hostname: "shop3-1002.local" }] }, tasks: [
    { taskName: "CREATE", nodenum: 1002 }, { taskName: "START", service: "web", nodenum: 1000 },
    { taskName: "START", service: "web", nodenum: 1009 }] }, [{ num: 1000, hostname: "shop3-1000.local" }]);

  equal([...view.querySelectorAll(".muted.num")].map((one) => one.textContent),
    ["shop3-1002", "shop3-1000", "node 1009"]);
});

test("operations have the words and places that the API gives them", () => {
  const kinds = [
    { name: "create", actions: ["cluster_create"], from: [], needs: [], fields: [],
      title: "Create", doing: "creating" },
    { name: "stop", actions: ["stop_services"], from: ["active"], needs: [], fields: ["services"],
      method: "POST", path: "services/stop", title: "Stop services", doing: "stopping services" },
    { name: "drop", actions: ["drop"], from: ["active", "odd"], needs: ["services"],
      fields: ["services"], method: "DELETE", path: "services/{service}/x", title: "Drop" },
  ];

  equal([actionName("STOP_SERVICES"), actionDoing("cluster_create"), actionDoing("no_such"),
    actionName("")], ["stop services", "cluster create", "no such", "Work"]);
  setOperations(kinds);
  equal([actionName("STOP_SERVICES"), actionDoing("cluster_create"), actionDoing("no_such")],
    ["Stop services", "creating", "no such"]);
  equal(askable().map(({ name }) => name), ["stop", "drop"]);
  equal(kinds.map((kind) => isPossible(kind, "odd")), [false, false, true]);
  equal([pathOf(kinds[1], {}), pathOf(kinds[2], { services: ["a/b"] })],
    ["services/stop", "services/a%2Fb/x"]);
  setOperations(null);
  equal(askable(), []);
});

test("routes", () => {
  equal(["", "#/", "#/clusters/00000012", "#/clusters/../x", "#/clusters/12/x"].map((hash) =>
    parse(hash).name), ["clusters", "clusters", "cluster", "unknown", "unknown"]);
  equal(parse("#/clusters/00000012").id, "00000012");
});

// refusalText waits for the body, so this module is only loaded when all answers are in.
const outcomes = {};
const answers = {
  problem: new Response('{"title":"Bad Request","detail":"size: at least 2"}', { status: 400 }),
  plain: new Response("numMachines is too small\n", { status: 400 }),
  fields: new Response('{"missingFields":[{"ssh_key":{},"user":{}},{"token":{}}]}',
    { status: 400 }),
  html: new Response("<html><h1>Bad gateway</h1></html>", { status: 502 }),
  empty: new Response("", { status: 418 }),
};

for (const [name, answer] of Object.entries(answers))
  outcomes[name] = await refusalText(answer);

test("refusals in all their forms become one sentence", () => {
  equal(outcomes, {
    problem: "size: at least 2",
    plain: "numMachines is too small",
    fields: "The provider needs more fields: ssh_key and user, or token.",
    html: "Loom's API does not answer at the moment.",
    empty: "Refused with status 418.",
  });
});

function labelsOf(text) {
  const [field] = formFields();

  field.el.querySelector("input").value = text;
  try {
    return JSON.stringify(field.read());
  } catch (error) {
    return error.message;
  }
}

test("every label that is typed is sent", () => {
  equal(labelsOf("__proto__=x, constructor=y a=b=c"),
    '{"labels":{"__proto__":"x","constructor":"y","a":"b=c"}}');
  equal(labelsOf(" "), "{}");
  equal(labelsOf("a=1 a=2"), 'The label "a" is given twice.');
});

test("marks that turn the direction of text are spelt wherever others' text is shown", () => {
  const turned = "a\u202eb\u2067";
  const el = h("p", { text: turned }, turned);

  equal(el.textContent, "a\\u202eb\\u2067a\\u202eb\\u2067");
  setText(el, turned);
  equal(el.textContent, "a\\u202eb\\u2067");
  equal(plainLog(turned), "a\\u202eb\\u2067");
});

test("a thousand names are told by the first of them", () => {
  const names = Array.from({ length: 1000 }, (_, n) => `s${n}`);

  equal(tags(names).querySelectorAll(".tag").length, 40);
  equal(tags(names).textContent.endsWith("s39and 960 more"), true);
  equal(fewNames(names).endsWith("s38, s39 and 960 more"), true);
  equal(fewNames(["a", "b"]), "a, b");
});

test("what is sent back is as it was read, or not read", () => {
  const read = (text) => {
    try {
      return JSON.stringify(parseExactly(text));
    } catch (error) {
      return error.message.split(":")[0];
    }
  };

  equal(read('{"a":1.50,"__proto__":{"b":9007199254740991}}'), '{"a":1.5,"__proto__":{"b":9007199254740991}}');
  equal(read('{"quota":[9007199254740993]}'), "0 is 9007199254740993");
});
