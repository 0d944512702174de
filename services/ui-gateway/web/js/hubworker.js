// SPDX-License-Identifier: Apache-2.0
// Where the hub lives when the browser can share it among its tabs.

import { makeHub } from "./hub.js";

const hub = makeHub("../api/v2/events");

/** @type {any} */ (globalThis).onconnect = ({ ports }) => hub.join(ports[0]);
