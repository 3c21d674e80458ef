/* The citizen's form: what a script adds to one that works without. */
"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const lang = document.documentElement.lang;
  const form = by("report");
  if (form && Waiting.can()) begin();

  function begin() {
    const box = Outbox.box({ name: "tocsin-reports", address: "/report" });
    const names = ["text", "place", "lat", "lon", "accuracy", "position_at", "contact", form.dataset.trap];
    let key = Outbox.ulid(), last = "";
    const page = Waiting.start({ box, form, place: "/report", heard });

    page.onSubmit(async () => {
      const given = await page.filled(names);
      if (!given) return;
      if (!given.fields.text && !given.files.length) return page.say("no_text", true);
      const item = { key, lang, ...given };
      if (!(await page.keep(item))) return unkept(item);
      form.reset();
      key = Outbox.ulid();
      page.say("kept");
      last = item.key;
      await page.send();
    });

    /* This device has no room for it: then it goes now or not at all, and the words stay in the form. */
    async function unkept(item) {
      page.say("sending");
      try {
        const { status, body } = await Outbox.post("/report", item, {});
        if (status === 201 && body.code) return location.assign(body.page);
      } catch (error) { /* no network: said below */ }
      page.say("no_room", true);
    }

    function heard(items, isSending) {
      const receipt = items.find((item) => item.key === last && item.state === "sent");
      if (!receipt || isSending || by("text").value) return; // whoever writes the next one already is left in peace
      last = "";
      location.assign(receipt.page);
    }
  }
})();
