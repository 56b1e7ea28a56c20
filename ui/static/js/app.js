/** Starts the small modules; each works on the whole page and again on what htmx swaps in. */

import { startCharts } from "./charts.js";
import { startCopyButtons } from "./copy.js";
import { startDialogs } from "./dialogs.js";
import { startLogs } from "./logs.js";
import { startMenus } from "./menus.js";
import { startPreferences } from "./preferences.js";
import { startPrinting } from "./printing.js";
import { startRows } from "./rows.js";
import { startSearchKey } from "./search.js";
import { startTickBoxes } from "./ticks.js";
import { startTimes } from "./times.js";

document.documentElement.classList.remove("no-script");

startMenus();
startPreferences();
startSearchKey();
startCopyButtons();
startDialogs();
startRows();
startPrinting();
startTickBoxes();
startTimes();
startCharts(document);
startLogs(document);

document.body.addEventListener("htmx:afterSwap", (event) => {
  startCharts(event.detail.target);
  startLogs(event.detail.target);
});
