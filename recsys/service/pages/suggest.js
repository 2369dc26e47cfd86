// Fills the list of suggestions while words are typed. The page works without it.
"use strict";
const field = document.getElementById("words");
const list = document.getElementById("suggestions");
let waiting = 0;
let last = field.value;

async function suggest() {
  const typed = field.value;
  const answer = await fetch("/search/suggest", { method: "POST", body: new URLSearchParams({ prefix: typed }) });
  if (!answer.ok || answer.redirected || field.value !== typed) return;
  list.replaceChildren(...(await answer.json()).map((one) => {
    const option = document.createElement("option");
    option.value = one.text;
    option.label = `${one.text} (${one.kind})`;
    return option;
  }));
}

field.addEventListener("input", () => {
  if (field.value === last) return;
  last = field.value;
  clearTimeout(waiting);
  waiting = setTimeout(() => suggest().catch(() => list.replaceChildren()), 120);
});
