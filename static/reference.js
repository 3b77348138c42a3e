const place = document.getElementById("reference");

// Its own colours for the dark follow ours.
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");
function follow() {
  const theme = root.dataset.theme ?? (system.matches ? "dark" : "light");
  root.classList.toggle("dark-mode", theme === "dark");
}
follow();
system.addEventListener("change", follow);

window.SwaggerUIBundle({
  domNode: place,
  url: place.dataset.description,
  deepLinking: true,
  // Nothing is sent to a validator elsewhere.
  validatorUrl: null,
});
