// Sends messages and thumbs without loading the page again. The page works without it.
"use strict";
const form = document.getElementById("say");
const field = document.getElementById("text");
const log = document.getElementById("log");
const problem = document.getElementById("problem");
const LOST = "The message could not be sent: check the connection, and send it again.";
let waiting = false;

async function send(fields) {
  const answer = await fetch("/assistant", { method: "POST", body: new URLSearchParams(fields) });
  if (answer.redirected) location.reload();
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const wrong = page.getElementById("problem") ?? page.querySelector(".problem");
  return { page, wrong: wrong && !wrong.hidden ? wrong.textContent : "" };
}

function tell(text) {
  problem.textContent = text;
  problem.hidden = !text;
}

function asked(text) {
  const turn = document.createElement("article");
  const line = document.createElement("p");
  const who = document.createElement("span");
  turn.className = "turn";
  line.className = "asked";
  who.className = "who";
  who.textContent = "Customer";
  line.append(who, ` ${text}`);
  turn.append(line);
  return turn;
}

async function say(fields, turn) {
  const { page, wrong } = await send(fields);
  if (wrong) throw new Error(wrong);
  const turns = [...page.querySelectorAll("#log > .turn")];
  const replied = turns.pop();
  if (!replied) throw new Error(LOST);
  for (const name of ["conversation", "asked_for"]) {
    const told = page.getElementById("say").elements[name].value;
    if (name === "conversation" && form.elements[name].value && form.elements[name].value !== told) log.replaceChildren(turn);
    form.elements[name].value = told;
  }
  // What was said meanwhile: a conversation that was given back, or a message from another window.
  const shown = new Set([...log.children].map((one) => one.getAttribute("aria-label")));
  for (const missed of turns) {
    if (!shown.has(missed.getAttribute("aria-label"))) turn.before(document.importNode(missed, true));
  }
  turn.setAttribute("aria-label", replied.getAttribute("aria-label"));
  turn.append(...[...replied.children].slice(1).map((part) => document.importNode(part, true)));
}

form.addEventListener("submit", async (event) => {
  if (event.submitter?.name === "new") return;
  event.preventDefault();
  const text = field.value.trim();
  if (waiting || !text) return;
  waiting = true;
  const turn = asked(text);
  const fields = new FormData(form);
  document.getElementById("nothing")?.remove();
  tell("");
  field.value = "";
  log.append(turn);
  log.setAttribute("aria-busy", "true");
  try {
    await say(fields, turn);
  } catch (error) {
    turn.remove();
    field.value = text;
    tell(error instanceof TypeError ? LOST : error.message);
  }
  log.removeAttribute("aria-busy");
  waiting = false;
  field.focus();
});

log.addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = new FormData(event.target, event.submitter);
  try {
    const { wrong } = await send(fields);
    tell(wrong);
    if (wrong) return;
    for (const button of event.target.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button === event.submitter));
  } catch {
    tell(LOST);
  }
});
