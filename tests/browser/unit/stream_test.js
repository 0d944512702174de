// SPDX-License-Identifier: Apache-2.0
// The one event stream of all pages, with the network played by the test.

import { LIST, makeHub } from "../web/js/hub.js";
import { openStream } from "../web/js/stream.js";
import { equal, ok, test } from "./harness.js";

const turn = () => new Promise((wake) => setTimeout(wake, 40));

class Source extends EventTarget {
  constructor(address) {
    super();
    this.topics = new URLSearchParams(address.split("?")[1]);
    this.readyState = 0;
    Source.all.push(this);
  }

  static open() {
    return Source.all.filter((one) => one.readyState < 2);
  }

  asked() {
    return [...this.topics.entries()].map((pair) => pair.join("=")).sort();
  }

  accept() {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
    return this;
  }

  fail() {
    this.dispatchEvent(new Event("error"));
  }

  tell(cluster, seq) {
    this.dispatchEvent(new MessageEvent("event", { data: JSON.stringify({ cluster, seq, type: "task",
      data: {} }) }));
  }

  close() {
    this.readyState = 2;
  }
}
Source.OPEN = 1;

async function withHub(fn) {
  const real = window.EventSource;
  const hub = makeHub("/e");

  Source.all = [];
  window.EventSource = Source;
  const page = () => {
    const said = [];
    const port = { postMessage: (data) => said.push(data), onmessage: null };

    hub.join(port);
    return { said, want: (want) => port.onmessage({ data: { want } }),
      events: () => said.filter((one) => one.event).map((one) => one.event.seq),
      opened: () => said.filter((one) => one.opened).length };
  };

  try {
    await fn(page);
  } finally {
    window.EventSource = real;
  }
}

test("twelve pages of as many clusters and the list have one stream", () => withHub(async (page) => {
  const pages = Array.from({ length: 12 }, page);
  const list = page();

  pages.forEach((one, n) => one.want({ [n]: n }));
  list.want({ [LIST]: 0 });
  await turn();
  Source.open().forEach((one) => one.accept());
  await turn();
  Source.open().forEach((one) => one.accept());
  const last = Source.open();

  equal([last.length, last[0].asked().length], [1, 13]);
  last[0].tell("3", 4);
  equal(pages.map((one) => one.events()), pages.map((_, n) => (n === 3 ? [4] : [])));
  equal([list.opened(), pages[0].opened()], [1, 1]);
}));

test("a page that joins with older news is told from there, and the old stream goes on till then",
  () => withHub(async (page) => {
    const early = page();
    const late = page();

    early.want({ 7: 10 });
    Source.open()[0].accept().tell("7", 20);
    late.want({ 7: 15 });
    await turn();
    equal(Source.open().map((one) => one.asked()), [["cluster=7:10"], ["cluster=7:15"]]);
    Source.open()[0].tell("7", 21);
    Source.open()[1].accept();
    equal(Source.open().map((one) => one.asked()), [["cluster=7:15"]]);
    equal([early.events(), late.events()], [[20, 21], [21]]);
    equal(late.opened(), 1);
    late.want({ 7: 12 }); // what is on its way to it is not asked for again
    await turn();
    equal(Source.all.length, 2);
  }));

test("after a break everybody goes on from where they were, and the list is read again",
  () => withHub(async (page) => {
    const one = page();
    const list = page();

    one.want({ 7: 10 });
    list.want({ [LIST]: 0 });
    await turn();
    Source.open().at(-1).accept().tell("7", 12);
    one.want({ 7: 12 });
    Source.open()[0].fail();
    equal(Source.open().length, 0);
    equal(one.said.at(-1), { state: "reconnecting" });
    const back = page();

    back.want({ 7: 11 }); // who looks anew waits no longer
    equal(Source.open().map((source) => source.asked()), [["cluster=7:11", "clusters=1"]]);
    Source.open()[0].accept();
    equal(list.opened(), 2);
  }));

test("nobody there, no stream", () => withHub(async (page) => {
  const one = page();

  one.want({ 7: 10 });
  Source.open()[0].accept();
  one.want({});
  await turn();
  equal(Source.open().length, 0);
}));

test("a page that nobody sees wants nothing, and goes on where it was", async () => {
  const real = { SharedWorker: window.SharedWorker, setTimeout: window.setTimeout };
  const wants = [];
  const waits = [];
  let hidden = false;

  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  window.setTimeout = (fn) => waits.push(fn);
  window.SharedWorker = class extends EventTarget {
    constructor() {
      super();
      this.port = { postMessage: ({ want }) => wants.push(want) };
    }
  };
  const see = (yes) => {
    hidden = !yes;
    document.dispatchEvent(new Event("visibilitychange"));
    waits.splice(0).forEach((fn) => fn());
  };

  try {
    const close = openStream("5", { cursor: () => 7, onEvent() {}, onState() {} });

    see(false);
    see(true);
    equal(wants, [{ 5: 7 }, {}, { 5: 7 }]);
    close();
    equal(wants.at(-1), {});
    see(false);
    see(true);
    equal(wants.length, 4);
    ok(waits.length === 0, "no timer left");
  } finally {
    Object.assign(window, real);
    delete document.hidden;
  }
});
