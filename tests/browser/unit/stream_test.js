// SPDX-License-Identifier: Apache-2.0
// The event stream of a page that comes into sight and goes out of it.

import { openStream } from "../web/js/stream.js";
import { equal, test } from "./harness.js";

test("a page that nobody sees gives its connection back, and goes on where it was", () => {
  const real = { EventSource: window.EventSource, setTimeout: window.setTimeout };
  const open = new Set();
  const asked = [];
  const waits = [];
  let hidden = false;

  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  window.setTimeout = (fn) => waits.push(fn);
  window.EventSource = class extends EventTarget {
    constructor(address) {
      super();
      asked.push(address);
      open.add(this);
    }

    close() {
      open.delete(this);
    }
  };
  const see = (yes) => {
    hidden = !yes;
    document.dispatchEvent(new Event("visibilitychange"));
    waits.splice(0).forEach((fn) => fn());
  };

  try {
    const close = openStream("/e", { types: [], cursor: () => 7, onEvent() {}, onState() {} });

    equal(open.size, 1);
    see(false);
    equal(open.size, 0);
    see(true);
    equal([open.size, asked], [1, ["/e?after=7", "/e?after=7"]]);
    close();
    equal(open.size, 0);
    see(false);
    see(true);
    equal(open.size, 0);
  } finally {
    Object.assign(window, real);
    delete document.hidden;
  }
});
