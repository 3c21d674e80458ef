// The live link, keys, sound and clocks of the desk. Every act stays a link or a form of the page itself.
(() => {
  "use strict";
  const at = id => document.getElementById(id), all = (query, from) => [...(from || document).querySelectorAll(query)];
  const kept = { get: name => { try { return localStorage.getItem(name); } catch { return null; } },
    set: (name, value) => { try { localStorage.setItem(name, value); } catch { /* private mode: for this page only */ } } };
  const live = at("live"), dialog = at("keys"), rows = at("rows");
  const STALE = 35000; // ms without a word: two heartbeats and a little
  const ALARM = 10000; // ms after which nobody may overlook that the page is old
  let offset = Date.parse(document.body.dataset.now) - Date.now(); // of the hub's clock
  let lost = Date.now(), heard = Date.now(), connection = null, gone = "", asked = 0;

  // ---- what is said to screen readers: at most every three seconds, the latest word
  let word = "", spoken = 0;
  const say = text => { word = text; };
  const speak = () => { if (word && Date.now() - spoken > 3000) { at("said").textContent = word; word = ""; spoken = Date.now(); } };

  // ---- pieces of the page that follow what they show: data-live="report:rep_1 report/file shift"
  const touched = new WeakMap();
  function touch(element) {
    const wait = (touched.get(element) || 0) + 300 - Date.now();
    if (wait > 300) return; // a look is due already
    touched.set(element, Date.now() + Math.max(0, wait));
    setTimeout(() => { if (element.isConnected) htmx.trigger(element, "live"); }, Math.max(0, wait));
  }
  const changed = (kind, id, act) => all(`[data-live~="${kind}"],[data-live~="${kind}:${id}"],[data-live~="${kind}/${act}"]`).forEach(touch);

  // ---- the link
  function show() {
    if (!live) return;
    const seconds = lost ? Math.floor((Date.now() - lost) / 1000) : 0, link = at("link"), bar = at("bar");
    link.hidden = false;
    link.className = lost ? "off" : "on";
    link.textContent = lost ? link.dataset.off.replace("{n}", seconds) : link.dataset.on;
    bar.hidden = !lost || (Date.now() - lost < ALARM && !gone);
    bar.textContent = bar.dataset[gone || "lost"];
  }
  function up(event) {
    connection = event.detail.connection;
    const was = lost;
    lost = 0; heard = Date.now(); gone = "";
    if (connection.attempt > 0) { say(live.dataset.up); reread(); } // the first page is fresh, and goes on from its mark
    if (was) show();
  }
  function down() { if (!lost) { lost = Date.now(); say(live.dataset.down); } show(); }
  function reread() { all("[data-live]").forEach(touch); if (rows) renew(); }
  if (live) {
    live.addEventListener("htmx:sse:after:connection", up);
    live.addEventListener("htmx:sse:before:connection", event => {
      if (event.detail.connection.attempt > 0) down();
      if (gone) event.detail.connection.cancelled = true;
    });
    live.addEventListener("htmx:sse:error", event => { if ([401, 403].includes(event.detail.status)) gone = "session"; down(); });
    live.addEventListener("htmx:sse:close", () => { connection = null; down(); });
    live.addEventListener("htmx:response:error", event => { if ([401, 403].includes(event.detail.ctx?.response?.status)) gone = "session"; down(); });
    live.addEventListener("htmx:error", down);
    live.addEventListener("htmx:sse:before:message", () => { heard = Date.now(); });
    live.addEventListener("beat", event => { offset = Date.parse(JSON.parse(event.detail.data).at) - Date.now(); });
    live.addEventListener("reset", reread);
    live.addEventListener("bye", event => { gone = JSON.parse(event.detail.data).why; if (gone === "sight") location.reload(); else down(); }); // its words may be seen no more
    for (const kind of live.dataset.kinds.split(" ")) live.addEventListener(kind, event => {
      const told = JSON.parse(event.detail.data);
      changed(told.kind, told.id, told.act);
      if (told.kind !== "report") return;
      if (["file", "decline_handover"].includes(told.act)) alarm();
      if (rows) { wanted.add(told.id); gather(); }
    });
    const back = () => { if (gone === "displaced") gone = ""; };
    addEventListener("focus", back);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) { back(); unseen = 0; document.title = title; } });
  }

  for (const name of ["htmx:error", "htmx:response:error"]) document.addEventListener(name, event => {
    const note = at(event.target.dataset?.saved);
    if (note) note.textContent = note.dataset.failed;
  });

  // ---- the list: new rows on top, known ones in place; nothing moves under the pointer
  const wanted = new Set(), held = new Map();
  let timer = 0;
  const gather = () => { timer ||= setTimeout(() => { timer = 0; fetchRows(); }, wanted.size > 1 ? 150 : 20); };
  async function fetchRows() {
    const ids = [...wanted].slice(0, 100);
    ids.forEach(id => wanted.delete(id));
    try {
      const answer = await fetch(`${rows.dataset.list}&ids=${ids}`, { headers: { "HX-Request": "true" } });
      if (!answer.ok) throw new Error(answer.status);
      put(await answer.text());
    } catch { ids.forEach(id => wanted.add(id)); setTimeout(gather, 2000); }
    if (wanted.size) gather();
  }
  function put(html) {
    const piece = document.createElement("template");
    piece.innerHTML = html;
    all("tr[id]", piece.content).reverse().forEach(place);
    release();
  }
  function place(row) {
    const old = at(row.id), within = old?.contains(document.activeElement);
    if (old) { old.replaceWith(row); if (within) row.querySelector("a")?.focus({ preventScroll: true }); }
    else if (!row.classList.contains("out")) held.set(row.id, row);
  }
  function release() {
    const chip = at("new"), is_held = scrollY > 60 || rows.matches(":hover") || !rows.dataset.first;
    if (held.size && !is_held) { held.forEach(row => rows.prepend(row)); say(chip.dataset.said.replace("{n}", held.size)); held.clear(); at("empty")?.remove(); }
    chip.hidden = !held.size;
    if (held.size) { chip.textContent = chip.dataset.said.replace("{n}", held.size); say(chip.textContent); }
  }
  function renew() { // after a gap: the page as it is now, without moving the rows that stay
    fetch(`${rows.dataset.list}&all=1`, { headers: { "HX-Request": "true" } }).then(async answer => { if (answer.ok) put(await answer.text()); }).catch(() => {});
  }
  rows?.addEventListener("mouseleave", () => release());
  at("new")?.addEventListener("click", () => { scrollTo(0, 0); held.forEach(row => rows.prepend(row)); held.clear(); release(); rows.querySelector("a")?.focus(); });

  // ---- the sound and the title of a page that nobody looks at
  const title = document.title, sound = at("sound");
  let unseen = 0, player = null;
  function ring() {
    sound.hidden = false;
    const on = kept.get("sound") === "on";
    sound.setAttribute("aria-pressed", on);
    sound.textContent = sound.dataset[!on ? "off" : player?.state === "running" ? "on" : "wait"];
  }
  function wake() { if (sound && kept.get("sound") === "on") { player ||= new AudioContext(); player.resume().then(ring); } }
  function alarm() {
    document.dispatchEvent(new CustomEvent("tocsin:alarm"));
    if (document.hidden) document.title = `(${++unseen}) ${title}`;
    if (player?.state !== "running" || kept.get("sound") !== "on") return;
    const tone = player.createOscillator(), volume = player.createGain();
    tone.frequency.value = 880; volume.gain.value = 0.15;
    tone.connect(volume).connect(player.destination);
    tone.start(); tone.stop(player.currentTime + 0.25);
  }
  sound?.addEventListener("click", () => { kept.set("sound", kept.get("sound") === "on" ? "off" : "on"); wake(); ring(); });
  addEventListener("pointerdown", wake, { once: true });

  // ---- keys: an element with data-key is pressed or entered, one with data-go after g; a row gives its own
  const off = at("keys-off");
  let going = 0;
  const entries = () => all("[data-row] a.open"), typing = target => target.closest?.("input,select,textarea,[contenteditable]");
  function step(by) {
    const list = entries(), now = list.indexOf(document.activeElement.closest("[data-row]")?.querySelector("a.open"));
    const next = list[Math.min(list.length - 1, Math.max(0, now < 0 ? 0 : now + by))];
    next?.focus(); next?.scrollIntoView({ block: "nearest" });
  }
  function press(element) {
    const fold = element.closest("details");
    if (fold) fold.open = true;
    if (typing(element)) { element.focus(); element.scrollIntoView({ block: "center" }); } else element.click();
  }
  function ofRow(key) {
    const row = document.activeElement.closest("[data-row]"), post = row?.getAttribute(`data-post-${key}`), href = row?.getAttribute(`data-href-${key}`);
    if (post) { const form = at("row-act"); form.action = post; form.requestSubmit(); } else if (href) location.assign(href);
    return Boolean(post || href);
  }
  document.addEventListener("keydown", event => { // Ctrl+Enter: from any field of a form that has such a button
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing && !event.repeat) event.target.form?.querySelector("[data-save]")?.click();
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey || event.repeat && !"jk".includes(event.key)) return;
    if (off?.checked || typing(event.target) || document.querySelector("dialog[open]") || event.key.length !== 1) return;
    wake();
    const key = event.key, goes = Date.now() - going < 1500; going = 0;
    if (goes && document.querySelector(`[data-go="${CSS.escape(key)}"]`)) press(document.querySelector(`[data-go="${CSS.escape(key)}"]`));
    else if (key === "g") going = Date.now();
    else if (key === "?" && dialog) dialog.showModal();
    else if ("jk".includes(key) && entries().length) step(key === "j" ? 1 : -1);
    else if (!ofRow(key)) { const found = document.querySelector(`[data-key="${CSS.escape(key)}"]`); if (!found) return; press(found); }
    event.preventDefault();
  });
  if (off) { off.checked = kept.get("keys") === "off"; off.addEventListener("change", () => kept.set("keys", off.checked ? "off" : "on")); }
  at("keys-open")?.addEventListener("click", () => dialog.showModal());

  // ---- filters beside long selects: <input data-filter="id of the select">
  all("[data-filter]").forEach(input => {
    const select = at(input.dataset.filter), options = all("option", select);
    input.closest("[hidden]")?.removeAttribute("hidden");
    input.addEventListener("input", () => {
      const text = input.value.trim().toLowerCase();
      options.forEach(option => { option.hidden = option.disabled = Boolean(text && option.value && !option.textContent.toLowerCase().includes(text)); });
      const first = text && options.find(option => option.value && !option.disabled);
      if (first) select.value = first.value;
    });
  });

  // ---- once a second
  const hands = new Intl.DateTimeFormat("en-GB", { timeZone: document.body.dataset.zone, hour: "2-digit", minute: "2-digit", second: "2-digit" });
  function tick() {
    const now = Date.now() + offset;
    if (at("clock")) at("clock").textContent = hands.format(now);
    all("[data-since]").forEach(element => {
      const seconds = Math.max(0, Math.floor((now - Date.parse(element.dataset.since)) / 1000));
      element.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    });
    if (live && connection && !lost && Date.now() - heard > STALE) { down(); connection.reader?.cancel(); }
    if (live && !connection && !gone && Date.now() - asked > 2000) { asked = Date.now(); htmx.trigger(live, "open"); }
    show(); speak();
  }
  if (sound) ring();
  document.addEventListener("DOMContentLoaded", tick);
  setInterval(tick, 1000);
})();
