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

// There is a main part around it already (ours), and buttons take no links: a click on one opens the
// operation and writes its address just as well.
function fit({ React }) {
  const divided = (element) => {
    if (!React.isValidElement(element)) return element;
    const { children, ...rest } = element.props;
    const inner = React.Children.toArray(children).map(divided);
    const type = element.type === "main" ? "div" : element.type;
    return React.createElement(type, { ...rest, key: element.key }, ...inner);
  };
  return {
    wrapComponents: {
      // All of the page goes through it.
      VersionPragmaFilter: (Filter) => ({ children, ...rest }) =>
        React.createElement(Filter, rest, ...React.Children.toArray(children).map(divided)),
      DeepLink: () => ({ text }) => React.createElement("span", null, text),
    },
  };
}

window.SwaggerUIBundle({
  plugins: [fit],
  domNode: place,
  url: place.dataset.description,
  deepLinking: true,
  // Nothing is sent to a validator elsewhere.
  validatorUrl: null,
});
