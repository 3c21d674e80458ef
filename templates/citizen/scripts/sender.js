/* Who sends from this telephone: the proof of his session, asked for with each try, and which reports are his. */
"use strict";
const Sender = (() => {
  const NAME = "tocsin-field";
  const PAUSE = 30000; // ms until it is looked again whether he has logged in
  const facts = Outbox.box({ name: NAME });

  async function headers(item) {
    const answer = await fetch("/field/me", { headers: { Accept: "application/json" }, credentials: "same-origin", cache: "no-store", redirect: "error" });
    if (answer.status === 401 || answer.status === 403) {
      await out();
      return { problem: "login", wait: PAUSE };
    }
    if (!answer.ok) throw new Error("busy");
    const told = await answer.json();
    return told.person === item.owner ? { "X-CSRF-Token": told.csrf } : { problem: "login", wait: PAUSE };
  }

  async function owner() {
    const me = await facts.fact("me");
    return me ? me.person : "";
  }

  /* His session is over: what it could show is forgotten here, what he wants to send stays. */
  async function out() {
    const me = await facts.fact("me");
    if (me && !me.isOut) await facts.note("me", { person: me.person, isOut: true });
  }

  return { headers, owner, out };
})();
