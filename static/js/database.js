// Unfold's admin has no landmarks, and gives all that scrolls one name.
document.addEventListener("DOMContentLoaded", () => {
  document.getElementById("main")?.setAttribute("role", "main");
  const side = document.getElementById("nav-sidebar");
  side?.setAttribute("role", "navigation");
  side?.setAttribute("aria-label", document.title.split("|").at(-1).trim());
  for (const box of document.querySelectorAll("#nav-sidebar [data-simplebar]")) {
    box.dataset.simplebarAriaLabel = side.getAttribute("aria-label");
  }
});
