/* The service worker: opens the form without a network, and sends what waits when there is one again.

   It keeps the form's own shell and nothing else: no answer, no receipt, no state of a report. PLACE, BUILD, KEPT,
   SHELLS and OUTBOX stand before it, written by the server; a change of any kept byte is a new BUILD. */
"use strict";
const FAMILY = `tocsin${PLACE}-`, CACHE = FAMILY + BUILD;
const SENDER = typeof Sender === "undefined" ? {} : Sender; // of an outbox that needs a login
const SOON = 4000; // ms that a page may take; then the kept one is shown, which can do the same

self.addEventListener("install", (event) => {
  // All or nothing: while one file is missing, the worker before this one stays in force.
  const asked = KEPT.map((address) => new Request(address, { cache: "reload" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(asked)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    const names = await caches.keys();
    await Promise.all(names.filter((name) => name.startsWith(FAMILY) && name !== CACHE).map((name) => caches.delete(name)));
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (event) => {
  const { request } = event, address = new URL(request.url);
  if (request.method !== "GET" || address.origin !== self.location.origin) return;
  if (request.mode === "navigate" && address.pathname === PLACE) event.respondWith(page(request, address));
  else if (KEPT.includes(address.pathname)) event.respondWith(kept(address.pathname, request));
});

self.addEventListener("sync", (event) => {
  if (event.tag === OUTBOX.name)
    event.waitUntil(Outbox.box({ ...OUTBOX, ...SENDER }).flush().then((left) => {
      if (left) throw new Error("some still wait"); // the browser tries again later
    }));
});

async function page(request, address) {
  const shell = SHELLS[address.searchParams.get("lang") || language()] || SHELLS.en;
  const late = new Promise((resolve) => setTimeout(() => resolve(kept(shell)), SOON));
  const asked = fetch(request).then((answer) => (answer.status >= 500 ? kept(shell, null, answer) : answer));
  return Promise.race([asked.catch(() => kept(shell)), late]).then((answer) => answer || asked);
}

async function kept(address, request, otherwise) {
  const found = await (await caches.open(CACHE)).match(address, { ignoreVary: true });
  return found || otherwise || (request ? fetch(request) : Response.error());
}

const language = () => (((navigator.languages || [])[0] || navigator.language || "").startsWith("zh") ? "zh-CN" : "en");
