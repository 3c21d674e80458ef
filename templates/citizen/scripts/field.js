/* The page of people in the field: photo after photo, tasks and words, kept here until the duty room has them. */
"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const form = by("report"), lang = document.documentElement.lang;
  const NAMES = ["to", "text", "place", "lat", "lon", "accuracy", "position_at"];
  const FRESH = 60000; // ms that a position counts for a photo: on foot 100 m
  const AGAIN = 60000; // ms between looks for new tasks while the page is open
  const ONE_MATTER = 4 * 3600000; // ms after which what is sent without a task is another matter
  const box = Outbox.box({ name: "tocsin-field", address: "/field", ...Sender });
  let page, here = null, isFollowed = false, sentBefore = -1;

  if (Waiting.can()) begin();

  async function begin() {
    if (form.dataset.person) await remember(document);
    const me = await box.fact("me");
    if (!me) return void (by("never").hidden = false);
    if (!form.dataset.person) recall(me);
    await box.hurry();
    page = Waiting.start({ box, form, place: "/field", heard });
    page.onSubmit(words);
    by("shot").addEventListener("change", shots);
    for (const press of [by("shot"), by("to")]) press.addEventListener("click", follow);
    by("another").addEventListener("click", another);
    by("tasks").addEventListener("submit", step);
    const leave = document.querySelector("form[action='/logout']");
    if (leave) leave.addEventListener("submit", (event) => {
      event.preventDefault();
      Sender.out().finally(() => leave.submit());
    });
    setInterval(() => document.hidden || refresh(), AGAIN);
  }

  /* What the hub says now, for the time without a network. */
  function remember(from) {
    const told = from.getElementById("report").dataset;
    return box.note("me", {
      person: told.person, until: Date.now() + Number(told.left) * 1000, at: new Date().toISOString(),
      tasks: from.getElementById("tasks").innerHTML, to: from.getElementById("to").innerHTML,
    });
  }

  /* The page as it is kept says nothing of anybody: put in what was said last, if that session is not over. */
  function recall(me) {
    by("stale").hidden = false;
    if (me.isOut || me.until < Date.now()) return void (by("out").hidden = false);
    by("tasks").innerHTML = me.tasks;
    by("to").innerHTML = me.to;
    by("stale-at").textContent = new Date(me.at).toLocaleString(lang);
  }

  async function refresh() {
    if (!navigator.onLine) return;
    try {
      const answer = await fetch(`/field?lang=${lang}`, { headers: { Accept: "text/html" }, credentials: "same-origin", cache: "no-store" });
      const found = new DOMParser().parseFromString(await answer.text(), "text/html"), now = found.getElementById("report");
      if (answer.status >= 500) return;
      if (!now || !now.dataset.person) {
        await Sender.out();
        by("out").hidden = false;
        for (const part of ["tasks", "mine"]) by(part).replaceChildren();
        return;
      }
      await remember(found);
      if (by("tasks").contains(document.activeElement) && document.activeElement.matches("textarea")) return; // he is writing there
      const chosen = by("to").value;
      for (const part of ["tasks", "to", "mine"]) by(part).innerHTML = found.getElementById(part).innerHTML;
      by("to").value = chosen;
      if (by("to").selectedIndex < 0) by("to").selectedIndex = 0;
      by("stale").hidden = true;
    } catch (error) { /* no network: what is shown stays */ }
  }

  function heard(items, isSending) {
    const sent = items.filter((item) => item.state === "sent").length;
    if (isSending || sent === sentBefore) return;
    if (sentBefore >= 0) refresh();
    sentBefore = sent;
  }

  /* Asked for at the first press, where a browser lets a page ask. */
  function follow() {
    if (!isFollowed) Photos.follow((found) => { here = found; });
    isFollowed = true;
  }

  function whereabouts() {
    if (!here || Date.now() - new Date(here.at) > FRESH) return {};
    return { lat: here.lat, lon: here.lon, accuracy: here.accuracy, position_at: here.at };
  }

  /* A task, or the matter that he reports of his own accord: what follows soon is of the same. */
  async function to() {
    if (by("to").value) return by("to").value;
    const known = await box.fact("matter");
    const is = known && known.person === (await Sender.owner()) && Date.now() - known.at < ONE_MATTER ? known.key : Outbox.ulid();
    await box.note("matter", { key: is, at: Date.now(), person: await Sender.owner() });
    return `own:${is}`;
  }

  async function another() {
    await box.note("matter", null);
    by("to").value = "";
    page.say("another_begun");
  }

  async function item(given) {
    return { key: Outbox.ulid(), owner: await Sender.owner(), lang, files: [], ...given };
  }

  /* Each photo is a report of its own, kept before the next is taken. */
  async function shots() {
    const taken = [...by("shot").files], at = new Date().toISOString();
    by("shot").value = "";
    follow();
    for (const file of taken) {
      const fields = { written_at: at, lang, to: await to(), ...whereabouts() };
      const one = await item({ fields, files: await page.small([file], by("photo-place").checked), label: page.word("photo") });
      if (!(await page.keep(one))) return page.say("no_room", true);
      page.say("photo_kept", false, "", true);
      page.send();
    }
  }

  async function words() {
    const given = await page.filled(NAMES);
    if (!given) return;
    given.fields.to = await to();
    if (!given.fields.lat) Object.assign(given.fields, whereabouts());
    if (!(await page.keep(await item(given)))) return page.say("no_room", true);
    const chosen = by("to").value;
    form.reset();
    by("to").value = chosen;
    page.say("kept");
    await page.send();
  }

  /* How far he is: it waits here like a report, with the time at which he said it. */
  async function step(event) {
    const asked = event.target, reason = asked.elements.reason;
    event.preventDefault();
    event.submitter.disabled = true;
    const fields = { said_at: new Date().toISOString(), ...(reason ? { reason: reason.value } : {}) };
    const one = await item({ fields, address: asked.getAttribute("action"), label: asked.dataset.label });
    if (!(await page.keep(one))) return asked.submit();
    page.say("step_kept");
    await page.send();
  }
})();
