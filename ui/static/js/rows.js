/** Lists of rows in a form (data volumes): add and remove without a trip to the server. */

export function startRows() {
  document.addEventListener("click", (event) => {
    const add = event.target.closest("[data-add-row]");
    if (add) {
      event.preventDefault();
      addRow(add.closest("[data-rows]"));
      return;
    }
    const remove = event.target.closest("[data-remove-row]");
    if (remove) {
      event.preventDefault();
      removeRow(remove.closest("[data-rows]"), remove.closest("[data-row]"));
    }
  });
}

function addRow(list) {
  const template = list.querySelector("template");
  const index = Number(list.dataset.next);
  const holder = document.createElement("div");
  holder.innerHTML = template.innerHTML.replaceAll("__index__", String(index));
  const row = holder.firstElementChild;
  list.dataset.next = String(index + 1);
  list.querySelector("[data-row-holder]").append(row);
  row.querySelector("input, select")?.focus();
  changed(list);
}

function removeRow(list, row) {
  row.remove();
  list.querySelector("[data-add-row]").focus();
  changed(list);
}

function changed(list) {
  const full = list.querySelectorAll("[data-row]").length >= Number(list.dataset.max || Infinity);
  list.querySelector("[data-add-row]").hidden = full;
  list.dispatchEvent(new Event("change", { bubbles: true }));
}
