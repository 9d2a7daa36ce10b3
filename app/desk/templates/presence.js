(() => {
  // Who else has this tip open, and that somebody changed it meanwhile: asked every ten seconds, and said politely.
  const beside = document.querySelector("[data-beside]");
  if (!beside) return;
  const [others, changed] = beside.querySelectorAll("p");
  const again = beside.querySelector("a");
  const { window: name, version, leave } = beside.dataset;
  const say = (place, sentence) => { if (place.textContent !== sentence) place.textContent = sentence; };
  let timer = 0;
  const look = async () => {
    clearTimeout(timer);
    const answer = await fetch(`${beside.dataset.beside}?${new URLSearchParams({ window: name, version })}`).catch(() => null);
    if (answer && (answer.status === 404 || answer.status === 409)) { location.assign(again.href); return; } // destroyed or locked away
    if (answer && (!answer.ok || answer.redirected)) return; // the session was locked
    if (answer) {
      const told = await answer.json();
      say(others, told.others);
      say(changed, told.changed);
      again.hidden = !told.changed;
    }
    timer = setTimeout(look, 10000);
  };
  timer = setTimeout(look, 10000);
  addEventListener("pagehide", () => {
    clearTimeout(timer);
    navigator.sendBeacon(leave, new URLSearchParams({ token: document.querySelector("[name=token]").value, window: name }));
  });
  addEventListener("pageshow", (event) => { if (event.persisted) look(); });
})();
