/** The log viewer: fetches new lines while the job runs, follows the end, searches, links to lines.
 *
 * The server answers `data-source?after=<last line>` with <li> elements and the headers X-Log-Next
 * (the number to ask from next time) and X-Log-Finished (yes, when no more will come).
 */

const POLL_MILLISECONDS = 1000;
const RETRY_MILLISECONDS = 5000;

export function startLogs(root) {
  for (const viewer of root.querySelectorAll("[data-log]:not([data-started])")) {
    viewer.dataset.started = "yes";
    startLog(viewer);
  }
}

function startLog(viewer) {
  const list = viewer.querySelector(".log-view");
  const follow = viewer.querySelector("[data-log-follow]");
  const search = viewer.querySelector("[data-log-search]");
  const found = viewer.querySelector("[data-log-found]");

  const toEnd = () => {
    if (follow?.checked) list.scrollTop = list.scrollHeight;
  };
  const find = () => {
    const wanted = search.value.trim().toLowerCase();
    let hits = 0;
    for (const line of list.children) {
      const hit = wanted !== "" && line.textContent.toLowerCase().includes(wanted);
      line.classList.toggle("is-hidden", wanted !== "" && !hit);
      hits += Number(hit);
    }
    found.textContent = wanted === "" ? "" : String(hits);
  };

  search?.addEventListener("input", find);
  follow?.addEventListener("change", toEnd);
  // Reading further up means: do not pull me down.
  list.addEventListener("wheel", (event) => {
    if (follow && event.deltaY < 0) follow.checked = false;
  }, { passive: true });

  if (location.hash.startsWith("#L")) {
    if (follow) follow.checked = false;
    document.querySelector(location.hash)?.scrollIntoView({ block: "center" });
  } else if (viewer.dataset.source) {
    toEnd();
  }
  if (viewer.dataset.source) poll(viewer, list, () => {
    toEnd();
    if (search?.value) find();
  });
}

async function poll(viewer, list, added) {
  while (viewer.isConnected) {
    let wait = POLL_MILLISECONDS;
    try {
      const response = await fetch(`${viewer.dataset.source}?after=${viewer.dataset.next}`, {
        headers: { "HX-Request": "true" },
      });
      if (!response.ok) throw new Error(String(response.status));
      const lines = await response.text();
      if (lines.trim() !== "") {
        list.insertAdjacentHTML("beforeend", lines);
        added();
      }
      viewer.dataset.next = response.headers.get("X-Log-Next") ?? viewer.dataset.next;
      if (response.headers.get("X-Log-Finished") === "yes") return;
    } catch {
      wait = RETRY_MILLISECONDS;
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}
