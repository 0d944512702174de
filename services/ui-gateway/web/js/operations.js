// SPDX-License-Identifier: Apache-2.0
// The table of operations, as the API serves it: what can be asked of a cluster, when and where,
// and the words for it. Filled once; until then the words are those of the history itself.

let table = [];

export function setOperations(list) {
  table = Array.isArray(list) ? list : [];
}

// Those that can be asked of a cluster that exists.
export function askable() {
  return table.filter((kind) => kind.path);
}

export function isPossible(kind, status) {
  return kind.from.includes(status);
}

// What a job's action, as "EXPAND_CLUSTER", is called.
export function actionWords(action) {
  const key = String(action || "").toLowerCase();
  const kind = table.find(({ actions }) => actions.includes(key));
  const words = key.replaceAll("_", " ");

  return kind ? { title: kind.title, doing: kind.doing }
    : { title: words || "Work", doing: words || "working" };
}

// Where these fields of an operation are asked for: its path, whose {..} is its first field's only
// element.
export function pathOf(kind, fields) {
  return kind.path.replace(/\{\w+\}/, () =>
    encodeURIComponent(String((fields[kind.fields[0]] || [""])[0])));
}
