// SPDX-License-Identifier: Apache-2.0
// The small word in the top bar: is what you see live?

import { setText } from "./dom.js";

const WORDS = { idle: "", connecting: "Connecting", live: "Live", reconnecting: "Reconnecting" };
const PATIENCE = 400;

let timer = 0;

// A reconnection that works at once is not worth a flicker, so bad news waits a moment.
export function setLink(state) {
  clearTimeout(timer);
  if (state === "live" || state === "idle")
    show(state);
  else
    timer = setTimeout(show, PATIENCE, state);
}

function show(state) {
  const el = document.getElementById("link-state");

  el.dataset.state = state;
  setText(el, WORDS[state]);
}
