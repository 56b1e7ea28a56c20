/** The drawer on phones and the drop-down menus: Escape and a click elsewhere close them, focus returns. */

export function startMenus() {
  const drawer = document.getElementById("side");
  const opener = document.querySelector("[data-open-drawer]");

  const setDrawer = (open) => {
    drawer.classList.toggle("is-open", open);
    opener.setAttribute("aria-expanded", String(open));
    if (open) drawer.querySelector("a").focus();
    else opener.focus();
  };

  if (drawer && opener) {
    opener.setAttribute("aria-expanded", "false");
    opener.addEventListener("click", (event) => {
      event.preventDefault();
      setDrawer(true);
    });
    for (const closer of document.querySelectorAll("[data-close-drawer]")) {
      closer.addEventListener("click", (event) => {
        event.preventDefault();
        setDrawer(false);
      });
    }
  }

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    if (drawer?.classList.contains("is-open")) setDrawer(false);
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
}
