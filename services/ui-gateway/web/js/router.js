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

export function start(root, views) {
  let shown = null;
  let current = null;

  function show() {
    const route = parse(location.hash);
    const key = JSON.stringify(route);

    if (key === current)
      return;
    if (shown)
      shown.destroy();
    current = key;
    root.replaceChildren();
    shown = views[route.name](root, route);
    scrollTo(0, 0);
  }

  addEventListener("hashchange", () => {
    show();
    const heading = root.querySelector("h1");

    if (heading)
      heading.focus({ preventScroll: true });
  });
  show();
}
