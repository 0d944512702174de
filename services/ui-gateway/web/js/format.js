// SPDX-License-Identifier: Apache-2.0
// Words and figures: pure functions, no DOM.

import { actionWords } from "./operations.js";

// A length of time in ms, as short as is useful: 0.4 s, 12 s, 3 m 05 s, 2 h 10 m, 4 d.
export function duration(ms) {
  const s = Math.max(0, ms) / 1000;

  if (s < 10)
    return `${(Math.floor(s * 10) / 10).toFixed(1)}\u00a0s`;
  if (s < 60)
    return `${Math.floor(s)}\u00a0s`;
  if (s < 3600)
    return `${Math.floor(s / 60)}\u00a0m\u00a0${String(Math.floor(s % 60)).padStart(2, "0")}\u00a0s`;
  if (s < 86400)
    return `${Math.floor(s / 3600)}\u00a0h\u00a0${String(Math.floor((s % 3600) / 60)).padStart(2, "0")}\u00a0m`;
  return `${Math.floor(s / 86400)}\u00a0d`;
}

// The same in whole seconds, for figures that tick.
export function ticking(ms) {
  const s = Math.floor(Math.max(0, ms) / 1000);

  return s < 60 ? `${s}\u00a0s` : duration(s * 1000);
}

export function age(ms) {
  const s = Math.floor(Math.max(0, ms) / 1000);

  if (s < 60)
    return `${s} s`;
  if (s < 3600)
    return `${Math.floor(s / 60)} min`;
  if (s < 86400)
    return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

export function clock(epochMs) {
  const d = new Date(epochMs);

  return [d.getHours(), d.getMinutes(), d.getSeconds()]
    .map((n) => String(n).padStart(2, "0")).join(":");
}

// Date and time of day in the reader's own manner.
export function moment(epochMs) {
  return new Date(epochMs).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

export function count(n, one, many = `${one}s`) {
  return `${n} ${n === 1 ? one : many}`;
}

const NAMES = 40;

// Of a long list the first, and how many more there are.
export function fewNames(names) {
  const left = names.length - NAMES;

  return left > 0 ? `${names.slice(0, NAMES).join(", ")} and ${left} more` : names.join(", ");
}

// hello13-1000.local -> hello13-1000
export function shortHost(hostname) {
  return String(hostname || "").split(".")[0];
}

export function actionName(action) {
  return actionWords(action).title;
}

export function actionDoing(action) {
  return actionWords(action).doing;
}

// cluster status -> tone of pills and bars
export function statusTone(status) {
  return { active: "ok", pending: "run", incomplete: "bad", inconsistent: "warn" }[status] || "off";
}

const TASK_WORDS = {
  pending: "waiting",
  ready: "ready to start",
  running: "running",
  complete: "done",
  retry: "will be tried again",
  failed: "failed",
  dropped: "not needed",
};

export function taskWord(state) {
  return TASK_WORDS[state] || state;
}

// JSON.parse(), for what is sent back: a page keeps numbers of 15 digits and would round longer ones.
export function parseExactly(text) {
  return JSON.parse(text, (key, value, more) => {
    if (typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(more ? more.source : ""))
      throw new Error(`${key} is ${more.source}: a number this long only the command line keeps as it is`);
    return value;
  });
}

// What others wrote, to be read: marks that turn the direction of the text around them are spelt.
export function spelt(text) {
  return String(text).replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

// Takes terminal escapes and other control characters out of a log and honours carriage returns,
// so that progress meters do not fill the page.
export function plainLog(text) {
  return spelt(text)
    .replace(/\u001b\][^\u0007\u001b]*(\u0007|\u001b\\)/g, "")
    .replace(/\u001b\[[0-9;?]*[ -/]*[@-~]|\u001b[@-Z\\-_]/g, "")
    .replace(/\r+\n/g, "\n")
    .replace(/^.*\r(?!$)/gm, "")
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, "");
}
