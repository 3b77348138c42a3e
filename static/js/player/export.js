// Asks the server for one file of the mix as it is set. Loaded when it is asked for.
const LOOK_MS = 1000;

export function open(player) {
  const dialog = player.querySelector(".sp-export");
  const part = (name) => dialog.querySelector(`[data-part=${name}]`);
  const form = dialog.querySelector("form");
  part("part").hidden = !player.loop;
  form.elements.loop.checked = Boolean(player.loop);
  part("start").hidden = false;
  part("file").hidden = part("progress").hidden = true;
  form.onsubmit = (event) => {
    event.preventDefault();
    run(player, form, part);
  };
  form.onchange = () => { part("start").hidden = false; };
  dialog.showModal();
}

async function run(player, form, part) {
  const status = part("progress").querySelector("p");
  const bar = part("progress").querySelector("progress");
  const say = (text, isOver) => {
    status.textContent = text;
    bar.hidden = isOver;
    part("progress").hidden = false;
  };
  const { loop, rate, mix } = player;
  const range = form.elements.loop.checked && loop
    ? [Math.round(loop.start * rate), Math.round(loop.end * rate)] : null;
  part("start").disabled = true;
  part("file").hidden = true;
  say(status.dataset.working, false);
  bar.removeAttribute("value");
  try {
    const { format, normalise } = form.elements;
    const order = { ...mix.toJSON(), format: format.value, range, normalise: normalise.checked };
    let made = await ask(player.getAttribute("mix"), order);
    const { status_url: address } = made;
    while (!["ready", "failed"].includes(made.state)) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      made = await ask(address);
      if (made.progress) bar.value = made.progress;
    }
    if (made.state === "failed") throw new Error(made.message ?? "");
    const { done, clipped } = status.dataset;
    say(made.clipped_samples ? `${done} ${clipped.replace("{n}", made.clipped_samples)}` : done, true);
    part("file").href = made.download_url;
    part("file").hidden = false;
    part("start").hidden = true;
    part("file").focus();
  } catch (error) {
    // What the server says is in words; what the browser says is not.
    const told = error instanceof TypeError || error instanceof SyntaxError ? "" : error.message;
    say(told || status.dataset.failed, true);
  } finally {
    part("start").disabled = false;
  }
}

async function ask(url, body) {
  const token = document.querySelector("meta[name=csrf-token]")?.content ?? "";
  const headers = { Accept: "application/json", "X-CSRFToken": token };
  const options = body
    ? { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body) }
    : { headers };
  const response = await fetch(url, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error?.message ?? answer.detail ?? "");
  return answer;
}
