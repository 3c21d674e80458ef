/* A form whose reports wait on this device: what it says, the list of what waits, and what can be done with it. */
"use strict";
const Waiting = (() => {
  const by = (id) => document.getElementById(id);
  const word = (name) => by("w-" + name).textContent;
  const lang = document.documentElement.lang;
  const can = () => self.indexedDB && self.fetch && self.FormData && self.crypto;

  /* `box` is the outbox, `form` what fills it, `place` where its worker lives; `heard(items, isSending)` after each look. */
  function start({ box, form, place, heard = () => {} }) {
    const note = by("note"), kept = by("kept"), button = form.querySelector("button[type=submit]");
    let timer = 0, sending = 0, isBusy = false;

    by("with-script").hidden = false;
    for (const part of document.querySelectorAll(".script-only")) part.hidden = false;
    worker();
    network();
    list();
    send();
    addEventListener("online", () => { network(); box.hurry().then(send); });
    addEventListener("offline", network);
    document.addEventListener("visibilitychange", () => document.hidden || send());
    if (self.BroadcastChannel) new BroadcastChannel(Outbox.NEWS).onmessage = list;
    by("locate").addEventListener("click", locate);
    for (const name of ["lat", "lon"]) by(name).addEventListener("input", () => { by("accuracy").value = by("position_at").value = ""; });

    async function worker() {
      if (!navigator.serviceWorker) return;
      try { await navigator.serviceWorker.register(`${place}/sw.js`, { scope: place }); } catch (error) { /* the outbox works without */ }
    }

    function network() {
      by("offline").hidden = navigator.onLine;
    }

    /* Say it where screen readers listen, and take the reader there unless he is in the middle of something. */
    function say(name, isBad = false, more = "", isQuiet = false) {
      note.textContent = word(name) + more;
      note.className = "box " + (isBad ? "no" : "good");
      note.hidden = false;
      if (!isQuiet) note.focus();
    }

    /* Run `work` for the submit button, once at a time. */
    function onSubmit(work) {
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        if (isBusy) return;
        isBusy = button.disabled = true;
        work().catch(() => say("failed", true)).finally(() => { isBusy = button.disabled = false; });
      });
    }

    /* {fields, files} of what is filled in, the photos made small; null when it was said why not. */
    async function filled(names) {
      const chosen = [...by("files").files];
      if (chosen.length > 5) return say("many_files", true), null;
      say("preparing");
      const files = await small(chosen, by("photo-place").checked);
      if (files.reduce((n, file) => n + file.data.byteLength, 0) > Number(form.dataset.most)) return say("too_large", true), null;
      const fields = { written_at: new Date().toISOString(), lang };
      for (const name of names) {
        const value = form.elements[name].value.trim();
        if (value) fields[name] = value;
      }
      return { fields, files };
    }

    async function small(chosen, mayTellPlace) {
      const files = [];
      for (const file of chosen) {
        const { name, type, data } = await Photos.ready(file, mayTellPlace);
        files.push({ name, type, data });
      }
      return files;
    }

    /* Promise it; false when this device has no room. */
    async function keep(item) {
      try {
        await box.keep(item);
      } catch (error) {
        return false;
      }
      if (navigator.storage && navigator.storage.persist) navigator.storage.persist().catch(() => {});
      wake();
      return true;
    }

    /* The browser sends when there is a network, even with no page open; where it cannot, this page does. */
    async function wake() {
      try {
        const ready = await navigator.serviceWorker.ready;
        if (ready.sync) await ready.sync.register(box.name);
      } catch (error) { /* no worker, or no leave: online, page load and timer remain */ }
    }

    async function send() {
      clearTimeout(timer);
      sending++;
      await box.flush().catch(() => {});
      sending--;
      await list();
      const wait = await box.soonest().catch(() => null);
      if (wait !== null) timer = setTimeout(send, Math.min(wait, 60000));
    }

    async function list() {
      const items = (await box.mine().catch(() => [])).sort((a, b) => b.made - a.made);
      by("kept-box").hidden = !items.length;
      kept.replaceChildren(...items.map(row));
      heard(items, sending > 0);
    }

    function row(item) {
      const line = document.createElement("li"), when = document.createElement("time");
      when.dateTime = new Date(item.made).toISOString();
      when.textContent = new Date(item.made).toLocaleString(lang);
      line.dataset.state = item.state;
      const waits = item.problem === "login" ? "login" : item.status >= 500 ? "busy" : "waiting";
      const state = item.state === "sent" || item.state === "refused" ? item.state : waits;
      line.append(when, " ", word(by("w-" + state) ? state : "waiting"), " ");
      if (item.state === "sent") {
        const link = document.createElement("a");
        link.href = item.page;
        link.textContent = item.code;
        line.append(link, " ", act("forget", item));
        return line;
      }
      const said = document.createElement("bdi");
      said.textContent = (item.fields.text || item.label || "").slice(0, 40);
      line.append(said);
      if (item.files.length) line.append(" +" + item.files.length);
      const goesBack = item.address ? [] : [" ", act("edit", item)];
      line.append(" ", act("again", item), ...(item.state === "refused" ? [...goesBack, " ", act("forget", item)] : []));
      return line;
    }

    function act(name, item) {
      const made = document.createElement("button");
      made.type = "button";
      made.className = "small";
      made.textContent = word(name);
      made.setAttribute("aria-label", `${word(name)}: ${item.code || (item.fields.text || item.label || "").slice(0, 40)}`);
      made.addEventListener("click", async () => {
        if (name === "forget") await box.drop(item.key);
        if (name === "edit") await back(item);
        if (name === "again") await box.put({ ...item, state: "waiting", next: 0 });
        await list();
        if (name === "again") await send();
      });
      return made;
    }

    /* A report that was not taken goes back into the form, under a new key: it will be another one. */
    async function back(item) {
      for (const [name, value] of Object.entries(item.fields)) if (form.elements[name]) form.elements[name].value = value;
      const files = new DataTransfer();
      for (const file of item.files) files.items.add(new File([file.data], file.name, { type: file.type }));
      by("files").files = files.files;
      await box.drop(item.key);
      by("text").focus();
    }

    async function locate() {
      say("locating");
      try {
        const found = await Photos.position();
        by("lat").value = found.lat;
        by("lon").value = found.lon;
        by("accuracy").value = found.accuracy;
        by("position_at").value = found.at;
        by("coordinates").open = true;
        say("located", false, ` ±${found.accuracy} m`);
      } catch (error) {
        say(error.message === "denied" ? "denied" : "no_position", true);
      }
    }

    return { say, onSubmit, filled, small, keep, send, word };
  }

  return { start, can };
})();
