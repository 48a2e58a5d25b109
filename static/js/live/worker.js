// The shared worker: the hub of all tabs that show this version of the console to one user.
import { Hub } from "./hub.js";

const hub = new Hub();
addEventListener("connect", (event) => hub.attach(/** @type {MessageEvent} */ (event).ports[0]));
