// SPDX-License-Identifier: Apache-2.0

import { run } from "./harness.js";
import "./clusters_test.js";
import "./liststore_test.js";
import "./router_test.js";
import "./store_test.js";
import "./stream_test.js";
import "./words_test.js";

window.outcomes = await run();
document.getElementById("results").textContent = JSON.stringify(window.outcomes, null, 1);
