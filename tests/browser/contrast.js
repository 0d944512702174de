// SPDX-License-Identifier: Apache-2.0
// The body of a function that answers every text below the contrast of WCAG 1.4.3, as [element, ratio, text].

const read = (colour) => {
  const [r, g, b, alpha = 1] = colour.match(/[\d.]+/g).map(Number);

  return [r, g, b, alpha];
};
const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
const ancestors = (e) => (e ? [e, ...ancestors(e.parentElement)] : []);

function brightness([...rgb]) {
  const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));

  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function ratio(e) {
  const all = ancestors(e).map((one) => getComputedStyle(one));
  const ground = all.map((style) => read(style.backgroundColor)).reverse()
    .reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  const ink = read(all[0].color);

  ink[3] *= all.reduce((product, style) => product * Number(style.opacity), 1);
  const [light, dark] = [over(ink, ground), ground].map(brightness).sort((a, b) => b - a);

  return (light + 0.05) / (dark + 0.05);
}

return [...document.querySelectorAll("body *")]
  .filter((e) => [...e.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim()))
  .filter((e) => e.getBoundingClientRect().width > 1 && !e.closest("[disabled], .sr-only, noscript"))
  .map((e) => [`${e.tagName}.${e.className}`, Math.round(ratio(e) * 100) / 100, e.textContent.trim().slice(0, 40)])
  .filter(([, found]) => found < 4.5);
