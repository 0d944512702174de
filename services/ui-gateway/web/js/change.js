// SPDX-License-Identifier: Apache-2.0
// The dialog of a change to a cluster: what is asked for, what that would change, and Apply, which
// does exactly what is shown or nothing.

import { applyChange, getCluster, getConfig, getServices, isRefusal, listServices, planChange } from "./api.js";
import { announce, anySignal, field, h, setText } from "./dom.js";
import { count, parseExactly, shortHost } from "./format.js";
import { openModal } from "./modal.js";
import { askable } from "./operations.js";
import { isEmptyPlan, nodesLost, planView } from "./planview.js";

const PLAN_WAIT = 300;

// What a form for a field of an operation is made of: form(cluster, signal, kind) answers
// {els, read()}, where read() answers fields of the request, or throws an Error for the user.
const FORMS = {
  config: configFields,
  count: countFields,
  services: serviceFields,
  nodes: nodeFields,
};
const NO_FORM = () => ({ els: [], read: () => ({}) });

// The form for what an operation needs, or else for what it can be narrowed down to; NULL when this
// page has none for what it needs.
function formOf(kind) {
  const needed = kind.needs.find((field) => FORMS[field]);

  if (kind.needs.length > 0)
    return needed ? FORMS[needed] : null;
  return FORMS[kind.fields[0]] || NO_FORM;
}

// The operations that this page has a form for.
export function changes() {
  return askable().filter(formOf);
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
    const value = parseExactly(text.value);

    if (value === null || typeof value !== "object" || Array.isArray(value))
      throw new Error("it must be an object, { ... }");
    text.removeAttribute("aria-invalid");
    return value;
  } catch (error) {
    text.setAttribute("aria-invalid", "true");
    throw new Error(`Not valid yet: ${error.message}`, { cause: error });
  }
}

function countFields() {
  const input = h("input", { id: "change-count", type: "number", min: "1", step: "1",
    required: true, inputmode: "numeric", value: "1" });

  return { els: [field("How many nodes", input).el], read: () => {
    const n = Number(input.value);

    if (!Number.isInteger(n) || n < 1)
      throw new Error("Give a whole number from 1.");
    return { count: n };
  } };
}

// All of the cluster's services or one of them; of those that are to be added, one that it has not.
async function serviceFields(cluster, signal, kind) {
  const present = await getServices(cluster.id, signal);
  const adds = kind.name === "add_services";
  const names = adds
    ? (await listServices(signal)).map(({ name }) => name).filter((name) => !present.includes(name))
    : present;
  const select = h("select", { id: "change-service" },
    kind.needs.length > 0 ? null : h("option", { value: "", text: "All" }),
    ...[...new Set(names)].map((name) => h("option", { value: name, text: name })));

  return { els: [field("Services", select, adds ? "" : "With those that depend on them").el],
    read: () => {
      if (kind.needs.length > 0 && !select.value)
        throw new Error("There is no service to choose.");
      return select.value ? { services: [select.value] } : {};
    } };
}

async function nodeFields(cluster, signal) {
  const { nodes } = await getCluster(cluster.id, signal);
  const select = h("select", { id: "change-node" }, ...nodes.map(({ properties }) =>
    h("option", { value: String(properties.nodenum), text: shortHost(properties.hostname) })));

  return { els: [field("Node", select).el], read: () => ({ nodes: [Number(select.value)] }) };
}

// nodes: those of the cluster, as {num, hostname}.
export function openChange(cluster, kind, nodes) {
  const stop = new AbortController();
  const body = h("div", { class: "modal-body" }, h("p", { class: "muted", text: "One moment" }));
  const dialog = openModal({ title: `${kind.title}: ${cluster.name}`, cls: "wide",
    onClose: () => stop.abort() }, body);

  Promise.resolve(formOf(kind)(cluster, stop.signal, kind)).then(
    (fields) => fillForm({ body, dialog, cluster, kind, nodes, fields, signal: stop.signal }),
    (error) => {
      if (error.name !== "AbortError")
        body.replaceChildren(h("p", { class: "callout", role: "alert", "data-tone": "bad",
          text: error.message }));
    });
}

function fillForm({ body, dialog, cluster, kind, nodes, fields, signal }) {
  const shown = h("div", { class: "preview", id: "change-plan", "aria-live": "polite",
    hidden: true });
  const problem = h("p", { class: "callout", id: "change-problem", role: "alert",
    "data-tone": "bad", hidden: true });
  const apply = h("button", { class: "button primary", type: "submit", id: "change-apply",
    text: "Apply", disabled: true });
  const form = h("form", { class: "form", novalidate: true, oninput: typed, onsubmit: send },
    h("p", { class: "muted", text: `${kind.help}.` }), ...fields.els, problem, shown,
    h("div", { class: "modal-foot" },
      h("button", { class: "button", type: "button", text: "Cancel",
        onclick: () => dialog.close() }), apply));
  let timer = 0;
  let running = new AbortController();
  let planned = null; /* {asked, token} that Apply stands for */

  function forget() {
    clearTimeout(timer);
    running.abort();
    planned = null;
    apply.disabled = true;
  }

  function say(text, tone = "bad") {
    setText(problem, text);
    problem.dataset.tone = tone;
    problem.hidden = !text;
  }

  function typed() {
    forget();
    shown.dataset.stale = "true";
    timer = setTimeout(() => plan(""), PLAN_WAIT);
  }

  async function plan(note) {
    let asked;

    forget();
    running = new AbortController();
    const mine = anySignal(running.signal, signal);

    try {
      asked = fields.read();
    } catch (error) {
      shown.hidden = true;
      say(error.message, "warn");
      return;
    }
    try {
      const answer = await planChange(cluster.id, { operation: kind.name, ...asked }, mine);

      show(answer, note);
      planned = { asked, token: answer.token };
      apply.disabled = isEmptyPlan(answer);
    } catch (error) {
      if (error.name === "AbortError")
        return;
      shown.hidden = true;
      say(error.message, isRefusal(error) ? "warn" : "bad");
    }
  }

  function show(answer, note) {
    const lost = nodesLost(answer);

    shown.replaceChildren(planView(answer, nodes));
    apply.className = lost > 0 ? "button danger" : "button primary";
    apply.textContent = lost > 0 ? `Apply, and destroy ${count(lost, "node")}` : "Apply";
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
      await applyChange(cluster.id, kind, planned.asked, planned.token);
      announce(`${kind.title}: begun`);
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
