// Fills rows and tells what visitors do with them: docs/integration.md
"use strict";
(() => {
  const tag = document.currentScript;
  const { key = "", user, userSignature, link } = tag.dataset;
  const base = new URL(tag.src).origin;
  const json = "application/json";
  const refused = navigator.doNotTrack === "1" || navigator.globalPrivacyControl;
  let consent = tag.dataset.consent !== "required";
  let waiting = [];
  let timer;
  const sent = new Set();
  const shown = {};

  const mayTell = () => consent && !refused;
  function stored(use) {
    try {
      return use(sessionStorage);
    } catch {} // this window may store nothing
  }
  const keep = () => mayTell() && stored((all) => Object.assign(all, shown));
  const session = () => stored((all) => (all["recsys.session"] ??= crypto.getRandomValues(new Uint32Array(4)).join("-")));

  const post = (url, headers, body, keepalive) => fetch(url, { method: "POST", headers, body, keepalive, credentials: "omit" });

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
    timer = clearTimeout(timer);
    if (!waiting.length) return;
    const body = JSON.stringify({ actions: waiting });
    const address = `${base}/v1/actions${key && `?key=${encodeURIComponent(key)}`}`;
    waiting = [];
    if (navigator.sendBeacon?.(address, new Blob([body], { type: json }))) return;
    post(address, { "content-type": json }, body, true).catch(() => {});
  }

  // Told once for a place, also on a later page.
  function action(name, item) {
    const place = mayTell() && JSON.parse(stored((all) => all[`recsys.${item}`]) ?? "null");
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
    for (const { item_id, position } of row.items) shown[`recsys.${item_id}`] = JSON.stringify({ query_id: row.impression_id, position });
    keep();
    place.hidden = !row.items.length;
    // Prevented where a page draws its rows itself.
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
      const rows = places.map(({ dataset: { recsysRow: name, recsysK: k = 6 } }) => ({ name, k: +k }));
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
  function agree(given) {
    consent = given;
    if (given) return keep();
    waiting = [];
    stored((all) => Object.keys(all).forEach((name) => name.startsWith("recsys.") && delete all[name]));
  }
  window.recsys = { fill, flush, action, consent: agree };
  document.readyState === "loading" ? addEventListener("DOMContentLoaded", fill) : fill();
})();
