(() => {
  // The session: a warning two minutes before the desk locks it, "Stay", and a page that shows nothing once it is locked.
  // The desk alone knows how long nobody has used the session, in this window and in every other one.
  const warning = document.querySelector("[data-left]");
  if (!warning) return;
  const title = document.title;
  const until = (seconds) => Date.now() + seconds * 1000;
  let [end, used, asking] = [until(Number(warning.dataset.left)), Date.now(), false];
  const cover = (reload) => {
    dispatchEvent(new Event("desk-locked"));
    document.body.replaceChildren(document.querySelector("#covered").content.cloneNode(true));
    document.title = "Locked – Desk";
    document.querySelector("h1").focus();
    if (reload) location.reload();
  };
  const hear = (seconds) => {
    end = until(seconds);
    if (seconds > Number(warning.dataset.warn)) { if (warning.open) warning.close(); document.title = title; return; }
    if (warning.open) return;
    warning.showModal();
    document.title = `Locks soon: ${title}`;
  };
  const ask = async () => {
    if (asking) return;
    asking = true;
    const answer = await fetch(warning.dataset.ask).catch(() => null);
    asking = false;
    if (answer && answer.ok && !answer.redirected) return hear((await answer.json()).left);
    if (answer || Date.now() > end) cover(Boolean(answer)); // locked; or the desk does not answer, and the time is over
  };
  const stay = async () => {
    used = Date.now();
    const body = new URLSearchParams({ token: document.querySelector("[name=token]").value });
    const answer = await fetch(warning.dataset.stay, { method: "POST", body }).catch(() => null);
    if (answer && answer.ok) hear(Number(warning.dataset.whole)); else ask();
  };
  const use = () => { if (warning.open || Date.now() - used > 60000) stay(); };
  for (const name of ["keydown", "pointerdown", "wheel", "input"]) addEventListener(name, use, { passive: true });
  warning.querySelector("button").addEventListener("click", (event) => { event.preventDefault(); stay(); });
  warning.addEventListener("cancel", (event) => { event.preventDefault(); stay(); });
  const look = () => { if (end - Date.now() <= warning.dataset.warn * 1000) ask(); };
  setInterval(look, 5000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  addEventListener("pageshow", (event) => { if (event.persisted) ask(); });
})();
