"use strict";
(() => {
  const all = (query, from = document) => [...from.querySelectorAll(query)];
  const typing = (target) => target.closest("input:not([type=checkbox],[type=radio]), textarea, select");

  // One-letter keys: each presses the link, button or field that names the key in data-key.
  if (document.body.dataset.keys === "on") {
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || typing(event.target)) return;
      const open = document.querySelector("dialog[open]");
      if (open) { // the page behind is not to be pressed
        const button = open.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
        if (button) { button.click(); event.preventDefault(); }
        return;
      }
      const rows = all("[data-row]");
      const here = rows.findIndex((row) => row.contains(document.activeElement));
      if (rows.length && (event.key === "j" || event.key === "k")) {
        const next = rows[Math.max(0, Math.min(rows.length - 1, here + (event.key === "j" ? 1 : -1)))];
        if (next) { next.querySelector("a").focus(); event.preventDefault(); }
        return;
      }
      if (event.key === "x" && here >= 0) {
        const box = rows[here].querySelector("input[type=checkbox]");
        box.checked = !box.checked;
        return;
      }
      const within = here >= 0 ? all(`[data-key="${CSS.escape(event.key)}"]`, rows[here]) : [];
      const target = within[0] || document.querySelector(`[data-key="${CSS.escape(event.key)}"]:not([data-row] *)`)
        || document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
      if (!target) return;
      event.preventDefault();
      if (target.matches("input:not([type=checkbox]), textarea, select")) target.focus(); else target.click();
    });
  }

  // One picture, large: as wide as the window or one by one of its pixels, turned by quarters, and blurred as much as the
  // small one until somebody asks. The picture is let go when the dialog is closed.
  const viewer = document.querySelector(".viewer");
  if (viewer) {
    const [sheet, frame, veil, size] = [".sheet", ".turned", ".unveil", "[data-size]"].map((query) => viewer.querySelector(query));
    let quarters = 0;
    const lay = () => {
      const picture = frame.firstElementChild;
      if (!picture || !picture.naturalWidth) return;
      const sides = [picture.naturalWidth, picture.naturalHeight];
      const outer = quarters % 2 ? [...sides].reverse() : sides;
      const scale = size.getAttribute("aria-pressed") === "true" ? 1 : sheet.clientWidth / outer[0];
      Object.assign(picture.style, { width: `${sides[0] * scale}px`, height: `${sides[1] * scale}px`, transform: `translate(-50%, -50%) rotate(${quarters * 90}deg)` });
      picture.style.setProperty("--blur", `${Math.max(22, Math.min(...sides) * scale * 0.12)}px`);
      Object.assign(frame.style, { width: `${outer[0] * scale}px`, height: `${outer[1] * scale}px` });
    };
    for (const button of all("[data-look]")) {
      button.hidden = false;
      button.addEventListener("click", () => {
        const small = button.previousElementSibling.querySelector("img");
        const picture = Object.assign(new Image(), { alt: small.alt, onload: lay, src: small.src });
        quarters = 0;
        size.setAttribute("aria-pressed", "false");
        veil.checked = button.closest(".veiled").querySelector(".unveil").checked;
        frame.replaceChildren(picture);
        viewer.showModal();
        lay();
      });
    }
    size.addEventListener("click", () => { size.setAttribute("aria-pressed", size.getAttribute("aria-pressed") !== "true"); lay(); });
    viewer.querySelector("[data-turn]").addEventListener("click", () => { quarters = (quarters + 1) % 4; lay(); });
    viewer.querySelector("[data-shut]").addEventListener("click", () => viewer.close());
    viewer.addEventListener("close", () => frame.replaceChildren());
    addEventListener("resize", lay);
  }

  // Own words are watched as they are typed: what the desk says of a text is put in below it, and only counts are said aloud.
  const watching = document.querySelector("[data-watch]");
  if (watching) {
    for (const field of all("textarea[data-name]", watching)) {
      let [timer, latest] = [0, 0];
      const look = async () => {
        const here = document.getElementById(`watched-${field.dataset.number}`);
        const mine = ++latest;
        const body = new URLSearchParams({ token: watching.elements.token.value, name: field.dataset.name, text: field.value });
        for (const box of all("input:checked, input[type=hidden]", here)) body.append("stand", box.value);
        const answer = await fetch(watching.dataset.watch, { method: "POST", body }).catch(() => null);
        if (!answer || !answer.ok || answer.redirected || mine !== latest) return;
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".watched");
        if (!fresh || here.contains(document.activeElement)) return; // a box there has the focus
        const [said, news] = [here, fresh].map((one) => one.querySelector("[role=status]"));
        if (said.textContent !== news.textContent) said.replaceChildren(...news.childNodes);
        const open = Boolean(here.querySelector("details[open]"));
        while (said.nextSibling) said.nextSibling.remove();
        while (news.nextSibling) here.append(news.nextSibling);
        if (open && here.querySelector("details")) here.querySelector("details").open = true;
      };
      field.addEventListener("input", () => {
        clearTimeout(timer);
        timer = setTimeout(look, 600);
      });
    }
  }

  // All tips of the page are chosen at once, or none of them where all were chosen. The queue may be put in anew meanwhile.
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-choose-all]")) return;
    const boxes = all("[data-row] input[name=tip]");
    const some = boxes.some((box) => !box.checked);
    for (const box of boxes) box.checked = some;
  });

  // Long work: load the page again each second until the work has ended.
  if (document.querySelector("[data-reload]")) setTimeout(() => location.reload(), 1000);

  // What came in since the page was shown: said aloud, written in the title, and put into the queue. Ticks and the focus stay.
  const news = document.querySelector("[data-arrivals]");
  const kept = (box) => `${box.name}|${box.value}`;
  const renew = async () => {
    if (!document.querySelector("[data-renew]")) return;
    const answer = await fetch(location.href, { headers: { "Desk-Background": "yes" } });
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const active = document.activeElement;
    const focus = active && active.closest("[data-renew]") && (active.id ? `#${CSS.escape(active.id)}`
      : ["href", "formaction", "value"].map((name) => active.hasAttribute(name) && `[${name}="${CSS.escape(active.getAttribute(name))}"]`).find(Boolean));
    const ticked = new Map(all("[data-renew] input[type=checkbox]").map((box) => [kept(box), box.checked]));
    const chosen = all("[data-renew] select").map((list) => [list.id, list.value]);
    for (const old of all("[data-renew]")) {
      const part = fresh.getElementById(old.id);
      if (part) old.replaceWith(document.importNode(part, true));
    }
    for (const box of all("[data-renew] input[type=checkbox]")) if (ticked.has(kept(box))) box.checked = ticked.get(kept(box));
    for (const [id, value] of chosen) { const list = document.getElementById(id); if (list) list.value = value; }
    const again = focus && all(focus).find((one) => one.closest("[data-renew]"));
    if (again) again.focus();
  };
  if (news) {
    const title = document.title;
    const [status, alarm] = all("p", news);
    let [seen, unread] = [news.dataset.seen, 0];
    const ring = () => {
      const sound = new AudioContext();
      const tone = new OscillatorNode(sound, { frequency: 660 });
      tone.connect(new GainNode(sound, { gain: 0.2 })).connect(sound.destination);
      tone.start();
      tone.stop(sound.currentTime + 0.4);
      tone.onended = () => sound.close();
    };
    const look = async () => {
      const answer = await fetch(`${news.dataset.arrivals}?seen=${seen}`).catch(() => null);
      if (answer && (!answer.ok || answer.redirected)) return; // locked, or somebody else works now
      const arrived = answer ? await answer.json() : { seen, count: 0 };
      seen = arrived.seen;
      if (arrived.count) {
        await renew().catch(() => null);
        unread += arrived.count;
        document.title = `(${unread}${arrived.urgent ? ", danger" : ""}) ${title}`;
        status.textContent = arrived.urgent ? "" : arrived.sentence;
        if (arrived.urgent) { alarm.textContent = arrived.sentence; ring(); }
        news.querySelector("a").hidden = Boolean(document.querySelector("[data-renew]"));
      }
      setTimeout(look, 10000);
    };
    setTimeout(look, 10000);
    addEventListener("focus", () => { unread = 0; document.title = title; });
  }

  // Words to redact: Tab stops once in each answer, arrow keys move from word to word, Shift with an arrow key marks
  // both words, and dragging marks each word under the pointer.
  let dragging = null;
  for (const words of all(".words")) {
    const boxes = all("input", words);
    boxes.forEach((box, place) => { box.tabIndex = place ? -1 : 0; });
    words.addEventListener("keydown", (event) => {
      const place = boxes.indexOf(event.target);
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10, Home: -1e9, End: 1e9 }[event.key];
      if (place < 0 || !step) return;
      const next = boxes[Math.max(0, Math.min(boxes.length - 1, place + step))];
      if (event.shiftKey) { event.target.checked = true; next.checked = true; }
      event.target.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
      event.preventDefault();
    });
    words.addEventListener("pointerdown", (event) => {
      const label = event.target.closest("label");
      if (!label || event.button) return;
      dragging = !label.control.checked;
      label.control.checked = dragging;
      event.preventDefault();
    });
    words.addEventListener("pointerover", (event) => {
      const label = event.target.closest("label");
      if (dragging !== null && label && event.buttons) label.control.checked = dragging;
    });
    words.addEventListener("click", (event) => { if (event.detail && event.target.closest("label")) event.preventDefault(); });
  }
  document.addEventListener("pointerup", () => { dragging = null; });

  // Boxes on a picture: the lines of the text field are sent to the desk; the boxes only show them over the picture.
  const lines = document.querySelector("#boxes");
  if (lines) {
    const stages = all(".stage");
    const clip = (value) => Math.max(0, Math.min(100, value));
    const read = () => lines.value.split("\n").filter((line) => line.trim()).map((line) => line.trim().split(/\s+/).map(Number));
    const write = (boxes) => { lines.value = boxes.map((box) => [box[0], ...box.slice(1).map((n) => n.toFixed(2))].join(" ")).join("\n"); draw(); };
    const draw = (focus = -1) => {
      all(".box").forEach((box) => box.remove());
      read().forEach((box, place) => {
        const stage = stages[box[0] - 1];
        if (!stage || box.length !== 5 || box.some(Number.isNaN)) return;
        const shown = document.createElement("button");
        shown.type = "button";
        shown.className = "box";
        shown.setAttribute("aria-label", `Black box ${place + 1}: arrows move it, Shift and arrows change its size, Delete removes it`);
        Object.assign(shown.style, { left: `${box[1]}%`, top: `${box[2]}%`, width: `${box[3] - box[1]}%`, height: `${box[4] - box[2]}%`, padding: 0, border: 0, minHeight: 0 });
        shown.addEventListener("keydown", (event) => move(event, place));
        stage.append(shown);
        if (focus === place) shown.focus();
      });
    };
    const move = (event, place) => {
      const boxes = read();
      const box = boxes[place];
      const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] || [0, 0];
      if (event.key === "Delete" || event.key === "Backspace") { boxes.splice(place, 1); write(boxes); stages[0].focus(); event.preventDefault(); return; }
      if (!x && !y) return;
      event.preventDefault();
      const moved = event.shiftKey ? [box[1], box[2], clip(box[3] + x), clip(box[4] + y)] : [clip(box[1] + x), clip(box[2] + y), clip(box[3] + x), clip(box[4] + y)];
      if (moved[2] - moved[0] < 1 || moved[3] - moved[1] < 1) return;
      boxes[place] = [box[0], ...moved];
      write(boxes);
      draw(place);
    };
    stages.forEach((stage, page) => {
      let start = null;
      const at = (event) => {
        const frame = stage.getBoundingClientRect();
        return [clip(((event.clientX - frame.left) / frame.width) * 100), clip(((event.clientY - frame.top) / frame.height) * 100)];
      };
      stage.addEventListener("pointerdown", (event) => {
        if (event.target.closest(".box") || event.button) return;
        start = at(event);
        stage.setPointerCapture(event.pointerId);
        event.preventDefault();
      });
      stage.addEventListener("pointerup", (event) => {
        if (!start) return;
        const end = at(event);
        const box = [Math.min(start[0], end[0]), Math.min(start[1], end[1]), Math.max(start[0], end[0]), Math.max(start[1], end[1])];
        start = null;
        if (box[2] - box[0] > 0.5 && box[3] - box[1] > 0.5) write([...read(), [page + 1, ...box]]);
      });
      const add = document.querySelector(`[data-add="${page + 1}"]`);
      add.hidden = false;
      add.addEventListener("click", () => { write([...read(), [page + 1, 40, 40, 60, 60]]); draw(read().length - 1); });
    });
    lines.addEventListener("input", () => draw());
    draw();
  }
})();
