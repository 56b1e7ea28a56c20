/** A box that ticks or clears every box of its form with the name in `data-tick-all`. */

export function startTickBoxes() {
  document.addEventListener("change", (event) => {
    const all = event.target.closest("[data-tick-all]");
    if (all) {
      for (const box of boxesOf(all)) box.checked = all.checked;
      return;
    }
    const form = event.target.closest("form");
    for (const other of form?.querySelectorAll("[data-tick-all]") ?? []) {
      if (other.dataset.tickAll === event.target.name) {
        const boxes = boxesOf(other);
        other.checked = boxes.every((box) => box.checked);
        other.indeterminate = !other.checked && boxes.some((box) => box.checked);
      }
    }
  });
}

function boxesOf(all) {
  return [...all.form.querySelectorAll(`input[type=checkbox][name="${all.dataset.tickAll}"]`)];
}
