// allauth's scripts say nothing to the person when a browser refuses a passkey.
const words = document.currentScript.dataset;
document.addEventListener("allauth.error", (event) => {
  const refused = event.detail.exception.name === "NotAllowedError";
  const notice = document.getElementById("passkey-error") ?? document.createElement("p");
  notice.id = "passkey-error";
  notice.className = "notice error";
  notice.setAttribute("role", "alert");
  notice.textContent = refused ? words.refused : words.unfit;
  document.querySelector("main h1").after(notice);
});
