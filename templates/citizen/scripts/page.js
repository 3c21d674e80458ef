/* The citizen's pages: what a script adds to forms that work without one. */
"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const word = (name) => by("w-" + name).textContent;
  const lang = document.documentElement.lang;

  letters();
  aloud();
  const form = by("report");
  if (form && self.indexedDB && self.fetch && self.FormData && self.crypto) begin();

  /* Large letters: the link works without us; with us the choice is remembered on this device. */
  function letters() {
    const link = by("big"), root = document.documentElement;
    const set = (isBig) => {
      root.classList.toggle("big", isBig);
      link.textContent = isBig ? link.dataset.less : link.dataset.more;
      link.setAttribute("aria-pressed", String(isBig));
    };
    let known = null;
    try { known = localStorage.getItem("big"); } catch (error) { /* storage is off: nothing is remembered */ }
    const asked = new URLSearchParams(location.search).get("big");
    link.setAttribute("role", "button");
    set(asked === null ? known === "1" : asked === "1");
    const remember = (isBig) => { try { localStorage.setItem("big", isBig ? "1" : "0"); } catch (error) { /* as above */ } };
    if (asked !== null) remember(asked === "1");
    link.addEventListener("keydown", (event) => event.key === " " && (event.preventDefault(), link.click()));
    link.addEventListener("click", (event) => {
      event.preventDefault();
      set(!root.classList.contains("big"));
      remember(root.classList.contains("big"));
    });
  }

  /* The page's own words, in the order in which they stand, by the voice of the device. */
  function aloud() {
    const button = by("aloud"), voice = self.speechSynthesis;
    if (!button || !voice || !self.SpeechSynthesisUtterance) return;
    button.hidden = false;
    const show = (isOn) => {
      button.textContent = isOn ? button.dataset.stop : button.dataset.start;
      button.setAttribute("aria-pressed", String(isOn));
    };
    show(false);
    addEventListener("pagehide", () => voice.cancel());
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-pressed") === "true") return voice.cancel(), show(false);
      const said = [...document.querySelectorAll("main h1, main h2, main p, main li, main label, main button, main summary")]
        .filter((part) => part !== button && part.offsetParent && !part.closest(".away, [hidden], .calls p, li li"))
        .map((part) => part.innerText.trim()).filter(Boolean);
      show(true);
      said.forEach((text, n) => {
        const spoken = new SpeechSynthesisUtterance(text);
        spoken.lang = lang;
        if (n === said.length - 1) spoken.onend = () => show(false);
        voice.speak(spoken);
      });
    });
  }

  function begin() {
    const box = Outbox.box({ name: "tocsin-reports", address: "/report" });
    const button = form.querySelector("button[type=submit]"), note = by("note"), kept = by("kept");
    let key = Outbox.ulid(), last = "", timer = 0, sending = 0, isBusy = false;

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
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (isBusy) return;
      isBusy = button.disabled = true;
      submit().catch(() => say("failed", true)).finally(() => { isBusy = button.disabled = false; });
    });

    async function worker() {
      if (!navigator.serviceWorker) return;
      try { await navigator.serviceWorker.register("/report/sw.js", { scope: "/report" }); } catch (error) { /* the outbox works without */ }
    }

    function network() {
      by("offline").hidden = navigator.onLine;
    }

    /* Say it where screen readers listen; `isBad` also takes the reader there. */
    function say(name, isBad = false, more = "") {
      note.textContent = word(name) + more;
      note.className = "box " + (isBad ? "no" : "good");
      note.hidden = false;
      note.focus();
    }

    async function submit() {
      const chosen = [...by("files").files];
      if (chosen.length > 5) return say("many_files", true);
      say("preparing");
      const mayTellPlace = by("photo-place").checked;
      const files = [];
      for (const file of chosen) files.push(await Photos.ready(file, mayTellPlace));
      if (files.reduce((n, file) => n + file.data.byteLength, 0) > Number(form.dataset.most)) return say("too_large", true);
      const fields = { written_at: new Date().toISOString(), lang };
      for (const name of ["text", "place", "lat", "lon", "accuracy", "position_at", "contact", form.dataset.trap]) {
        const value = form.elements[name].value.trim();
        if (value) fields[name] = value;
      }
      const item = { key, lang, fields, files: files.map(({ name, type, data }) => ({ name, type, data })) };
      try {
        await box.keep(item);
      } catch (error) {
        return unkept(item);
      }
      if (navigator.storage && navigator.storage.persist) navigator.storage.persist().catch(() => {});
      wake();
      form.reset();
      key = Outbox.ulid();
      say("kept");
      last = item.key;
      await send();
    }

    /* This device has no room for it: then it goes now or not at all, and the words stay in the form. */
    async function unkept(item) {
      say("sending");
      try {
        const { status, body } = await Outbox.post("/report", item, {});
        if (status === 201 && body.code) return location.assign(body.page);
      } catch (error) { /* no network: said below */ }
      say("no_room", true);
    }

    /* The browser sends when there is a network, even with no page open; where it cannot, this page does. */
    async function wake() {
      try {
        const ready = await navigator.serviceWorker.ready;
        if (ready.sync) await ready.sync.register("tocsin-reports");
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
      const items = (await box.all().catch(() => [])).sort((a, b) => b.made - a.made);
      by("kept-box").hidden = !items.length;
      kept.replaceChildren(...items.map(row));
      const receipt = items.find((item) => item.key === last && item.state === "sent");
      if (!receipt || sending || by("text").value) return; // whoever writes the next one already is left in peace
      last = "";
      location.assign(receipt.page);
    }

    function row(item) {
      const line = document.createElement("li"), when = document.createElement("time");
      when.dateTime = new Date(item.made).toISOString();
      when.textContent = new Date(item.made).toLocaleString(lang);
      line.dataset.state = item.state;
      const state = item.state === "sent" ? "sent" : item.state === "refused" ? "refused" : item.status >= 500 ? "busy" : "waiting";
      line.append(when, " ", word(state), " ");
      if (item.state === "sent") {
        const link = document.createElement("a");
        link.href = item.page;
        link.textContent = item.code;
        line.append(link, " ", act("forget", item));
        return line;
      }
      const said = document.createElement("bdi");
      said.textContent = (item.fields.text || "").slice(0, 40);
      line.append(said);
      if (item.files.length) line.append(" +" + item.files.length);
      line.append(" ", act("again", item), ...(item.state === "refused" ? [" ", act("edit", item), " ", act("forget", item)] : []));
      return line;
    }

    function act(name, item) {
      const made = document.createElement("button");
      made.type = "button";
      made.className = "small";
      made.textContent = word(name);
      made.setAttribute("aria-label", `${word(name)}: ${item.code || (item.fields.text || "").slice(0, 40)}`);
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
  }
})();
