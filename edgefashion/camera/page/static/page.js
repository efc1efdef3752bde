"use strict";
// What the server tells is shown; when it tells nothing, that is shown. Text is only ever set as text.

const LOST_MS = 2500;      // events come twice a second
const RETRY_MS = 3000;     // a stream that stays silent is opened anew after this
const REFUSED_MS = 1000;   // and so is one that was refused
const PICTURE_MS = 2000;   // a picture stream the server does not know of is opened anew after this

const by = id => document.getElementById(id);
const say = (id, text) => { const at = by(id); if (at.textContent !== text) at.textContent = text; };
const viewer = [...crypto.getRandomValues(new Uint8Array(8))].map(n => n.toString(16).padStart(2, "0")).join("");
const still = matchMedia("(prefers-reduced-motion: reduce)");

let stream = null, heardAt = performance.now(), openedAt = 0, pageVersion = null;
let pictureAt = -Infinity, pictures = 0, lost = false, refused = false;

// --- The picture ---

function watchPicture() {
  pictureAt = performance.now();
  by("picture").src = `picture.mjpg?viewer=${viewer}&n=${++pictures}${still.matches ? "&slow" : ""}`;
}

function leavePicture() {
  by("picture").removeAttribute("src");
  by("picture").hidden = true;
  by("no-picture").hidden = false;
}

by("picture").addEventListener("load", () => { by("picture").hidden = false; by("no-picture").hidden = true; });
by("picture").addEventListener("error", leavePicture);
still.addEventListener("change", () => { if (stream) watchPicture(); });

// --- The events ---

function open() {
  close();
  openedAt = performance.now();
  stream = new EventSource(`events?viewer=${viewer}`);
  stream.onerror = () => { refused = stream?.readyState === EventSource.CLOSED; };
  stream.onmessage = event => {
    const told = JSON.parse(event.data);
    heardAt = performance.now();
    pageVersion ??= told.page;
    if (told.page !== pageVersion) { location.reload(); return; }
    lost = refused = false;
    show(told);
    if (!told.picture && heardAt - pictureAt > PICTURE_MS) watchPicture();
  };
}

function close() {
  if (stream) stream.close();
  stream = null;
}

function look() {
  if (document.hidden) return;
  const now = performance.now();
  if (now - heardAt > LOST_MS) showLost();
  if (now - Math.max(heardAt, openedAt) > (refused ? REFUSED_MS : RETRY_MS)) {
    askWhy();
    open();
  }
}

function showLost() {
  if (lost) return;
  lost = true;
  leavePicture();
  pictureAt = -Infinity;
  show({show: "lost", condition: "Connection lost", headline: "Connection lost", detail: "The camera's program does not answer. Trying again", health: {}});
}

// An event stream that is refused does not say why; another answer does.
function askWhy() {
  if (!refused) return;
  refused = false;
  fetch("healthz", {cache: "no-store", signal: AbortSignal.timeout(RETRY_MS)}).then(answer => {
    if (!lost) return;
    say("detail", answer.status === 401
      ? "The token has changed. Open this page with the new one"
      : "Too many pages are open. Trying again");
  }).catch(() => {});
}

// A page that nobody sees costs the camera nothing.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    close();
    leavePicture();
  } else {
    heardAt = performance.now();
    pictureAt = -Infinity;
    show({show: "connecting", condition: "Connecting", headline: "Connecting", detail: "", health: {}});
    open();
  }
});

// --- Words ---

function show(told) {
  const health = told.health, answered = ["garment", "none", "unknown"].includes(told.show);
  document.body.dataset.show = told.show;
  say("condition-word", told.condition);
  say("headline", told.headline);
  say("detail", told.detail);
  document.title = told.headline;
  document.body.classList.toggle("details", told.details === true);
  by("picture").alt = inView(told.garments ?? []);
  const sure = typeof told.confidence === "number";
  by("sure").hidden = !sure;
  if (sure) {
    const percent = Math.floor(told.confidence * 100);
    say("percent", `${percent}%`);
    by("meter").setAttribute("aria-valuenow", percent);
    by("meter").firstElementChild.style.width = `${percent}%`;
  }
  if (told.answers) showAnswers(told.answers);
  say("h-condition", health.condition ? told.condition : "–");
  say("h-age", age(health.frame_age_s));
  say("h-fps", answered ? `${health.fps.toFixed(health.fps < 10 ? 1 : 0)} fps` : "–");
  say("h-latency", answered && typeof health.latency_ms === "number" ? `${health.latency_ms.toFixed(health.latency_ms < 10 ? 1 : 0)} ms` : "–");
  say("h-model", [told.model, (told.precision ?? "").toUpperCase()].filter(Boolean).join(" ") || "–");
  say("h-revision", told.revision || "–");
  say("h-uptime", span(health.uptime_s));
  say("h-reconnects", times(health.reconnects));
  say("h-faults", times(health.faults));
  by("h-today-row").hidden = !told.today;
  say("h-today", told.today ?? "");
  say("kept", told.kept ?? "");
  say("note", told.note ?? "");
  fit();
}

function inView(garments) {
  return "Live picture of the camera, " + (garments.length > 1 ? `framed: ${garments.map(one => one.label).join(", ")}` : "the garment framed");
}

// A long name is written smaller, not cut off.
function fit() {
  const at = by("headline");
  at.style.fontSize = at.style.overflowWrap = "";
  if (at.scrollWidth <= at.clientWidth) return;
  const px = parseFloat(getComputedStyle(at).fontSize);
  at.style.fontSize = `${Math.max(px / 4, Math.floor(px * at.clientWidth / at.scrollWidth))}px`;
  if (at.scrollWidth > at.clientWidth) at.style.overflowWrap = "anywhere";
}

function showAnswers(answers) {
  const list = by("last");
  by("none-yet").hidden = answers.length > 0;
  const key = JSON.stringify(answers);
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(...answers.map(answer => {
    const item = document.createElement("li"), time = document.createElement("time");
    time.dateTime = answer.time;
    time.textContent = new Date(answer.time).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23"});
    const name = document.createElement("b"), sure = document.createElement("span");
    name.textContent = answer.label;
    sure.textContent = typeof answer.confidence === "number" ? `${Math.floor(answer.confidence * 100)}%` : "";
    item.append(time, name, sure);
    return item;
  }));
}

const times = n => typeof n !== "number" ? "–" : n === 0 ? "never" : n === 1 ? "once" : `${n} times`;

function age(seconds) {
  if (typeof seconds !== "number") return "–";
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : seconds < 60 ? `${seconds.toFixed(1)} s` : span(seconds);
}

function span(seconds) {
  if (typeof seconds !== "number") return "–";
  const s = Math.floor(seconds), parts = [[s / 86400, "d"], [s / 3600 % 24, "h"], [s / 60 % 60, "min"], [s % 60, "s"]];
  const first = parts.findIndex(([n]) => n >= 1);
  return first < 0 ? "0 s" : parts.slice(first, first + 2).map(([n, unit]) => `${Math.floor(n)} ${unit}`).join(" ");
}

// --- Full screen ---

const button = by("fullscreen");
button.hidden = !document.fullscreenEnabled;
button.addEventListener("click", () => {
  const turned = document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen();
  turned.catch(() => {});
});
document.addEventListener("fullscreenchange", () => say("fullscreen", document.fullscreenElement ? "Leave full screen" : "Full screen"));

addEventListener("resize", fit);
setInterval(look, 500);
if (!document.hidden) open();
