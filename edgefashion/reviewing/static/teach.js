// The buttons Teach, Stop, Use it and Take it back, and what the command behind them says.

import {act, by, made, say} from "./server.js";

let tell = () => {}, look = () => {};

const minutes = seconds => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
const DOING = {teach: "Teaching", use: "Putting it to use", take_back: "Taking it back"};
const DONE = {teach: "Taught, and kept beside the one you have", use: "Cameras use it now", take_back: "Cameras use the one before again"};

// Notes that say nothing to whoever knows no networks.
const TECHNICAL = /\b(INT8|FP16|floors?|held[ -]out|trainings?)\b/;

async function ask(what, rest) {
  try { await act(what, rest); await look(); } catch (error) { tell(error.message); say(by("teach-status"), error.message); }
}

export function start(given) {
  ({tell, look} = given);
  by("teach-go").addEventListener("click", () => ask("teach"));
  by("teach-on").addEventListener("click", () => ask("teach", {resume: true}));
  by("teach-stop").addEventListener("click", () => ask("stop"));
  by("teach-use").addEventListener("click", () => ask("use"));
  by("teach-back").addEventListener("click", () => ask("take_back"));
}

function status(now) {
  if (!now.doing) return "";
  if (now.stopping) return `Stopping. It keeps what it has learned (${minutes(now.seconds)})`;
  if (now.running) return `${DOING[now.doing]}: ${minutes(now.seconds)}`;
  if (now.stopped) return `Stopped after ${minutes(now.seconds)}`;
  if (now.exit === 0 && now.doing === "teach" && now.result?.in_force) {
    return `Taught in ${minutes(now.seconds)}. It is in use wherever “edgefashion camera ${now.model}” runs`;
  }
  if (now.exit === 0) return `${DONE[now.doing]}, in ${minutes(now.seconds)}`;
  if (now.exit === 1 && now.doing === "teach") return `Taught in ${minutes(now.seconds)}: it is worse than the one you have`;
  return `It did not work: ${now.lines.at(-1) ?? "see the terminal"}`;
}

// How many were done right, before beside after: of all, and of each label.
const share = of => typeof of?.good === "number" ? `${Math.round(of.good * 100)}%` : "–";
const row = (name, count, before, after) => made("tr", {}, made("th", {scope: "row"}, name),
  ...[count?.toLocaleString("en") ?? "", before, after].map(text => made("td", {}, text)));

function table(result) {
  const all = [["All your labels", result.before, result.after],
    ...Object.entries(result.per_label ?? {}).filter(([, of]) => of.taught !== false).map(([name, of]) => [name, of.before, of.after]),
    ...(result.not_taught ? [["What you did not teach", result.not_taught.before, result.not_taught.after]] : [])];
  by("teach-table").hidden = typeof result.after?.good !== "number";
  by("teach-table").tBodies[0].replaceChildren(
    made("tr", {}, made("td"), ...["pictures", "right before", "right after"].map(text => made("th", {scope: "col"}, text))),
    ...all.map(([name, before, after]) => row(name, after?.n, share(before), share(after))));
}

function list(at, lines) {
  if (at.dataset.shape === lines.join()) return;
  at.dataset.shape = lines.join();
  at.replaceChildren(...lines.map(line => made("li", {}, line)));
}

export function show(told) {
  const now = told.teaching;
  say(by("teach-open"), now.running ? `${DOING[now.doing]} ${minutes(now.seconds)}` : "Teach");
  say(by("teach-status"), status(now));
  by("teach-missing").hidden = !now.missing;
  say(by("teach-missing"), now.missing ? now.elsewhere : "");
  const lacks = told.labels.filter(label => label.lacks).map(label => `${label.count} of ${label.name}: ${label.lacks}`);
  list(by("teach-lacks"), lacks);
  const lines = by("teach-lines");
  lines.hidden = !now.lines.length;
  if (lines.textContent !== now.lines.join("\n")) {
    say(lines, now.lines.join("\n"));
    lines.scrollTop = lines.scrollHeight;
  }
  const verdict = now.doing === "teach" && !now.running ? now.result : null;
  by("teach-verdict").hidden = !verdict;
  if (verdict) {
    say(by("teach-words"), verdict.words ?? verdict.verdict ?? "");
    by("teach-verdict").dataset.verdict = verdict.verdict ?? "";
    table(verdict);
  }
  by("teach-go").hidden = now.running;
  by("teach-on").hidden = !now.can_resume;
  by("teach-stop").hidden = !now.running;
  by("teach-stop").disabled = now.stopping;
  by("teach-use").hidden = !now.can_use;
  say(by("teach-use"), verdict && verdict.verdict !== "better" ? "Use it all the same" : "Use it");
  const notes = verdict?.notes ?? [];
  list(by("teach-notes"), notes.filter(note => !TECHNICAL.test(note)));
  list(by("teach-technical"), notes.filter(note => TECHNICAL.test(note)));
  by("teach-more").hidden = !notes.some(note => TECHNICAL.test(note));
  by("teach-back").hidden = by("teach-back-words").hidden = !now.back_to;
  say(by("teach-back-words"), `Take it back: cameras use ${now.back_to === "." ? "the first network" : now.back_to} again, which they had before.`);
}
