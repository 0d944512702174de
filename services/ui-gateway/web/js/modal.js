// SPDX-License-Identifier: Apache-2.0
// Dialogs: native <dialog>, so focus stays inside, Escape closes, and the page behind is inert.

import { h, icon, setText } from "./dom.js";

// Opens a dialog; it removes itself when closed. A kept one is not closed by a click beside it.
// Answers the element.
export function openModal({ title, cls = "", kept = false, onClose = null }, ...content) {
  const heading = h("h2", { id: "modal-title", text: title });
  const close = h("button", { class: "icon-button", type: "button", "aria-label": "Close",
    onclick: () => dialog.close() }, icon("close"));
  const dialog = h("dialog", { class: `modal ${cls}`, "aria-labelledby": "modal-title" },
    h("div", { class: "modal-head" }, heading, kept ? null : close), ...content);
  const leave = () => dialog.close();

  dialog.addEventListener("click", (event) => {
    if (event.target === dialog && !kept)
      dialog.close();
  });
  dialog.addEventListener("close", () => {
    removeEventListener("hashchange", leave);
    dialog.remove();
    if (onClose)
      onClose();
  });
  addEventListener("hashchange", leave);
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

// Asks before something that cannot be undone. act() is awaited; its error's text is shown.
export function confirmModal({ title, text, verb, keep = "Keep it", act }) {
  const problem = h("p", { class: "callout", role: "alert", "data-tone": "bad", hidden: true });
  const yes = h("button", { class: "button danger", type: "submit", text: verb });
  const no = h("button", { class: "button", type: "button", text: keep, autofocus: true,
    onclick: () => dialog.close() });
  const form = h("form", { method: "dialog", class: "modal-body", onsubmit: submit },
    h("p", { text }), problem, h("div", { class: "modal-foot" }, no, yes));
  const dialog = openModal({ title }, form);

  async function submit(event) {
    event.preventDefault();
    yes.disabled = true;
    problem.hidden = true;
    try {
      await act();
      dialog.close();
    } catch (error) {
      setText(problem, error.message);
      problem.hidden = false;
    } finally {
      yes.disabled = false;
    }
  }
}
