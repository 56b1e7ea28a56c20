/** Copy buttons: `data-copy` holds the text; the result is shown and read aloud. */

const SHOWN_MILLISECONDS = 2000;

export function startCopyButtons() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await copyText(button.dataset.copy);
    const use = button.querySelector("use");
    const idle = use.getAttribute("href");
    use.setAttribute("href", idle.replace(/#.*/, "#i-check"));
    button.classList.add("is-done");
    announce(button.dataset.done);
    setTimeout(() => {
      use.setAttribute("href", idle);
      button.classList.remove("is-done");
    }, SHOWN_MILLISECONDS);
  });
}

/** The clipboard API exists on HTTPS and localhost only; an intranet page may be neither. */
async function copyText(text) {
  if (navigator.clipboard && window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "only-read-aloud";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

export function announce(text) {
  const region = document.getElementById("announcer");
  if (region) region.textContent = text ?? "";
}
