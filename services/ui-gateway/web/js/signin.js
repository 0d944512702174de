// SPDX-License-Identifier: Apache-2.0
// Who is at the page: the form that asks, the name in the top bar, the way out. The token of a
// session is a cookie that no script sees; the gateway sets it.

import { ApiError, refusalText, whoAmI } from "./api.js";
import { field, h, setText } from "./dom.js";
import { openModal } from "./modal.js";

async function ask(method, body) {
  const init = { method, headers: { "Content-Type": "application/json" }, cache: /** @type {RequestCache} */ ("no-store"),
    body: body && JSON.stringify(body) };
  const response = await fetch("session", init).catch(() => {
    throw new ApiError(0, "Loom cannot be reached at the moment.");
  });

  if (!response.ok)
    throw new ApiError(response.status, await refusalText(response));
  return response.text();
}

// Tabs tell each other when one finds that nobody is signed in any more, or somebody is again.
const tabs = new BroadcastChannel("loom-session");

// The way in at an OpenID provider, where the gateway has one.
async function offerLogin(form) {
  const response = await fetch("session", { cache: "no-store" }).catch(() => null);
  const { login } = response && response.ok ? await response.json() : { login: null };

  if (login)
    form.querySelector("h1").after(h("a", { class: "button primary", id: "signin-login", text: `Log in with ${login}`,
      href: `login?to=${encodeURIComponent(location.pathname + location.hash)}` }));
}

function input(id, attributes) {
  return /** @type {HTMLInputElement} */ (h("input", { id, class: "input", required: true, ...attributes }));
}

// In place of what root has; done is called when somebody has signed in.
function showForm(root, done) {
  const tenant = input("signin-tenant", { type: "text", autocomplete: "organization", value: "superadmin" });
  const user = input("signin-user", { type: "text", autocomplete: "username" });
  const password = input("signin-password", { type: "password", autocomplete: "current-password" });
  const token = input("signin-token", { type: "password", autocomplete: "off" });
  // One way at a time; what is disabled is not asked for.
  const person = h("fieldset", {}, field("Tenant", tenant).el, field("User", user).el, field("Password", password).el);
  const program = h("fieldset", { hidden: true, disabled: true }, field("Token", token).el);
  const problem = h("p", { class: "callout", role: "alert", "data-tone": "bad", hidden: true });
  const send = h("button", { class: "button primary", type: "submit", text: "Sign in" });
  const other = h("button", { class: "button", type: "button", id: "signin-other", text: "With a token", onclick: swap });
  const form = h("form", { class: "signin", onsubmit: submit }, h("h1", { tabindex: "-1", text: "Sign in to Loom" }),
    person, program, problem, send, other);
  const byToken = () => !program.hidden;

  function swap() {
    for (const way of [person, program]) {
      way.toggleAttribute("hidden");
      way.toggleAttribute("disabled");
    }
    other.textContent = byToken() ? "With a password" : "With a token";
    (byToken() ? token : user).focus();
  }

  async function submit(event) {
    event.preventDefault();
    const secret = byToken() ? token : password;

    send.toggleAttribute("disabled", true);
    problem.hidden = true;
    try {
      await ask("POST", byToken() ? { token: token.value.trim() } :
        { tenant: tenant.value, user: user.value, password: password.value });
      done();
    } catch (error) {
      setText(problem, error.message);
      problem.hidden = false;
      secret.value = "";
      secret.focus();
    } finally {
      send.toggleAttribute("disabled", false);
    }
  }

  root.replaceChildren(form);
  user.focus();
  offerLogin(form);
  tabs.postMessage("signed out");
}

function nameOf(who) {
  return `${who.user} of ${who.tenant}`;
}

function showWho(who) {
  const out = h("button", { class: "button small", type: "button", id: "sign-out", text: "Sign out", onclick: async () => {
    // Who has logged in at a provider leaves there, too.
    if (await ask("DELETE").catch(() => "") === "logout")
      location.assign("logout");
    else
      location.reload();
  } });

  document.getElementById("link-state").after(
    h("p", { class: "who", id: "who", text: nameOf(who) }), out);
}

// Answers whether the page may begin: somebody is signed in, or nobody needs to be.
export async function begin(root) {
  let name = "";

  try {
    const who = await whoAmI();

    name = nameOf(who);
    if (who.authMode === "token") {
      showWho(who);
      tabs.postMessage("signed in");
    }
  } catch (error) {
    // What else is wrong is for the page to say; an API of the version before knows no such call.
    if (error.status === 401) {
      askAgain(root);
      return false;
    }
  }
  keepWatch(root, name);
  return true;
}

// A session that ends while the page is open: what is being filled in stays.
function keepWatch(root, name) {
  addEventListener("loom-signed-out", () => {
    if (document.querySelector("dialog[open]"))
      askAbove(root, name);
    else
      askAgain(root);
  }, { once: true });
  tabs.onmessage = () => whoAmI().catch(() => {});
}

// Goes on when somebody has signed in, in another tab, too.
function askAgain(root) {
  document.title = "Sign in · Loom";
  tabs.onmessage = () => whoAmI().then(() => location.reload(), () => {});
  showForm(root, () => location.reload());
}

// Whoever was here goes on where he was; another one begins anew.
function askAbove(root, name) {
  const body = h("div", { class: "modal-body" });
  let same = false;
  const dialog = openModal({ title: "Your session has ended", kept: true, onClose: () => {
    if (!same)
      location.reload();
  } }, body);

  async function goOn() {
    same = nameOf(await whoAmI()) === name;
    if (same)
      keepWatch(root, name);
    dialog.close();
  }
  tabs.onmessage = () => goOn().catch(() => {});
  showForm(body, goOn);
}
