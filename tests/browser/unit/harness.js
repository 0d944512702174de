// SPDX-License-Identifier: Apache-2.0
// Just enough to state facts about pure functions: test(name, fn), equal(got, wanted), ok(value).

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

// Answers [{name, error}], error null for a test that held.
export function run() {
  return tests.map(({ name, fn }) => {
    try {
      fn();
      return { name, error: null };
    } catch (error) {
      return { name, error: String(error && error.stack ? error.stack : error) };
    }
  });
}
