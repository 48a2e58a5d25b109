// The entry of every page: what each element of the page asks for is switched on, nothing else runs.
import { startTheme } from "./ui/theme.js";
import { startTabs } from "./ui/tabs.js";
import { startTimes } from "./ui/times.js";
import { startFilters } from "./ui/filter.js";
import { startActions } from "./ui/actions.js";
import { startPasskeys } from "./ui/passkeys.js";
import { startKeys } from "./ui/keys.js";
import { startSearch } from "./ui/search.js";
import { startForm } from "./form/form.js";
import { startBanners } from "./live/banners.js";
import { Live } from "./live/live.js";
import { startRunPage } from "./runs/run.js";
import { startListPage } from "./runs/list.js";
import { startComparePage } from "./compare/compare.js";
import { startMenus } from "./runs/select.js";
import { startSweepPage } from "./sweeps/show.js";
import { startComplete } from "./form/complete.js";
import { startGallery } from "./gallery.js";

startTheme();
startTabs();
startTimes();
startFilters();
startActions();
startPasskeys();
startForm();
startComplete();
startSearch();
startKeys();
startMenus();

const live = new Live(document.body.dataset.viewer ?? "");
startBanners(live);
const run = document.getElementById("run-page");
if (run) startRunPage(live, run);
const compared = document.getElementById("compare-page");
if (compared) startComparePage(compared);
const sweep = document.getElementById("sweep-page");
if (sweep) startSweepPage(live, sweep);
if (document.querySelector("[data-live-list]")) startListPage(live);
startGallery();
// Who is not signed in, or has to do something else first, has nothing to follow.
if ("systemSeq" in document.body.dataset) live.start();
