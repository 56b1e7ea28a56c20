/** Theme and text size change at once; the cookie they leave is what the server reads next time. */

const ATTRIBUTES = { theme: "data-bs-theme", text: "data-text" };
const YEAR_SECONDS = 365 * 24 * 3600;

export function startPreferences() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-preference]");
    if (!link) return;
    const name = link.dataset.preference;
    const values = link.dataset.values.split(" ");
    const root = document.documentElement;
    const now = root.getAttribute(ATTRIBUTES[name]);
    const next = values[(values.indexOf(now) + 1) % values.length];
    event.preventDefault();
    root.setAttribute(ATTRIBUTES[name], next);
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${name}=${next}; Path=/; Max-Age=${YEAR_SECONDS}; SameSite=Lax${secure}`;
    document.dispatchEvent(new CustomEvent("preference", { detail: { name, value: next } }));
  });
}
