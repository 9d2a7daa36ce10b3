(() => {
  // What is typed and not saved: the desk keeps each form some seconds after typing stops, and when the page is left.
  const OWN = new Set(["token", "typed", "window", "continues", "number", "writer"]);
  const [PAUSE, LONGEST, AGAIN] = [2000, 10000, 30000]; // milliseconds
  const LARGEST = 60000; // bytes that a page may send while it is left (Fetch Standard, 4.6)
  const watch = (form) => {
    const own = form.elements;
    const state = () => JSON.stringify([...new FormData(form)].filter(([name]) => !OWN.has(name)));
    const saved = own.continues.value ? null : state();
    let [kept, timer, since, busy, sent, failed] = [state(), 0, 0, false, false, false];
    const keep = async (leaving = false) => {
      clearTimeout(timer);
      [timer, since] = [0, 0];
      const now = state();
      if (sent || now === kept || (busy && !leaving)) return;
      busy = true;
      own.number.value = Number(own.number.value) + 1;
      const body = new URLSearchParams({ fields: now === saved ? "[]" : now });
      for (const name of OWN) body.set(name, own[name].value);
      const headers = failed ? { "Desk-Background": "yes" } : {}; // trying again is no sign that somebody is there
      const keepalive = body.toString().length < LARGEST;
      const answer = await fetch(form.dataset.typed, { method: "POST", body, headers, keepalive }).catch(() => null);
      busy = false;
      failed = !answer || answer.status !== 204;
      form.querySelector("[data-not-kept]").hidden = !failed;
      if (!failed) kept = now;
      if (failed) timer = setTimeout(() => keep(), AGAIN); else if (state() !== kept) later();
    };
    const later = () => {
      since = since || Date.now();
      clearTimeout(timer);
      timer = setTimeout(() => keep(), Math.max(0, Math.min(PAUSE, since + LONGEST - Date.now())));
    };
    for (const name of ["input", "keyup", "pointerup"]) document.addEventListener(name, () => setTimeout(later));
    form.addEventListener("submit", () => { sent = true; clearTimeout(timer); });
    addEventListener("desk-locked", () => { keep(true); sent = true; });
    document.addEventListener("visibilitychange", () => { if (document.hidden) keep(true); });
    addEventListener("pagehide", () => keep(true));
    addEventListener("beforeunload", (event) => {
      const open = !sent && state() !== kept;
      const large = state().length * 3 > LARGEST;
      keep(true);
      if (open && (failed || large)) event.preventDefault(); // a long text may not reach the desk while the page is left
    });
    addEventListener("pageshow", (event) => {
      if (!event.persisted) return; // a page that comes back goes on in a window of its own
      own.continues.value = own.window.value;
      own.window.value = crypto.randomUUID();
      own.number.value = 0;
      sent = false;
    });
  };
  for (const form of document.querySelectorAll("form[data-typed]")) watch(form);
})();
