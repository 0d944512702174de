// SPDX-License-Identifier: Apache-2.0
// Who is at the page: the form that asks, the name in the top bar, the way out. The token of a
// session is a cookie that no script sees; the gateway sets it.

import { ApiError, refusalText, whoAmI } from "./api.js";
import { field, h } from "./dom.js";

async function ask(method, body) {
  const init = { method, headers: { "Content-Type": "application/json" }, cache: /** @type {RequestCache} */ ("no-store"),
    body: body && JSON.stringify(body) };
  const response = await fetch("session", init).catch(() => {
    throw new ApiError(0, "Loom cannot be reached at the moment.");
  });

  if (!response.ok)
    throw new ApiError(response.status, await refusalText(response));
}

function input(id, attributes) {
  return /** @type {HTMLInputElement} */ (h("input", { id, class: "input", required: true, ...attributes }));
}

function showForm(root) {
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
      location.reload();
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
      secret.value = "";
      secret.focus();
    } finally {
      send.toggleAttribute("disabled", false);
    }
  }

  document.title = "Sign in · Loom";
  root.replaceChildren(form);
  user.focus();
}

function showWho(who) {
  const out = h("button", { class: "button small", type: "button", id: "sign-out", text: "Sign out", onclick: async () => {
    await ask("DELETE").catch(() => {});
    location.reload();
  } });

  document.getElementById("link-state").after(
    h("p", { class: "who", id: "who", text: `${who.user} of ${who.tenant}` }), out);
}

// Answers whether the page may begin: somebody is signed in, or nobody needs to be.
export async function begin(root) {
  try {
    const who = await whoAmI();

    if (who.authMode === "token")
      showWho(who);
  } catch (error) {
    // What else is wrong is for the page to say; an API of the version before knows no such call.
    if (error.status === 401) {
      showForm(root);
      return false;
    }
  }
  // A session that ends while the page is open.
  addEventListener("loom-signed-out", () => showForm(root), { once: true });
  return true;
}
