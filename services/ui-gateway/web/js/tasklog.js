// SPDX-License-Identifier: Apache-2.0
// The log of one task, streamed while the task runs.

import { followLog } from "./api.js";
import { anySignal, h, setText } from "./dom.js";
import { duration, plainLog, shortHost, taskWord, ticking } from "./format.js";
import { openModal } from "./modal.js";

const KEEP = 2000000; // more than the server keeps of one attempt
const AGAIN = 1500;
const STARTED = new Set(["running", "complete", "failed", "retry"]);
const NEAR_END = 40;

// Opens the viewer. getTask() and getNode() answer the present state; now() is the server's clock.
// Answers {changed(), tick()} for the page to call when its state moves.
export function openTaskLog({ getTask, getNode, now, onClose }) {
  const stop = new AbortController();
  const pill = h("span", { class: "pill" });
  const facts = h("span", { class: "muted small num" });
  const message = h("p", { class: "callout", hidden: true });
  const note = h("p", { class: "muted small log-note", role: "status" });
  const pre = h("pre", { class: "log", tabindex: "0", "aria-label": "Log" });
  const pick = h("select", { class: "small", "aria-label": "Attempt", hidden: true });
  const copy = h("button", { class: "button small", type: "button", text: "Copy" });
  const first = getTask();
  const where = shortHost((getNode() || {}).hostname);
  const what = [where, first.service, first.name].filter(Boolean).join(" · ");
  const dialog = openModal({ title: what, cls: "sheet", onClose: () => {
    stop.abort();
    onClose();
  } }, h("div", { class: "log-bar" }, pill, facts, h("span", { class: "grow" }), pick, copy),
  message, pre, note);
  const reader = makeReader(pre, note, stop.signal, getTask);

  function changed() {
    const task = getTask();

    pill.dataset.tone = { running: "run", complete: "ok", failed: "bad", retry: "warn" }[task.state]
      || "off";
    setText(pill, taskWord(task.state));
    setText(message, task.message);
    message.hidden = !task.message;
    message.dataset.tone = pill.dataset.tone;
    showAttempts(task);
    tick();
    reader.show(Number(pick.value) || task.attempt);
  }

  // The newest attempt is followed unless an older one was picked by hand.
  function showAttempts(task) {
    const newest = pick.value === "" || pick.selectedIndex === pick.options.length - 1;

    for (let n = pick.options.length + 1; n <= task.attempt; n++)
      pick.append(h("option", { value: String(n), text: `Attempt ${n}` }));
    if (newest && pick.options.length > 0)
      pick.selectedIndex = pick.options.length - 1;
    pick.hidden = pick.options.length < 2;
  }

  function tick() {
    const task = getTask();
    const parts = [];

    if (task.state === "running" && task.started)
      parts.push(ticking(now() - task.started));
    else if (task.started && task.ended)
      parts.push(duration(task.ended - task.started));
    if (task.worker)
      parts.push(`by ${task.worker}`);
    setText(facts, parts.join(" · "));
  }

  pick.addEventListener("change", () => reader.show(Number(pick.value)));
  copy.addEventListener("click", () => copyText(pre.textContent, copy));
  changed();
  dialog.dataset.task = first.id;
  pre.focus();
  return { changed, tick };
}

async function copyText(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    setText(button, "Copied");
  } catch {
    getSelection().selectAllChildren(document.querySelector(".log"));
    setText(button, "Selected");
  }
  setTimeout(setText, 1500, button, "Copy");
}

// Shows one attempt's log at a time; show(attempt) does nothing when that one is already shown.
function makeReader(pre, note, signal, getTask) {
  let shown = -1;
  let current = new AbortController();
  let timer = 0;

  function show(attempt) {
    if (!STARTED.has(getTask().state) && attempt === 0) {
      setText(note, "This task has not started. Its log appears here when it does.");
      return;
    }
    if (attempt === shown)
      return;
    shown = attempt;
    read(attempt);
  }

  async function read(attempt) {
    const mine = new AbortController();

    clearTimeout(timer);
    current.abort();
    current = mine;
    setText(note, "Reading the log");
    try {
      const response = await followLog(getTask().id, attempt,
        anySignal(signal, mine.signal));

      await pour(response.body, pre, () => setText(note, "Following the log"));
      setText(note, pre.textContent ? "End of the log" : "This task wrote nothing to its log.");
    } catch (error) {
      if (!signal.aborted && !mine.signal.aborted)
        broken(error, attempt);
    }
  }

  // A task may be so young that its log does not exist yet, and connections break: try again while
  // there is something to wait for.
  function broken(error, attempt) {
    const waiting = ["ready", "running"].includes(getTask().state) || error.status !== 404;

    setText(note, error.status === 404 ? "There is no log yet."
      : error.status === undefined ? "The connection broke; reading again." : error.message);
    if (waiting)
      timer = setTimeout(read, AGAIN, attempt);
    else
      setText(note, "This task left no log.");
  }

  signal.addEventListener("abort", () => clearTimeout(timer));
  return { show };
}

// What came is not touched again, so that a long log costs no more than its new lines and what a
// reader has selected stays selected. Only the line that is not ended yet is written anew.
async function pour(body, pre, onData) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const open = document.createTextNode("");
  let rest = "";
  let length = 0;

  pre.replaceChildren(open);
  for (;;) {
    const { value, done } = await reader.read();
    const atEnd = pre.scrollHeight - pre.scrollTop - pre.clientHeight < NEAR_END;

    if (done)
      return;
    onData();
    const text = rest + value;
    const ended = text.lastIndexOf("\n") + 1;
    const lines = plainLog(text.slice(0, ended));

    rest = text.slice(ended).slice(-KEEP);
    if (lines)
      open.before(lines);
    open.data = plainLog(rest);
    for (length += lines.length; length > KEEP; )
      length -= dropFirst(pre);
    if (atEnd)
      pre.scrollTop = pre.scrollHeight;
  }
}

// The oldest piece of a log that has become too long; answers how long it was.
function dropFirst(pre) {
  const { length } = pre.firstChild.data;

  pre.firstChild.remove();
  return length;
}
