// Fills rows and tells what visitors do with them: docs/integration.md
"use strict";
(() => {
  const tag = document.currentScript;
  const { key = "", user, userSignature, link } = tag.dataset;
  const base = new URL(tag.src).origin;
  const json = "application/json";
  const refused = navigator.doNotTrack === "1" || navigator.globalPrivacyControl === true;
  let consent = tag.dataset.consent !== "required";
  let waiting = [];
  let timer = 0;
  const sent = new Set();

  const mayTell = () => consent && !refused;
  function kept(name, value) {
    try {
      if (value) sessionStorage.setItem(`recsys.${name}`, value);
      return sessionStorage.getItem(`recsys.${name}`);
    } catch {
      return null; // this window may store nothing
    }
  }

  const drawn = () => crypto.getRandomValues(new Uint32Array(4)).join("-");
  const session = () => kept("session") ?? kept("session", drawn()) ?? undefined;

  const post = (url, headers, body, keepalive = false) => fetch(url, { method: "POST", headers, body, keepalive, credentials: "omit" });

  async function ask(body) {
    const headers = { "content-type": json };
    if (key) headers["x-api-key"] = key;
    if (body.user && userSignature) headers["x-user-signature"] = userSignature;
    const answer = await post(`${base}/v1/page`, headers, JSON.stringify(body));
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.detail);
    return told;
  }

  function flush() {
    clearTimeout(timer);
    timer = 0;
    if (!waiting.length) return;
    const body = JSON.stringify({ actions: waiting });
    const address = `${base}/v1/actions${key && `?key=${encodeURIComponent(key)}`}`;
    waiting = [];
    if (navigator.sendBeacon?.(address, new Blob([body], { type: json }))) return;
    post(address, { "content-type": json }, body, true).catch(() => {});
  }

  // Told once for a place that was shown; places are remembered for the pages that follow.
  function action(name, item) {
    const place = mayTell() && JSON.parse(kept(item) ?? "null");
    const action_id = place && `${place.query_id}:${place.position}:${name}`;
    if (!place || sent.has(action_id)) return false;
    sent.add(action_id);
    waiting.push({ action_name: name, ...place, object_id: item, timestamp: new Date().toISOString(), action_id });
    if (waiting.length >= 20) flush();
    else timer ||= setTimeout(flush, 2000);
    return true;
  }

  function made(name, text, parent) {
    const element = document.createElement(name);
    element.textContent = text;
    parent.append(element);
    return element;
  }

  function show(place, row) {
    for (const { item_id, position } of mayTell() ? row.items : []) {
      kept(item_id, JSON.stringify({ query_id: row.impression_id, position }));
    }
    place.hidden = !row.items.length;
    // A page that draws its rows itself prevents the default.
    if (!place.dispatchEvent(new CustomEvent("recsys:row", { detail: row, bubbles: true, cancelable: true }))) return;
    place.replaceChildren();
    made("h2", row.title, place);
    const list = made("ul", "", place);
    for (const item of row.items) {
      const entry = made("li", "", list);
      entry.dataset.recsysItem = item.item_id;
      const name = made(link ? "a" : "span", item.title, entry);
      if (link) name.href = link.replace("{item_id}", encodeURIComponent(item.item_id));
      if (item.price !== null) made("data", item.price.toFixed(2), entry).value = item.price;
      made("small", item.reason, entry);
    }
  }

  async function fill() {
    const pages = {};
    for (const place of document.querySelectorAll("[data-recsys-row]")) {
      const { recsysPage: page = "home", recsysItem: item, recsysCategory: category, recsysBasket: basket } = place.dataset;
      (pages[JSON.stringify({ page, item, category, basket: basket?.split(",") })] ??= []).push(place);
    }
    for (const [page, places] of Object.entries(pages)) {
      const rows = places.map(({ dataset: { recsysRow: name, recsysK: k = 6 } }) => ({ name, k: Number(k) }));
      try {
        const told = await ask({ ...JSON.parse(page), ...(mayTell() && { user, session: session() }), rows });
        for (const place of places) {
          show(place, told.rows.find((one) => one.name === place.dataset.recsysRow) ?? { title: "", items: [] });
        }
      } catch (error) {
        console.warn("recsys:", error.message); // what the shop put there stays
      }
    }
  }

  document.addEventListener("click", ({ target }) => {
    const entry = target.closest?.("[data-recsys-row] [data-recsys-item]");
    if (entry) action("click", entry.dataset.recsysItem);
  });
  for (const leaving of ["visibilitychange", "pagehide"]) addEventListener(leaving, flush);
  window.recsys = { fill, flush, action, consent: (given) => ((consent = given), given || (waiting = [])) };
  document.readyState === "loading" ? addEventListener("DOMContentLoaded", fill) : fill();
})();
