/** Buttons that print the page in hand. */

export function startPrinting() {
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-print]")) return;
    event.preventDefault();
    window.print();
  });
}
