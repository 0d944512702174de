// SPDX-License-Identifier: Apache-2.0
// Deleting a cluster, from the list and from its page.

import { deleteCluster } from "./api.js";
import { announce } from "./dom.js";
import { count } from "./format.js";
import { confirmModal } from "./modal.js";

export function askRemoval({ id, name, nodes, busy }) {
  const lost = nodes > 0
    ? `Its ${count(nodes, "node")} will be destroyed, with everything on them.`
    : "It has no nodes yet.";
  const first = busy ? " What is under way there is ended first." : "";

  confirmModal({
    title: `Delete ${name}?`,
    text: `${lost}${first} This cannot be undone.`,
    verb: "Delete cluster",
    act: async () => {
      await deleteCluster(id);
      announce(`Deleting ${name}`);
    },
  });
}
