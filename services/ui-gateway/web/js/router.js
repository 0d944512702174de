// SPDX-License-Identifier: Apache-2.0
// Hash routes: "#/" and "#/clusters/ID". A view is a function (root, params) -> {destroy()}.

export function parse(hash) {
  const cluster = /^#\/clusters\/(\d{1,20})$/.exec(hash);

  if (cluster)
    return { name: "cluster", id: cluster[1] };
  if (hash === "" || hash === "#" || hash === "#/")
    return { name: "clusters" };
  return { name: "unknown" };
}

export function clusterHref(id) {
  return `#/clusters/${encodeURIComponent(id)}`;
}

export function go(hash) {
  location.hash = hash;
}

// How long a view may take to have again what a reader was at.
const PATIENCE = 5000;

export function start(root, views) {
  const places = new Map(); // history entry -> {top, href}: where its reader was, and at which link
  let entry = 0;
  let shown = null;
  let current = null;
  let stopSeeking = () => {};

  history.scrollRestoration = "manual"; // the view is not there yet when the browser does it

  function show() {
    const route = parse(location.hash);
    const key = JSON.stringify(route);

    if (key === current)
      return false;
    if (shown)
      shown.destroy();
    current = key;
    root.replaceChildren();
    shown = views[route.name](root, route);
    scrollTo(0, 0);
    return true;
  }

  // The place of the history entry that is shown now; undefined when nobody has been there yet.
  function enter() {
    const known = history.state && places.has(history.state.entry);

    if (!known)
      history.replaceState({ entry: Date.now() + places.size }, "");
    entry = history.state.entry;
    return places.get(entry);
  }

  function leave() {
    const link = root.contains(document.activeElement) ? document.activeElement.closest("a[href]") : null;

    places.set(entry, { top: scrollY, href: link ? link.getAttribute("href") : "" });
  }

  addEventListener("hashchange", () => {
    stopSeeking();
    leave();
    const place = enter();

    if (!show())
      return;
    const heading = root.querySelector("h1");

    if (heading)
      heading.focus({ preventScroll: true });
    if (place)
      stopSeeking = seek(root, place);
  });
  enter();
  show();
}

// Goes back to a place as soon as the view has it again, unless the reader does something before.
// Answers a function that gives up.
function seek(root, { top, href }) {
  const watcher = new MutationObserver(look);
  const given = ["wheel", "touchstart", "pointerdown", "keydown"];
  const timer = setTimeout(stop, PATIENCE);

  function look() {
    if (scrollY !== top)
      scrollTo(0, top); // as far as there is something; a long list goes on where its end is seen
    const link = href ? [...root.querySelectorAll("a[href]")].find((one) => one.getAttribute("href") === href) : null;

    if (link)
      link.focus({ preventScroll: true });
    if (Math.abs(scrollY - top) < 1 && (link || !href))
      stop();
  }

  function stop() {
    watcher.disconnect();
    clearTimeout(timer);
    for (const type of given)
      removeEventListener(type, stop, true);
  }

  for (const type of given)
    addEventListener(type, stop, true);
  watcher.observe(root, { childList: true, subtree: true, attributes: true, attributeFilter: ["style"] });
  look();
  return stop;
}
