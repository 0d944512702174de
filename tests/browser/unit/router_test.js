// SPDX-License-Identifier: Apache-2.0
// Where a reader is after going somewhere and back.

import { start } from "../web/js/router.js";
import { equal, test } from "./harness.js";

const until = async (check) => {
  for (let tries = 0; tries < 200 && !check(); tries++)
    await new Promise((wake) => setTimeout(wake, 10));
  return check();
};

test("going back leads to the place and the link that were left", async () => {
  const root = document.body.appendChild(document.createElement("main"));
  const heading = () => Object.assign(document.createElement("h1"), { tabIndex: -1, textContent: "H" });
  const link = (n) => Object.assign(document.createElement("a"), { href: `#/clusters/${n}`, textContent: `${n}`,
    style: "display: block; height: 40px" });
  let fill = null;

  // The list has its rows late, as when they come from a server, and more of them where its end is seen.
  const rows = (from, to) => Array.from({ length: to - from }, (_, n) => link(from + n));
  const list = (at) => {
    at.append(heading());
    fill = () => {
      at.append(...rows(0, 60));
      addEventListener("scroll", () => at.append(...rows(60, 200)), { once: true });
    };
    return { destroy() {} };
  };
  const one = (at) => {
    at.append(heading());
    return { destroy() {} };
  };

  location.hash = "#/";
  start(root, { clusters: list, cluster: one, unknown: one });
  fill();
  scrollTo(0, 1000);
  await until(() => root.querySelectorAll("a").length === 200);
  root.querySelectorAll("a")[100].focus();
  scrollTo(0, 3000);
  const left = scrollY;

  root.querySelectorAll("a")[100].click();
  await until(() => root.querySelectorAll("a").length === 0);
  equal([scrollY, document.activeElement.tagName], [0, "H1"]);
  fill = null;
  history.back();
  await until(() => fill);
  equal([scrollY, document.activeElement.tagName], [0, "H1"]);
  fill();
  await until(() => document.activeElement.tagName === "A");
  equal([scrollY, document.activeElement.textContent], [left, "100"]);

  // Whoever does something first is left where they are.
  root.querySelectorAll("a")[100].click();
  await until(() => root.querySelectorAll("a").length === 0);
  fill = null;
  history.back();
  await until(() => fill);
  dispatchEvent(new KeyboardEvent("keydown", { key: "Tab" }));
  fill();
  await new Promise((wake) => requestAnimationFrame(wake));
  equal([scrollY, document.activeElement.tagName], [0, "H1"]);
  root.remove();
});
