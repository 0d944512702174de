// SPDX-License-Identifier: Apache-2.0

import { initial, merge, replaceAll, select, totals } from "../web/js/liststore.js";
import { equal, test } from "./harness.js";

const cluster = (id, createTime, status = "active", more = {}) => ({ id, name: `c${id}`, createTime,
  status, numNodes: 3, clusterTemplate: { name: "web" }, services: ["nginx"], ...more });

test("the list is newest first and hides terminated clusters until asked", () => {
  const s = replaceAll(initial(), [cluster("1", 10), cluster("2", 30),
    cluster("3", 20, "terminated")]);

  equal(select(s, {}).map((c) => c.id), ["2", "1"]);
  equal(select(s, { terminated: true }).map((c) => c.id), ["2", "3", "1"]);
  equal(totals(s), { clusters: 2, terminated: 1, nodes: 6, pending: 0 });
});

test("a summary that came while the list was read is newer than the list", () => {
  const s = replaceAll(initial(), [cluster("1", 10, "pending")],
    [cluster("1", 10, "active"), cluster("2", 20, "pending")]);

  equal(select(s, {}).map((c) => [c.id, c.status]), [["2", "pending"], ["1", "active"]]);
});

test("a fresh list drops what is not in it any more", () => {
  const s = replaceAll(replaceAll(initial(), [cluster("1", 10)]), [cluster("2", 10)]);

  equal([...s.byId.keys()], ["2"]);
});

test("merging leaves the old state alone", () => {
  const old = replaceAll(initial(), [cluster("1", 10, "pending")]);
  const next = merge(old, [cluster("1", 10, "active")]);

  equal([old.byId.get("1").status, next.byId.get("1").status], ["pending", "active"]);
});

test("the filter looks at name, id, template, status and services", () => {
  const s = replaceAll(initial(), [cluster("1", 10), cluster("2", 20, "pending",
    { services: ["postgres"], clusterTemplate: undefined })]);
  const found = (text) => select(s, { text }).map((c) => c.id);

  equal([found("POSTGRES"), found("c1"), found("web"), found("pending"), found(" "), found("zzz")],
    [["2"], ["1"], ["1"], ["2"], ["2", "1"], []]);
});
