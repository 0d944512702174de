// SPDX-License-Identifier: Apache-2.0
// What can be done to a cluster: its job paused, resumed and aborted while there is one, and a menu
// of changes while it is at rest.

import { controlJob } from "./api.js";
import { changes, openChange } from "./change.js";
import { announce, h, icon, setText } from "./dom.js";
import { actionName } from "./format.js";
import { confirmModal } from "./modal.js";
import { isPossible } from "./operations.js";

export function actionBar(cluster, nodes) {
  const problem = h("p", { class: "callout", id: "action-problem", role: "alert",
    "data-tone": "bad", hidden: true });
  const pause = button("Pause", "pause", () => control("pause"));
  const resume = button("Resume", "resume", () => control("resume"));
  const abort = button("Abort", "abort", askAbort);
  const menu = changeMenu(cluster, nodes);
  const el = h("div", { class: "action-bar", role: "group", "aria-label": "Actions" },
    pause, resume, abort, menu.el);
  let job = null;

  async function control(verb) {
    problem.hidden = true;
    for (const one of [pause, resume, abort])
      one.disabled = true;
    try {
      await controlJob(cluster.id, verb);
      announce(`${verb} of ${cluster.name} asked for`);
    } catch (error) {
      setText(problem, error.message);
      problem.hidden = false;
    } finally {
      for (const one of [pause, resume, abort])
        one.disabled = false;
    }
  }

  function askAbort() {
    const create = job && ["cluster_create", "solve_layout"].includes(job.action);

    confirmModal({
      title: `Abort ${job ? actionName(job.action).toLowerCase() : "the work"}?`,
      text: create ? "The nodes made so far will be deleted."
        : "Tasks that run now are ended; the cluster stays as it is at that moment.",
      verb: "Abort",
      keep: "Go on",
      act: () => controlJob(cluster.id, "abort"),
    });
  }

  function update(state) {
    const pending = state.status === "pending";

    job = state.jobs[state.jobs.length - 1] || null;
    const paused = Boolean(job) && job.status === "paused";
    const focus = document.activeElement;

    pause.hidden = !pending || !job || paused;
    resume.hidden = !pending || !paused;
    abort.hidden = !pending || !job;
    menu.update(state.status);
    if (focus === pause && pause.hidden && paused)
      resume.focus();
    else if (focus === resume && resume.hidden && pending)
      pause.focus();
  }

  return { el, problem, update };
}

function button(text, id, act) {
  return h("button", { class: "button", type: "button", id: `${id}-job`, hidden: true, text,
    onclick: act });
}

// A native disclosure: Enter and Space open it, Tab walks through it, Escape closes it.
function changeMenu(cluster, nodes) {
  const summary = h("summary", { class: "button", id: "change-menu" }, "Change", icon("down"));
  const kinds = changes();
  const items = kinds.map((kind) => h("button", { class: "menu-item", type: "button",
    data: { change: kind.name }, onclick: () => choose(kind) }, kind.title));
  const el = h("details", { class: "menu", hidden: true }, summary,
    h("div", { class: "menu-list" }, ...items));

  function choose(kind) {
    el.open = false;
    summary.focus();
    openChange(cluster, kind, nodes());
  }

  function update(status) {
    el.hidden = !kinds.some((kind) => isPossible(kind, status));
    kinds.forEach((kind, i) => {
      items[i].disabled = !isPossible(kind, status);
    });
    if (el.hidden)
      el.open = false;
  }

  el.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !el.open)
      return;
    el.open = false;
    summary.focus();
  });
  el.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !el.contains(event.relatedTarget))
      el.open = false;
  });
  el.addEventListener("toggle", () => {
    if (el.open)
      addEventListener("pointerdown", outside);
    else
      removeEventListener("pointerdown", outside);
  });

  function outside(event) {
    if (!el.contains(event.target))
      el.open = false;
  }

  return { el, update };
}
