// SPDX-License-Identifier: Apache-2.0

import { run } from "./harness.js";
import "./store_test.js";
import "./liststore_test.js";
import "./words_test.js";

window.results = run();
document.getElementById("results").textContent = JSON.stringify(window.results, null, 1);
