// SPDX-License-Identifier: Apache-2.0
// The list of clusters: pure functions over {byId: Map, loaded}. The stream carries no numbers, so
// the list is fetched whenever the stream opens; summaries that arrive while that fetch is under
// way are newer than what it answers and are put on top of it.

import { words } from "./clusterfields.js";

export function initial() {
  return { byId: new Map(), loaded: false };
}

export function replaceAll(state, list, newer = []) {
  const byId = new Map();

  for (const summary of list)
    byId.set(summary.id, summary);
  for (const summary of newer)
    byId.set(summary.id, summary);
  return { byId, loaded: true };
}

export function merge(state, summaries) {
  const byId = new Map(state.byId);

  for (const summary of summaries)
    byId.set(summary.id, summary);
  return { ...state, byId };
}

// Newest first. filter: {text, terminated}.
export function select(state, filter) {
  const text = (filter.text || "").trim().toLowerCase();

  return [...state.byId.values()]
    .filter((c) => filter.terminated || c.status !== "terminated")
    .filter((c) => !text || words(c).includes(text))
    .sort((a, b) => b.createTime - a.createTime || (a.id < b.id ? 1 : -1));
}

export function totals(state) {
  const all = [...state.byId.values()];
  const alive = all.filter((c) => c.status !== "terminated");

  return {
    clusters: alive.length,
    terminated: all.length - alive.length,
    nodes: alive.reduce((sum, c) => sum + (c.numNodes || 0), 0),
    pending: alive.filter((c) => c.status === "pending").length,
  };
}
