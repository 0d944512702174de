// SPDX-License-Identifier: Apache-2.0
// The fields of a cluster, once: what the form asks for beside name, template and size, the facts
// at the head of its page, what the list shows under its name, and the words it is found by.

import { field, h } from "./dom.js";
import { moment } from "./format.js";

// Answers [{el, read()}]: read() is a part of the request, or throws an Error that says what is wrong.
export function formFields() {
  const failure = h("select", { id: "new-failure", name: "onFailure" },
    h("option", { value: "keep", text: "Keep what was made, for another try" }),
    h("option", { value: "rollback", text: "Delete what was made" }));
  const labels = h("input", { id: "new-labels", name: "labels", autocomplete: "off",
    autocapitalize: "none", spellcheck: "false", placeholder: "env=test team=web" });

  return [
    { el: field("Labels", labels, "KEY=VALUE, with spaces between; none if empty").el,
      read: () => readLabels(labels.value) },
    { el: field("If it cannot be finished", failure).el,
      read: () => ({ onFailure: failure.value }) },
  ];
}

function readLabels(text) {
  const labels = new Map();

  for (const word of text.split(/[\s,]+/).filter(Boolean)) {
    const at = word.indexOf("=");
    const key = word.slice(0, at);

    if (at < 1)
      throw new Error(`The label "${word}" must be KEY=VALUE, as env=test.`);
    if (labels.has(key))
      throw new Error(`The label "${key}" is given twice.`);
    labels.set(key, word.slice(at + 1));
  }
  return labels.size > 0 ? { labels: Object.fromEntries(labels) } : {};
}

export function labelList(cluster) {
  return Object.entries(cluster.labels || {}).map(([key, value]) => `${key}=${value}`);
}

export function facts(cluster) {
  const known = [
    ["Id", cluster.id, "mono"],
    ["Template", cluster.clusterTemplate && cluster.clusterTemplate.name],
    ["Provider", cluster.provider && cluster.provider.name],
    ["Labels", labelList(cluster).join(", ")],
    ["Created", moment(cluster.createTime)],
  ].filter(([, value]) => value);

  return known.map(([name, value, cls]) =>
    h("div", {}, h("dt", { text: name }), h("dd", { class: cls, text: value })));
}

export function underName(cluster) {
  return [cluster.id, ...labelList(cluster)].join(" \u00b7 ");
}

export function words(cluster) {
  const template = cluster.clusterTemplate ? cluster.clusterTemplate.name : "";

  return [cluster.name, cluster.id, template, cluster.status, ...(cluster.services || []),
    ...labelList(cluster)]
    .join(" ").toLowerCase();
}
