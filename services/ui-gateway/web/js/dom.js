// SPDX-License-Identifier: Apache-2.0
// Small DOM helpers. Text only ever enters the page as text nodes: there is no HTML parsing here.

import { spelt } from "./format.js";

const BREATH = 6; // of the time for drawing, the time between
const SVG = "http://www.w3.org/2000/svg";

// Makes an element. props: "class", "text", "data" (object), on<event> functions, DOM attributes
// (true = empty attribute; false, null, undefined = left out).
export function h(tag, props, ...children) {
  const el = document.createElement(tag);

  for (const [key, value] of Object.entries(props || {})) {
    if (value === false || value === null || value === undefined)
      continue;
    if (key === "text")
      el.textContent = spelt(value);
    else if (key === "data")
      Object.assign(el.dataset, value);
    else if (key.startsWith("on"))
      el.addEventListener(key.slice(2), value);
    else
      el.setAttribute(key, value === true ? "" : value);
  }
  el.append(...children.filter((child) => child !== null && child !== undefined)
    .map((child) => (child instanceof Node ? child : spelt(child))));
  return el;
}

export function icon(name, cls = "icon") {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");

  svg.setAttribute("class", cls);
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export function setIcon(svg, name) {
  setAttr(svg.firstChild, "href", `#i-${name}`);
}

// These write only on change, so that a busy stream does not disturb layout or assistive tools.
export function setText(el, text) {
  const shown = spelt(text);

  if (el.textContent !== shown)
    el.textContent = shown;
}

export function setAttr(el, name, value) {
  if (el.getAttribute(name) !== value)
    el.setAttribute(name, value);
}

// Makes parent's children match items, keeping the elements of items that stay (focus and scroll
// survive). views is a Map the caller owns: key -> {el, update(item)}.
export function keyed(parent, views, items, keyOf, create) {
  const wanted = new Set(items.map(keyOf));

  // Those that leave go first: else every element behind them would be taken for moved.
  for (const [key, view] of views) {
    if (wanted.has(key))
      continue;
    view.el.remove();
    views.delete(key);
  }
  let at = parent.firstChild;

  for (const item of items) {
    const key = keyOf(item);
    let view = views.get(key);

    if (!view) {
      view = create(item);
      views.set(key, view);
    }
    view.update(item);
    if (view.el === at)
      at = at.nextSibling;
    else
      parent.insertBefore(view.el, at);
  }
}

// The first part of a long list, which grows as its end comes into sight: a page of thousands of
// elements is slow to build and to lay out. cut(items) answers what to show; place el behind the
// list; onGrow is called when there is more to show.
export function growing(by, onGrow) {
  const el = h("button", { class: "button small more", type: "button", hidden: true,
    onclick: grow });
  const sight = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting))
      grow();
  }, { rootMargin: "600px" });
  let size = by;

  function grow() {
    size += by;
    onGrow();
  }

  function cut(items) {
    const left = items.length - size;

    el.hidden = left <= 0;
    setText(el, `Show ${Math.min(left, by)} of ${left} more`);
    sight.disconnect();
    if (left > 0)
      sight.observe(el); // observed anew, it tells again while it is still in sight
    return left > 0 ? items.slice(0, size) : items;
  }

  return { el, cut, destroy: () => sight.disconnect() };
}

// Calls work once per `ms`, however often it is asked for: a busy stream is drawn in gathers. Work
// that takes long is called less often, so that the page answers meanwhile.
export function gathered(ms, work) {
  let timer = 0;
  let took = 0;

  return {
    ask() {
      timer = timer || setTimeout(() => {
        const began = performance.now();

        timer = 0;
        work();
        took = performance.now() - began;
      }, Math.max(ms, BREATH * took));
    },
    stop: () => clearTimeout(timer),
  };
}

// Says what the page is called, on change: browsers take their time for it.
export function setTitle(text) {
  const shown = spelt(text);

  if (document.title !== shown)
    document.title = shown;
}

// A labelled form field: {el, hint}; input has an id.
export function field(label, input, hint) {
  const hintEl = h("p", { class: "hint", id: `${input.id}-hint` }, hint || "");

  input.setAttribute("aria-describedby", hintEl.id);
  return { hint: hintEl, el: h("div", { class: "field" },
    h("label", { for: input.id, text: label }), input, hintEl) };
}

const TAGS = 40;

// Names side by side; of a long list the first, and how many more there are.
export function tags(names) {
  const left = names.length - TAGS;

  return h("span", { class: "tags" },
    ...names.slice(0, TAGS).map((name) => h("span", { class: "tag", text: name })),
    left > 0 ? h("span", { class: "muted", text: `and ${left} more` }) : null);
}

// A progress bar: {el, set(done, total, tone)}; total 0 = not known yet.
export function bar(label) {
  const fill = h("div", { class: "bar-fill" });
  const el = h("div", { class: "bar", role: "progressbar", "aria-label": label,
    "aria-valuemin": "0", "aria-valuemax": "100" }, fill);

  function set(done, total, tone) {
    const percent = total > 0 ? Math.min(100, Math.round((done * 100) / total)) : 0;

    el.dataset.tone = tone;
    el.dataset.unknown = String(total === 0 && tone === "run");
    setAttr(el, "aria-valuenow", String(percent));
    setAttr(el, "aria-valuetext", total > 0 ? `${done} of ${total} tasks` : "not started");
    fill.style.setProperty("transform", `scaleX(${percent / 100})`);
  }
  return { el, set };
}

// Says something once to assistive technology.
export function announce(text) {
  document.getElementById("announcer").textContent = spelt(text);
}

// A signal that is aborted with the first of these.
export function anySignal(...signals) {
  return /** @type {any} */ (AbortSignal).any(signals);
}
