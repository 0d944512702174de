// SPDX-License-Identifier: Apache-2.0
// The feed: what happened, newest first.

import { h, keyed } from "./dom.js";
import { clock } from "./format.js";

const FIRST_SHOWN = 60;

export function feedView(openLog) {
  const views = new Map();
  const list = h("ol", { class: "feed", id: "feed", "aria-label": "Events, newest first" });
  const more = h("button", { class: "button small", type: "button", hidden: true,
    text: "Show earlier events" });
  const cut = h("p", { class: "muted small", hidden: true,
    text: "Earlier events are not kept on this page." });
  const el = h("section", { class: "card feed-card", "aria-labelledby": "feed-title" },
    h("h2", { id: "feed-title", text: "Events" }), list, more, cut);
  let all = false;
  let last = null;

  function update(state) {
    const lines = state.feed.slice(all ? 0 : -FIRST_SHOWN).reverse();

    last = state;
    el.hidden = lines.length === 0;
    more.hidden = all || state.feed.length <= FIRST_SHOWN;
    cut.hidden = !all || state.feedCut === 0;
    keyed(list, views, lines, (line) => line.seq, (line) => feedLine(line, openLog));
  }

  more.addEventListener("click", () => {
    all = true;
    update(last);
    list.lastChild.scrollIntoView({ block: "nearest" });
  });
  return { el, update };
}

function feedLine(line, openLog) {
  const at = new Date(line.time);
  const text = [h("span", { class: "feed-subject", text: line.subject }), " ",
    h("span", { class: "feed-text", text: line.text })];
  const body = line.taskId
    ? h("button", { class: "feed-body", type: "button", title: "Open the task's log",
      onclick: () => openLog(line.taskId) }, ...text)
    : h("span", { class: "feed-body" }, ...text);
  const el = h("li", { data: { tone: line.tone } },
    h("time", { class: "num muted", datetime: at.toISOString(), title: at.toLocaleString(),
      text: clock(line.time) }),
    body);

  return { el, update() {} };
}
