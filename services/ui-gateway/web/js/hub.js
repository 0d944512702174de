// SPDX-License-Identifier: Apache-2.0
// One event stream for all that a browser's pages want to hear: a browser has six connections for
// one site, whatever the number of its tabs. Whatever any page wants is asked of the server in one
// request, which is made anew when something is added.
//
// A page posts {want: {TOPIC: number of the event seen last}}, again every now and then (one that
// has crashed says nothing any more), and is told {state}, {event: {topic, seq, type, data}}, and
// {opened: [TOPIC]}: from now on nothing of these is missed. Topics are "clusters", for summaries of
// all, and the ids of clusters. An event may come twice.

const FIRST_WAIT = 500;
const LONGEST_WAIT = 10000;
const SETTLE = 20;
const FORGET = 90000;
const TOPICS = 64; // that the server takes at once

export const LIST = "clusters";

// url: where the stream is. Answers {join(port)}; a port has postMessage() and onmessage.
export function makeHub(url) {
  const pages = new Map(); // port -> {want: Map topic -> seq, told: Set of topics, heard}
  const seen = new Map(); // topic -> number of the newest event that was given
  let source = null;
  let asked = new Set(); // topics of source
  let state = "connecting";
  let timer = 0;
  let wait = FIRST_WAIT;

  function join(port) {
    port.onmessage = ({ data }) => wanted(port, new Map(Object.entries(data.want)));
  }

  function wanted(port, want) {
    const before = pages.get(port);

    if (want.size === 0) {
      pages.delete(port);
    } else {
      const told = new Set([...(before ? before.told : [])].filter((topic) => want.has(topic)));

      pages.set(port, { want, told, heard: Date.now() });
      if (!before)
        port.postMessage({ state });
    }
    if (!source && !before)
      again(); // somebody looks: no more waiting
    else if (source)
      later(change, SETTLE); // tabs that open together make one request
  }

  function topics() {
    const all = new Set();

    for (const [port, page] of pages) {
      if (Date.now() - page.heard > FORGET)
        pages.delete(port);
      else
        page.want.forEach((_, topic) => all.add(topic));
    }
    for (const topic of seen.keys())
      if (!all.has(topic))
        seen.delete(topic);
    return new Set([...all].slice(-TOPICS));
  }

  // The number after which a topic has to be told: who has just joined may have seen less.
  function after(topic) {
    const joined = [...pages.values()].filter((page) => page.want.has(topic) && !page.told.has(topic));

    return Math.min(seen.get(topic) ?? Infinity, ...joined.map((page) => page.want.get(topic)));
  }

  function later(fn, ms) {
    clearTimeout(timer);
    timer = setTimeout(fn, ms);
  }

  function change() {
    const now = topics();

    if (now.size === 0)
      drop();
    else if (!source || [...now].some((topic) => !asked.has(topic) || after(topic) < seen.get(topic)))
      connect(now);
    else
      tellOpened();
  }

  function drop() {
    clearTimeout(timer);
    if (source)
      source.close();
    source = null;
    asked = new Set();
  }

  // The old stream goes on until the new one is open, so that nothing is missed in between.
  function connect(now) {
    const old = source;
    const query = new URLSearchParams();

    for (const topic of now) {
      if (topic === LIST)
        query.append("clusters", "1");
      else
        query.append("cluster", `${topic}:${after(topic)}`);
    }
    const mine = new EventSource(`${url}?${query}`);

    source = mine;
    asked = now;
    mine.addEventListener("open", () => {
      if (old)
        old.close();
      if (source === mine)
        opened();
    });
    mine.addEventListener("error", () => {
      mine.close();
      if (old)
        old.close();
      if (source === mine)
        failed();
    });
    mine.addEventListener("summary", ({ data }) => received({ topic: LIST, seq: 0, type: "summary" }, data));
    mine.addEventListener("event", ({ data }) => received({}, data));
  }

  function received(event, text) {
    let data;

    try {
      data = JSON.parse(text);
    } catch {
      return;
    }
    const whole = event.topic ? { ...event, data }
      : { topic: data.cluster, seq: data.seq, type: data.type, data: data.data };

    seen.set(whole.topic, Math.max(seen.get(whole.topic) ?? 0, whole.seq));
    for (const [port, page] of pages)
      if (page.want.has(whole.topic))
        port.postMessage({ event: whole });
  }

  function opened() {
    wait = FIRST_WAIT;
    tell("live");
    tellOpened();
  }

  // Where to go on from is asked anew, so the browser's own way back is of no use.
  function failed() {
    drop();
    pages.forEach((page) => page.told.clear());
    tell("reconnecting");
    later(change, wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }

  function tell(next) {
    state = next;
    for (const port of pages.keys())
      port.postMessage({ state });
  }

  function tellOpened() {
    if (state !== "live")
      return;
    for (const [port, page] of pages) {
      const news = [...page.want.keys()].filter((topic) => asked.has(topic) && !page.told.has(topic));

      news.forEach((topic) => page.told.add(topic));
      if (news.length > 0)
        port.postMessage({ opened: news });
    }
  }

  function again() {
    if (source && source.readyState === EventSource.OPEN)
      return;
    drop();
    change();
  }

  addEventListener("online", again);
  return { join };
}
