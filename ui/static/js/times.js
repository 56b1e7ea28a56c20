/** Keeps "3 minutes ago" true while a page stays open. */

const REFRESH_MILLISECONDS = 30_000;
const UNITS = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

export function startTimes() {
  const words = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "always" });
  setInterval(() => {
    for (const time of document.querySelectorAll("time[data-relative]")) {
      const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
      const unit = UNITS.find(([, size]) => Math.abs(seconds) >= size);
      if (unit) time.textContent = words.format(Math.trunc(seconds / unit[1]), unit[0]);
    }
  }, REFRESH_MILLISECONDS);
}
