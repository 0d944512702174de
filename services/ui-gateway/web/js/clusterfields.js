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

  return [
    { el: field("If it cannot be finished", failure).el,
      read: () => ({ onFailure: failure.value }) },
  ];
}

export function facts(cluster) {
  const known = [
    ["Id", cluster.id, "mono"],
    ["Template", cluster.clusterTemplate && cluster.clusterTemplate.name],
    ["Provider", cluster.provider && cluster.provider.name],
    ["Created", moment(cluster.createTime)],
  ].filter(([, value]) => value);

  return known.map(([name, value, cls]) =>
    h("div", {}, h("dt", { text: name }), h("dd", { class: cls, text: value })));
}

export function underName(cluster) {
  return [cluster.id].join(" \u00b7 ");
}

export function words(cluster) {
  const template = cluster.clusterTemplate ? cluster.clusterTemplate.name : "";

  return [cluster.name, cluster.id, template, cluster.status, ...(cluster.services || [])]
    .join(" ").toLowerCase();
}
