// SPDX-License-Identifier: Apache-2.0
// Just enough to state facts: test(name, fn), equal(got, wanted), ok(value). fn may answer a promise.

const tests = [];

export function test(name, fn) {
  tests.push({ name, fn });
}

export function ok(value, what = "value") {
  if (!value)
    throw new Error(`${what} is ${value}`);
}

export function equal(got, wanted) {
  const a = JSON.stringify(plain(got));
  const b = JSON.stringify(plain(wanted));

  if (a !== b)
    throw new Error(`got ${a}, wanted ${b}`);
}

function plain(value) {
  if (value instanceof Map)
    return [...value.entries()].map(plain);
  if (Array.isArray(value))
    return value.map(plain);
  if (value && typeof value === "object")
    return Object.fromEntries(Object.keys(value).sort().map((key) => [key, plain(value[key])]));
  return value;
}

// Answers [{name, error}], error null for a test that held. One after another.
export async function run() {
  const results = [];

  for (const { name, fn } of tests) {
    let error = null;

    try {
      await fn();
    } catch (thrown) {
      error = String(thrown && thrown.stack ? thrown.stack : thrown);
    }
    results.push({ name, error });
  }
  return results;
}
