// SPDX-License-Identifier: Apache-2.0
// The dialog of a change to a cluster: what is asked for, what that would change, and Apply, which
// does exactly what is shown or nothing.

import { applyChange, getConfig, getServices, planChange } from "./api.js";
import { announce, field, h } from "./dom.js";
import { openModal } from "./modal.js";
import { isEmptyPlan, planView } from "./planview.js";

const PLAN_WAIT = 300;
const REFUSALS = [400, 404, 409, 422];

// operation; in which statuses; fields(cluster, signal) answers {els, read()}: read() answers the
// rest of the request, or throws an Error for the user.
export const CHANGES = [
  { operation: "configure", title: "Configure", from: ["active", "inconsistent"],
    fields: configFields },
  { operation: "expand", title: "Add machines", from: ["active"],
    fields: () => countFields("Machines to add") },
  { operation: "shrink", title: "Remove machines", from: ["active", "inconsistent"],
    fields: () => countFields("Machines to remove") },
  { operation: "restart", title: "Restart services", from: ["active", "inconsistent"],
    fields: serviceFields },
  { operation: "retry", title: "Try again", from: ["incomplete", "inconsistent"],
    fields: () => words("What is left of the work that failed is done.") },
  { operation: "rollback", title: "Take back", from: ["incomplete", "inconsistent"],
    fields: () => words("What the failed or aborted work has done is undone.") },
];

function words(text) {
  return { els: [h("p", { class: "muted", text })], read: () => ({}) };
}

async function configFields(cluster, signal) {
  const text = h("textarea", { id: "change-config", rows: "12", spellcheck: "false",
    autocapitalize: "none", autocomplete: "off" });
  const restart = h("input", { type: "checkbox", id: "change-restart", checked: true });

  text.value = JSON.stringify(await getConfig(cluster.id, signal), null, 2);
  return {
    els: [field("Configuration", text, "The whole configuration, as JSON").el,
      h("label", { class: "check" }, restart, "Restart what depends on it")],
    read: () => ({ config: readObject(text), restart: restart.checked }),
  };
}

// Throws words that name the place, and marks the field for assistive tools.
function readObject(text) {
  try {
    const value = JSON.parse(text.value);

    if (value === null || typeof value !== "object" || Array.isArray(value))
      throw new Error("it must be an object, { ... }");
    text.removeAttribute("aria-invalid");
    return value;
  } catch (error) {
    text.setAttribute("aria-invalid", "true");
    throw new Error(`Not valid yet: ${error.message}`, { cause: error });
  }
}

function countFields(label) {
  const count = h("input", { id: "change-count", type: "number", min: "1", step: "1",
    required: true, inputmode: "numeric", value: "1" });

  return { els: [field(label, count).el], read: () => {
    const n = Number(count.value);

    if (!Number.isInteger(n) || n < 1)
      throw new Error("Give a whole number from 1.");
    return { count: n };
  } };
}

async function serviceFields(cluster, signal) {
  const names = await getServices(cluster.id, signal);
  const select = h("select", { id: "change-service" }, h("option", { value: "", text: "All" }),
    ...names.map((name) => h("option", { value: name, text: name })));

  return { els: [field("Services", select, "With those that depend on them").el],
    read: () => (select.value ? { services: [select.value] } : {}) };
}

export function openChange(cluster, change) {
  const stop = new AbortController();
  const body = h("div", { class: "modal-body" }, h("p", { class: "muted", text: "One moment" }));
  const dialog = openModal({ title: `${change.title}: ${cluster.name}`, cls: "wide",
    onClose: () => stop.abort() }, body);

  Promise.resolve(change.fields(cluster, stop.signal)).then(
    (fields) => fillForm({ body, dialog, cluster, change, fields, signal: stop.signal }),
    (error) => {
      if (error.name !== "AbortError")
        body.replaceChildren(h("p", { class: "callout", role: "alert", "data-tone": "bad",
          text: error.message }));
    });
}

function fillForm({ body, dialog, cluster, change, fields, signal }) {
  const shown = h("div", { class: "preview", id: "change-plan", "aria-live": "polite",
    hidden: true });
  const problem = h("p", { class: "callout", id: "change-problem", role: "alert",
    "data-tone": "bad", hidden: true });
  const apply = h("button", { class: "button primary", type: "submit", id: "change-apply",
    text: "Apply", disabled: true });
  const form = h("form", { class: "form", novalidate: true, oninput: typed, onsubmit: send },
    ...fields.els, problem, shown,
    h("div", { class: "modal-foot" },
      h("button", { class: "button", type: "button", text: "Cancel",
        onclick: () => dialog.close() }), apply));
  let timer = 0;
  let running = new AbortController();
  let planned = null; /* {request, token} that Apply stands for */

  function forget() {
    clearTimeout(timer);
    running.abort();
    planned = null;
    apply.disabled = true;
  }

  function say(text, tone = "bad") {
    problem.textContent = text;
    problem.dataset.tone = tone;
    problem.hidden = !text;
  }

  function typed() {
    forget();
    shown.dataset.stale = "true";
    timer = setTimeout(() => plan(""), PLAN_WAIT);
  }

  async function plan(note) {
    let request;

    forget();
    running = new AbortController();
    const mine = AbortSignal.any([running.signal, signal]);

    try {
      request = { operation: change.operation, ...fields.read() };
    } catch (error) {
      shown.hidden = true;
      say(error.message, "warn");
      return;
    }
    try {
      const answer = await planChange(cluster.id, request, mine);

      show(answer, note);
      planned = { request, token: answer.token };
      apply.disabled = isEmptyPlan(answer);
    } catch (error) {
      if (error.name === "AbortError")
        return;
      shown.hidden = true;
      say(error.message, REFUSALS.includes(error.status) ? "warn" : "bad");
    }
  }

  function show(answer, note) {
    shown.replaceChildren(planView(answer));
    shown.dataset.stale = "false";
    shown.hidden = false;
    say(note, "warn");
  }

  async function send(event) {
    event.preventDefault();
    if (!planned || apply.disabled)
      return;
    apply.disabled = true;
    try {
      await applyChange(cluster.id, planned.request, planned.token);
      announce(`${change.title}: begun`);
      dialog.close();
    } catch (error) {
      if (error.status === 409)
        await plan(`Nothing was done: ${error.message}`);
      else
        say(error.message);
      apply.disabled = !planned;
    }
  }

  body.replaceChildren(form);
  form.querySelector("textarea, input, select, button").focus();
  plan("");
}
