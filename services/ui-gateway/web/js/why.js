// SPDX-License-Identifier: Apache-2.0
// What a cluster waits for, once nothing has happened for a moment. Any event takes the line away:
// the cluster moves again.

import { getWhy } from "./api.js";
import { h, setText } from "./dom.js";

const QUIET = 3000;
const LEAST = 5000;
const AGAIN = 15000;

export function whyLine(id) {
  const reason = h("span", { class: "why-reason" });
  const el = h("p", { class: "why", id: "why", role: "status", hidden: true },
    h("strong", { text: "Why?" }), " ", reason);
  let seq = -1;
  let timer = 0;
  let asked = 0;
  let running = new AbortController();

  function update(state) {
    if (state.seq === seq)
      return;
    seq = state.seq;
    clearTimeout(timer);
    running.abort();
    el.hidden = true;
    if (state.status === "pending")
      later(QUIET);
  }

  function later(wait) {
    timer = setTimeout(ask, Math.max(wait, asked + LEAST - Date.now()));
  }

  async function ask() {
    running = new AbortController();
    asked = Date.now();
    const { signal } = running;

    if (document.hidden) {
      later(AGAIN);
      return;
    }
    try {
      const answer = await getWhy(id, signal);

      setText(reason, answer.reason || "");
      el.hidden = !answer.reason || answer.status !== "pending";
    } catch (error) {
      if (error.name === "AbortError")
        return;
      el.hidden = true;
    }
    if (!signal.aborted)
      later(AGAIN);
  }

  function destroy() {
    clearTimeout(timer);
    running.abort();
  }

  return { el, update, destroy };
}
