// A secret that is shown once. Neither a reload nor the way back may show it again: the address
// becomes that of the page after it (a reload would send the form anew), and the text goes when
// the page is left, which browsers may keep as it was.
const box = document.querySelector("[data-shown-once]");
if (box) {
  const next = box.dataset.shownOnce;
  history.replaceState(null, "", next);
  addEventListener("pagehide", () => {
    for (const secret of box.querySelectorAll("[data-once]")) secret.textContent = "";
  });
  addEventListener("pageshow", (event) => { if (event.persisted) location.replace(next); });
}
