// SPDX-License-Identifier: Apache-2.0
// One event stream that stays open. The browser reconnects by itself (and sends Last-Event-ID) when
// a connection breaks; it gives up for good when it gets an error status instead of a stream, and
// it cannot know that a computer has slept. This covers both. A page that nobody sees holds no
// stream: a browser has six connections for a site, and the seventh tab would hang for ever.

const FIRST_WAIT = 500;
const LONGEST_WAIT = 10000;
const UNSEEN = 5000;

// types: event names to hear. cursor(): number of the last event seen, or 0. onState: "connecting",
// "live" or "reconnecting". onOpen: called on each (re)connection. Answers a function that closes.
export function openStream(address, { types, cursor = null, onEvent, onState, onOpen = null }) {
  let source = null;
  let timer = 0;
  let wait = FIRST_WAIT;
  let unseen = 0;
  let closed = false;

  function connect() {
    const after = cursor ? cursor() : 0;

    clearTimeout(timer);
    if (source)
      source.close();
    source = new EventSource(after > 0 ? `${address}?after=${after}` : address);
    source.addEventListener("open", opened);
    source.addEventListener("error", failed);
    for (const type of types)
      source.addEventListener(type, received);
  }

  function opened() {
    wait = FIRST_WAIT;
    onState("live");
    if (onOpen)
      onOpen();
  }

  function failed() {
    if (closed || !source)
      return;
    onState("reconnecting");
    if (source.readyState !== EventSource.CLOSED)
      return;
    timer = setTimeout(connect, wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }

  function received(message) {
    let data;

    try {
      data = JSON.parse(message.data);
    } catch {
      return;
    }
    onEvent({ seq: Number(message.lastEventId) || 0, type: message.type, data });
  }

  function again() {
    if (!closed && source && source.readyState !== EventSource.OPEN)
      connect();
  }

  function rest() {
    clearTimeout(timer);
    source.close();
    source = null;
  }

  function visibility() {
    clearTimeout(unseen);
    if (document.hidden && source)
      unseen = setTimeout(rest, UNSEEN);
    else if (!document.hidden && !source)
      connect();
  }

  addEventListener("online", again);
  document.addEventListener("visibilitychange", visibility);
  onState("connecting");
  connect();
  visibility();
  return function close() {
    closed = true;
    clearTimeout(timer);
    clearTimeout(unseen);
    if (source)
      source.close();
    removeEventListener("online", again);
    document.removeEventListener("visibilitychange", visibility);
  };
}
