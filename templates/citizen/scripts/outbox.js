/* Reports that wait on this device until the duty room has them; shared by the page and its service worker.

   A report is promised only after its transaction has completed. Each has a key of its own (ULID), sent as
   Idempotency-Key with every try, so that a lost answer, two tabs and a worker make one report of it. */
"use strict";
const Outbox = (() => {
  const NEWS = "tocsin-outbox"; // the channel on which tabs and worker tell each other that something changed
  const PATIENCE = 5 * 60 * 1000; // ms, as the door's: five photos of 1 MB at 150 kbit/s
  const SHORTEST = 2000, LONGEST = 5 * 60 * 1000; // ms between tries without a word from the server
  const SHOWN = 30; // receipts kept for the reader; their words and photos are gone once they are sent
  const LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

  /* 48 bits of time, 80 of chance (github.com/ulid/spec). */
  function ulid() {
    let time = Date.now(), said = "";
    for (let n = 0; n < 10; n++, time = Math.floor(time / 32)) said = LETTERS[time % 32] + said;
    return said + Array.from(crypto.getRandomValues(new Uint8Array(16)), (n) => LETTERS[n % 32]).join("");
  }

  function open(name) {
    return new Promise((resolve, reject) => {
      const asked = indexedDB.open(name, 1);
      asked.onupgradeneeded = () => {
        asked.result.createObjectStore("items", { keyPath: "key" });
        asked.result.createObjectStore("facts", { keyPath: "name" });
      };
      asked.onerror = () => reject(asked.error);
      asked.onblocked = () => reject(new Error("blocked"));
      asked.onsuccess = () => {
        asked.result.onversionchange = () => asked.result.close();
        resolve(asked.result);
      };
    });
  }

  /* `work(store)` in one transaction that is on the disk when the promise resolves; what its request found. */
  async function run(name, table, mode, work) {
    const db = await open(name);
    try {
      return await new Promise((resolve, reject) => {
        const transaction = db.transaction(table, mode, { durability: "strict" });
        const request = work(transaction.objectStore(table));
        transaction.oncomplete = () => resolve(request && request.result);
        transaction.onabort = transaction.onerror = () => reject(transaction.error || new Error("aborted"));
      });
    } finally {
      db.close();
    }
  }

  /* The outbox called `name`, which sends to `address` what names no other; `headers()` gives what a try needs beyond
     the key, `owner()` whose reports are sent and shown: on a telephone that two people share, one's are not the other's. */
  function box({ name, address, headers = async () => ({}), owner = async () => undefined }) {
    const all = () => run(name, "items", "readonly", (store) => store.getAll());
    const mine = async () => { const whose = await owner(); return (await all()).filter((item) => item.owner === whose); };
    const one = (key) => run(name, "items", "readonly", (store) => store.get(key));
    const put = (item) => run(name, "items", "readwrite", (store) => store.put(item)).then(tell);
    const drop = (key) => run(name, "items", "readwrite", (store) => store.delete(key)).then(tell);
    const fact = (about) => run(name, "facts", "readonly", (store) => store.get(about)).then((row) => row && row.value);
    const note = (about, value) => run(name, "facts", "readwrite", (store) => store.put({ name: about, value }));

    /* Keep a report; resolves when it is safe, rejects when it is not. The same key again changes nothing. */
    function keep(item) {
      const row = { state: "waiting", tries: 0, next: 0, made: Date.now(), ...item };
      return run(name, "items", "readwrite", (store) => {
        const known = store.get(row.key);
        known.onsuccess = () => known.result || store.add(row);
      }).then(tell);
    }

    /* Send what is due, the oldest first; how many still wait. One sender at a time, wherever there are locks. */
    function flush() {
      const locks = self.navigator && navigator.locks;
      return locks ? locks.request(name, send) : send();
    }

    async function send() {
      await tidy();
      for (;;) {
        const now = Date.now(), hold = (await fact("hold")) || 0;
        const waiting = (await mine()).filter((item) => item.state === "waiting").sort(byAge);
        const item = waiting.find((one) => one.next <= now);
        if (!item || hold > now || !(await tryOne(item))) return waiting.length;
      }
    }

    /* One try; false when the next report would fare no better now. */
    async function tryOne(item) {
      let given;
      try {
        given = await headers(item);
        if (given.problem) {
          await put({ ...item, problem: given.problem, next: Date.now() + (given.wait || SHORTEST) });
          return false;
        }
        given = await post(item.address || address, item, given);
      } catch (error) {
        given = { status: 0 };
      }
      const { status, body, wait } = given;
      if (status === 201 && body.code) {
        await put({ key: item.key, state: "sent", made: item.made, sent: Date.now(), code: body.code, page: body.page, owner: item.owner });
        return true;
      }
      if (status >= 400 && status < 500 && ![401, 403, 408, 409, 425, 429].includes(status)) {
        await put({ ...item, state: "refused", status, problem: body.code || "other" });
        return true;
      }
      const tries = item.tries + 1, slower = Math.min(LONGEST, SHORTEST * 2 ** Math.min(tries, 10));
      const until = Date.now() + (wait ? wait * 1000 : slower * (0.75 + Math.random() / 2));
      await put({ ...item, tries, next: until, status, problem: status === 401 || status === 403 ? "login" : "" });
      if (wait) await note("hold", until); // the server asked for a pause: for every report of this device
      return false;
    }

    /* Try again at once what failed for want of a network; a pause that the server asked for stays. */
    async function hurry(key) {
      for (const item of await mine())
        if (item.state === "waiting" && (!key || item.key === key)) await put({ ...item, next: 0 });
    }

    async function tidy() {
      const sent = (await mine()).filter((item) => item.state === "sent").sort(byAge);
      for (const item of sent.slice(0, Math.max(0, sent.length - SHOWN))) await drop(item.key);
    }

    /* ms until something is due, null when nothing waits. */
    async function soonest() {
      const next = (await mine()).filter((item) => item.state === "waiting").map((item) => item.next);
      if (!next.length) return null;
      return Math.max(500, Math.min(...next) - Date.now(), ((await fact("hold")) || 0) - Date.now());
    }

    return { name, all, mine, one, keep, put, drop, flush, hurry, soonest, fact, note };
  }

  /* {status, body, wait}. Rejects when nothing answered. */
  async function post(address, item, headers) {
    const form = new FormData();
    for (const [field, value] of Object.entries(item.fields)) form.append(field, value);
    for (const file of item.files) form.append("files", new Blob([file.data], { type: file.type }), file.name);
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), PATIENCE);
    try {
      const answer = await fetch(address, {
        method: "POST", body: form, signal: abort.signal, credentials: "same-origin", cache: "no-store", redirect: "error",
        headers: { Accept: "application/json", "Idempotency-Key": item.key, ...headers },
      });
      const said = await answer.text();
      const wait = Math.min(3600, parseInt(answer.headers.get("Retry-After") || "0", 10) || 0);
      let body = {};
      try {
        body = JSON.parse(said);
      } catch (error) {
        if (answer.ok) throw error; // a hotel's login page, not our answer
      }
      return { status: answer.status, body, wait };
    } finally {
      clearTimeout(timer);
    }
  }

  function tell() {
    if (!self.BroadcastChannel) return;
    const channel = new BroadcastChannel(NEWS);
    channel.postMessage("changed");
    channel.close();
  }

  const byAge = (a, b) => a.made - b.made || (a.key < b.key ? -1 : 1);

  return { box, post, ulid, NEWS };
})();
