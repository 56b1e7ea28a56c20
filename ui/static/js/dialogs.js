/** Confirmation: a link with `data-dialog` opens the <dialog> of that id; without script the link leads to a page. */

export function startDialogs() {
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) {
      const dialog = document.getElementById(opener.dataset.dialog);
      if (!dialog?.showModal) return;
      event.preventDefault();
      dialog.showModal();
      return;
    }
    const closer = event.target.closest("[data-close-dialog]");
    if (closer) {
      event.preventDefault();
      closer.closest("dialog").close();
    }
  });

  // The button opens only for the very name; the server checks it again.
  document.addEventListener("input", (event) => {
    const field = event.target.closest("[data-must-equal]");
    if (!field) return;
    const button = field.form.querySelector("[data-needs-name]");
    button.disabled = field.value.trim() !== field.dataset.mustEqual;
  });
  for (const field of document.querySelectorAll("[data-must-equal]")) {
    field.form.querySelector("[data-needs-name]").disabled = true;
  }

  // One press is one decision: a second click on a sent form does nothing.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || event.defaultPrevented) return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });
}
