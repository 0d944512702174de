// SPDX-License-Identifier: Apache-2.0
// The REST calls this page makes. Identity is the gateway's business: nothing is sent from here.

import { parseExactly } from "./format.js";
import { pathOf, setOperations } from "./operations.js";

const BASE = "api/v2";

// A refusal or a failure, with a text a person can act on.
export class ApiError extends Error {
  constructor(status, text, soon = false) {
    super(text);
    this.status = status;
    this.soon = soon; // it may be asked again in a moment
  }
}

// Was it refused for what was asked, or who asked? Else something else is wrong.
export function isRefusal(error) {
  return error.status >= 400 && error.status < 500;
}

export function url(path) {
  return `${BASE}${path}`;
}

async function call(method, path, body, signal, more = {}) {
  /** @type {RequestInit & { headers: Record<string, string> }} */
  const init = { method, headers: { Accept: "application/json, application/problem+json", ...more },
    cache: "no-store", signal };
  let response;

  if (body !== undefined) {
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  try {
    response = await fetch(url(path), init);
  } catch (error) {
    if (error.name === "AbortError")
      throw error;
    throw new ApiError(0, "Loom cannot be reached at the moment.");
  }
  if (response.status === 401)
    dispatchEvent(new Event("loom-signed-out"));
  if (!response.ok)
    throw new ApiError(response.status, await refusalText(response), response.headers.has("Retry-After"));
  return response;
}

const AWAY = {
  502: "Loom's API does not answer at the moment.",
  504: "Loom's API takes too long to answer; try again in a moment.",
};

// The words of a refusal: a problem document's detail, the list of missing fields, or plain text.
export async function refusalText(response) {
  const text = await response.text().catch(() => "");
  const away = AWAY[response.status];
  const fallback = { 404: "Not found.", 503: "Loom is busy or starting; try again in a moment." }[response.status]
    || `Refused with status ${response.status}.`;
  let body;

  // How a connection failed is for the logs.
  if (away)
    return away;

  try {
    body = JSON.parse(text);
  } catch {
    const plain = text.trim();

    return plain && !plain.startsWith("<") ? plain.slice(0, 600) : fallback;
  }
  if (body && Array.isArray(body.missingFields)) {
    const names = body.missingFields.map((set) => Object.keys(set).join(" and "));

    return `The provider needs more fields: ${names.join(", or ")}.`;
  }
  if (body && typeof body === "object")
    return String(body.detail || body.message || body.error || body.title || fallback);
  return typeof body === "string" && body ? body : fallback;
}

async function getJson(path, signal) {
  const response = await call("GET", path, undefined, signal);

  return response.json();
}

const one = (id) => `/clusters/${encodeURIComponent(id)}`;

export const whoAmI = () => getJson("/whoami");
export const listClusters = (signal) => getJson("/clusters", signal);
export const listTemplates = (signal) => getJson("/clustertemplates", signal);

// What a template comes to with all that it extends and includes: the template itself, if that is nothing.
export async function resolveTemplate(template, signal) {
  if (!template.extends && (template.includes || []).length === 0)
    return template;
  return (await call("POST", "/resolve", template, signal)).json();
}

export const deleteCluster = (id) => call("DELETE", one(id));

let known = null;

// Reads the table of operations, once.
export function loadOperations() {
  known = known || getJson("/operations").then(setOperations).catch((error) => {
    known = null;
    throw error;
  });
  return known;
}

export const getCluster = (id, signal) => getJson(one(id), signal);

// What a page shows of a cluster, and serverTime, by which it counts seconds.
export async function getSnapshot(id, signal) {
  const response = await call("GET", `${one(id)}/snapshot?plans=brief`, undefined, signal).catch(async (error) => {
    if (error.status !== 404)
      throw error;
    // An API of the version before knows the cluster, but no snapshots: another is asked soon.
    await getCluster(id, signal);
    throw new ApiError(503, "Loom is being upgraded; a moment.");
  });
  const date = Date.parse(response.headers.get("Date") || "");

  return { ...await response.json(), serverTime: Number.isNaN(date) ? 0 : date };
}

const TRIES = 6;
const PAUSE_MS = 500;

// A create has a name, so that it can be sent again when its answer is lost: it is carried out once.
export async function createCluster(request) {
  const key = Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(16)).join("-");

  for (let tries = 1; ; tries++) {
    try {
      const response = await call("POST", "/clusters", request, undefined, { "Idempotency-Key": key });

      return (await response.json()).id;
    } catch (error) {
      if (tries === TRIES || !(error.soon || [0, 502, 503, 504].includes(error.status)))
        throw error;
      await new Promise((wake) => setTimeout(wake, PAUSE_MS));
    }
  }
}

export async function planCluster(request, signal) {
  const response = await call("POST", "/clusters/plan", request, signal);

  return response.json();
}

// What an operation on a cluster would change, and the token that makes it exactly that.
export async function planChange(id, change, signal) {
  const response = await call("POST", `${one(id)}/plan`, change, signal);

  return response.json();
}

// kind: the operation's row. Does what the token stands for, or nothing.
export function applyChange(id, kind, fields, token) {
  return call(kind.method, `${one(id)}/${pathOf(kind, fields)}`, { ...fields, token });
}

// verb: pause, resume or abort.
export const controlJob = (id, verb) => call("POST", `${one(id)}/${verb}`);
export const listServices = (signal) => getJson("/services", signal);

// Throws when it has what a page would change by reading it.
export async function getConfig(id, signal) {
  const response = await call("GET", `${one(id)}/config`, undefined, signal);

  return parseExactly(await response.text());
}

export const getServices = (id, signal) => getJson(`${one(id)}/services`, signal);
export const getWhy = (id, signal) => getJson(`${one(id)}/why`, signal);

// The response of a task's log; its body goes on until that attempt has ended.
export function followLog(taskId, attempt, signal) {
  const query = new URLSearchParams({ follow: "1" });

  if (attempt > 0)
    query.set("attempt", String(attempt));
  return call("GET", `/tasks/${encodeURIComponent(taskId)}/log?${query}`, undefined, signal);
}
