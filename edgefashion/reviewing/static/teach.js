// The buttons Teach, Stop, Use it and Take it back, and what the command behind them says.

import {act, by, made, say} from "./server.js";

let tell = () => {};

const minutes = seconds => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
const DOING = {teach: "Teaching", use: "Putting it to use", take_back: "Taking it back"};
const DONE = {teach: "Taught", use: "Cameras use it now", take_back: "Cameras use the one before again"};

async function ask(what) {
  try { await act(what); } catch (error) { tell(error.message); say(by("teach-status"), error.message); }
}

export function start(given) {
  tell = given.tell;
  for (const what of ["go", "stop", "use", "back"]) {
    const asked = {go: "teach", back: "take_back"}[what] ?? what;
    by(`teach-${what}`).addEventListener("click", () => ask(asked));
  }
}

function status(now) {
  if (!now.doing) return "";
  if (now.stopping) return `Stopping. It keeps what it has learned (${minutes(now.seconds)})`;
  if (now.running) return `${DOING[now.doing]}: ${minutes(now.seconds)}`;
  if (now.stopped) return `Stopped after ${minutes(now.seconds)}`;
  if (now.exit === 0) return `${DONE[now.doing]}, in ${minutes(now.seconds)}`;
  if (now.exit === 1 && now.doing === "teach") return `Taught in ${minutes(now.seconds)}, and it is worse: keep the one you have`;
  return `It did not work: ${now.lines.at(-1) ?? "see the terminal"}`;
}

// Numbers that both have, such as how many were right, before beside after.
function table(result) {
  const rows = Object.keys(result.before ?? {}).filter(name => typeof result.before[name] === "number" && typeof result.after?.[name] === "number");
  const shown = (name, value) => /^n(_|$)/.test(name) || value > 1 ? value.toLocaleString("en") : `${(value * 100).toFixed(1)}%`;
  by("teach-table").hidden = !rows.length;
  by("teach-table").tBodies[0].replaceChildren(
    made("tr", {}, made("td"), made("th", {scope: "col"}, "before"), made("th", {scope: "col"}, "after")),
    ...rows.map(name => made("tr", {}, made("th", {scope: "row"}, name.replaceAll("_", " ")),
      made("td", {}, shown(name, result.before[name])), made("td", {}, shown(name, result.after[name])))));
}

export function show(told) {
  const now = told.teaching;
  say(by("teach-open"), now.running ? `${DOING[now.doing]} ${minutes(now.seconds)}` : "Teach");
  say(by("teach-status"), status(now));
  by("teach-missing").hidden = !now.missing.length;
  if (by("teach-missing").childElementCount !== now.missing.length) {
    by("teach-missing").replaceChildren(...now.missing.map(line => made("p", {}, line)));
  }
  const lacks = told.labels.filter(label => label.lacks).map(label => `${label.count} of ${label.name}: ${label.lacks}`);
  if (by("teach-lacks").dataset.shape !== lacks.join()) {
    by("teach-lacks").dataset.shape = lacks.join();
    by("teach-lacks").replaceChildren(...lacks.map(line => made("li", {}, line)));
  }
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
  by("teach-go").disabled = now.missing.length > 0;
  by("teach-stop").hidden = !now.running;
  by("teach-stop").disabled = now.stopping;
  by("teach-use").hidden = !now.can_use;
  by("teach-back").hidden = now.running;
}
