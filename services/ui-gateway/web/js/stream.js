// SPDX-License-Identifier: Apache-2.0
// What a page hears of the server, over the hub that it shares with the browser's other tabs. A page
// that nobody sees asks for nothing.

import { url, whoAmI } from "./api.js";
import { makeHub } from "./hub.js";

const UNSEEN = 5000;
const STILL_HERE = 10000;
const VERSION = 1; // of what pages and hub say to each other: an old tab keeps its hub alive

let own = null;

// A browser that shares no worker, or not this kind, has a hub in each tab.
function ownPort() {
  const { port1, port2 } = new MessageChannel();

  own = own || makeHub(url("/events"));
  own.join(port1);
  return port2;
}

function sharedPort(onFail) {
  const worker = new SharedWorker(new URL("hubworker.js", import.meta.url),
    { type: "module", name: `loom-${VERSION}` });

  worker.addEventListener("error", onFail);
  return worker.port;
}

// topic: LIST (hub.js) or a cluster's id. cursor(): number of the last event seen, or 0. onState: "connecting",
// "live" or "reconnecting". onOpen: called when from now on nothing is missed. Answers a function that
// closes.
export function openStream(topic, { cursor = () => 0, onEvent, onState, onOpen = () => {} }) {
  let port = null;
  let unseen = 0;
  let wanted = false;

  function use(next) {
    if (port)
      port.onmessage = null;
    port = next;
    port.onmessage = ({ data }) => {
      if (data.state)
        onState(data.state);
      // A stream does not say why it was refused; where the session has ended, this does.
      if (data.state === "reconnecting")
        whoAmI().catch(() => {});
      if (data.event && data.event.topic === topic)
        onEvent(data.event);
      if (data.opened && data.opened.includes(topic))
        onOpen();
    };
  }

  function want() {
    wanted = true;
    port.postMessage({ want: { [topic]: cursor() } });
  }

  function rest() {
    wanted = false;
    port.postMessage({ want: {} });
  }

  function visibility() {
    clearTimeout(unseen);
    if (document.hidden && wanted)
      unseen = setTimeout(rest, UNSEEN);
    else if (!document.hidden && !wanted)
      want();
  }

  function alone() {
    use(ownPort());
    if (wanted)
      want();
  }

  use(typeof SharedWorker === "function" ? sharedPort(alone) : ownPort());
  const ticker = setInterval(() => wanted && want(), STILL_HERE);

  document.addEventListener("visibilitychange", visibility);
  addEventListener("pagehide", rest);
  onState("connecting");
  want();
  visibility();
  return function close() {
    clearInterval(ticker);
    clearTimeout(unseen);
    document.removeEventListener("visibilitychange", visibility);
    removeEventListener("pagehide", rest);
    rest();
    port.onmessage = null;
  };
}
