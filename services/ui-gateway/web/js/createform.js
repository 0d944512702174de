// SPDX-License-Identifier: Apache-2.0
// The form that creates a cluster. It previews the layout as one types; the server decides.

import { createCluster, isRefusal, listTemplates, planCluster, resolveTemplate } from "./api.js";
import { formFields } from "./clusterfields.js";
import { anySignal, field, h, setText, tags } from "./dom.js";
import { count, fewNames } from "./format.js";
import { openModal } from "./modal.js";
import { clusterHref, go } from "./router.js";

const PREVIEW_WAIT = 250;
const SIZE_NO_LIMIT = 2147483647;

export function openCreateForm() {
  const stop = new AbortController();
  const body = h("div", { class: "modal-body" },
    h("p", { class: "muted", text: "Reading the catalog" }));
  const dialog = openModal({ title: "New cluster", onClose: () => stop.abort() }, body);

  listTemplates(stop.signal).then(
    (templates) => {
      if (templates.length > 0)
        fillForm(body, dialog, templates, stop.signal);
      else
        body.replaceChildren(...noTemplates());
    },
    (error) => {
      if (error.name !== "AbortError")
        body.replaceChildren(h("p", { class: "callout", role: "alert", "data-tone": "bad",
          text: error.message }));
    });
}

function noTemplates() {
  return [
    h("p", { text: "The catalog has no cluster templates yet, and a cluster is made from one." }),
    h("p", { class: "muted" }, "Add one by ", h("code", { text: "POST /v2/clustertemplates" }),
      ". ", h("code", { text: "make run" }), " loads a default catalog."),
  ];
}

function fillForm(body, dialog, templates, signal) {
  const name = h("input", { id: "new-name", name: "name", required: true, autocomplete: "off",
    autocapitalize: "none", spellcheck: "false", maxlength: "255", placeholder: "hello" });
  const template = h("select", { id: "new-template", name: "clusterTemplate" },
    ...templates.slice().sort((a, b) => a.name.localeCompare(b.name)).map((t) =>
      h("option", { value: t.name, text: t.label ? `${t.label} (${t.name})` : t.name })));
  const size = h("input", { id: "new-size", name: "numMachines", type: "number", min: "1",
    step: "1", required: true, inputmode: "numeric", value: "3" });
  const more = formFields();
  const nameField = field("Name", name, "Letters, digits, dot, dash and underscore");
  const templateField = field("Template", template);
  const sizeField = field("Nodes", size);
  const preview = h("div", { class: "preview", "aria-live": "polite", hidden: true });
  const problem = h("p", { class: "callout", role: "alert", "data-tone": "bad", hidden: true });
  const submit = h("button", { class: "button primary", type: "submit", text: "Create cluster" });
  const form = h("form", { class: "form", onsubmit: send },
    nameField.el, templateField.el, sizeField.el, preview,
    ...more.map((one) => one.el), problem,
    h("div", { class: "modal-foot" },
      h("button", { class: "button", type: "button", text: "Cancel",
        onclick: () => dialog.close() }), submit));
  const previewer = makePreviewer(preview, request, signal);

  function chosen() {
    return templates.find((t) => t.name === template.value);
  }

  function request() {
    return { name: name.value.trim(), clusterTemplate: template.value,
      numMachines: Number(size.value) };
  }

  // Limits and services are those of the whole template. Where the server refuses to tell them, the
  // preview says why, for it is refused for the same reason.
  async function describeTemplate() {
    const t = chosen();

    setText(templateField.hint, t.description || "");
    setText(sizeField.hint, "");
    const whole = await resolveTemplate(t, signal).catch(() => null);

    if (signal.aborted || chosen() !== t)
      return;
    if (whole)
      describe(t, whole);
    previewer();
  }

  function describe(t, whole) {
    const { min, max } = sizeLimits(whole);

    setText(templateField.hint, t.description || fewNames((whole.defaults || {}).services || []));
    sizeField.hint.textContent = max < SIZE_NO_LIMIT ? `${min} to ${max}` : `${min} or more`;
    if (Number(size.value) < min)
      size.value = String(min);
    else if (Number(size.value) > max)
      size.value = String(max);
  }

  async function send(event) {
    event.preventDefault();
    submit.disabled = true;
    problem.hidden = true;
    try {
      const id = await createCluster(Object.assign(request(), ...more.map((one) => one.read())));

      dialog.close();
      go(clusterHref(id));
    } catch (error) {
      setText(problem, error.message);
      problem.hidden = false;
    } finally {
      submit.disabled = false;
    }
  }

  template.addEventListener("change", describeTemplate);
  size.addEventListener("input", previewer);
  body.replaceChildren(form);
  describeTemplate();
  name.focus();
}

function sizeLimits(template) {
  const size = (template.constraints && template.constraints.size) || {};

  return { min: size.min || 1, max: size.max || SIZE_NO_LIMIT };
}

// Answers a function that, a moment after the last call, shows the layout the server would choose.
function makePreviewer(el, request, formSignal) {
  let timer = 0;
  let running = new AbortController();

  async function show() {
    const wanted = { ...request(), name: "preview" };

    running.abort();
    running = new AbortController();
    if (!Number.isInteger(wanted.numMachines) || wanted.numMachines < 1) {
      el.hidden = true;
      return;
    }
    try {
      const plan = await planCluster(wanted, anySignal(running.signal, formSignal));

      el.replaceChildren(h("p", { class: "preview-title", text: "Layout" }),
        h("ul", {}, ...plan.layout.map(layoutLine)));
      el.dataset.tone = "";
      el.hidden = false;
    } catch (error) {
      if (error.name === "AbortError")
        return;
      el.hidden = !isRefusal(error);
      el.dataset.tone = "bad";
      el.replaceChildren(h("p", { text: error.message }));
    }
  }

  return function later() {
    clearTimeout(timer);
    timer = setTimeout(show, PREVIEW_WAIT);
  };
}

function layoutLine(group) {
  return h("li", {},
    h("span", { class: "preview-count num", text: `${group.count} ×` }),
    tags(group.services),
    h("span", { class: "muted preview-type", text: group.hardwaretype,
      title: count(group.count, "node") }));
}
