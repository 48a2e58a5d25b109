// The entry of every page: what each element of the page asks for is switched on, nothing else runs.
import { startTheme } from "./theme.js";
import { startTabs } from "./tabs.js";
import { startTimes } from "./times.js";
import { startActions } from "./actions.js";
import { startForm } from "./form.js";
import { startBanners } from "./banners.js";
import { Live } from "./socket.js";
import { startRunPage } from "./run.js";
import { startListPage } from "./list.js";
import { startSweepPage } from "./sweep.js";
import { startComplete } from "./complete.js";
import { startGallery } from "./gallery.js";

startTheme();
startTabs();
startTimes();
startActions();
startForm();
startComplete();

const live = new Live();
startBanners(live);
const run = document.getElementById("run-page");
if (run) startRunPage(live, run);
const sweep = document.getElementById("sweep-page");
if (sweep) startSweepPage(live, sweep);
if (document.querySelector("[data-live-list]")) startListPage(live);
startGallery();
live.start();
