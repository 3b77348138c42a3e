// allauth's scripts say nothing to the person when a browser refuses a passkey.
document.addEventListener("allauth.error", (event) => {
  const refused = event.detail.exception.name === "NotAllowedError";
  const notice = document.getElementById("passkey-error") ?? document.createElement("p");
  notice.id = "passkey-error";
  notice.className = "notice error";
  notice.setAttribute("role", "alert");
  notice.textContent = refused
    ? "The passkey was not used: it was cancelled, or it took too long."
    : "This browser cannot use a passkey here. Passkeys need HTTPS, or the name localhost.";
  document.querySelector("main h1").after(notice);
});
