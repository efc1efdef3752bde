// The page: which group is shown, what the keys and buttons do, and what others change meanwhile.

import * as server from "./server.js";
import {by, made, say, shownAs} from "./server.js";
import * as grid from "./grid.js";
import * as teach from "./teach.js";

const PAGE = 120, POLL_MS = 2000;
const NONE = "Unknown", EMPTY = "No garment";

let told = null, group = "undecided", before = "undecided", wanted = PAGE, total = 0, version = null;
const undoable = [];            // of this page: newest last
const leaving = new Set();      // pictures the server is being told of

// --- Groups ---

function groups() {
  const decide = [{id: "undecided", name: "All", count: told.undecided}];
  for (const {name, count} of told.says) decide.push({id: `says/${name}`, name: `Says ${shownAs(name)}`, count});
  const labels = told.labels.filter(label => label.count).map(label => (
    {id: `label/${label.name}`, name: shownAs(label.name), count: label.count, lacks: label.lacks}));
  const again = [
    {id: "doubted", name: "Likely mistakes", count: told.doubted},
    {id: "deleted", name: "Deleted", count: told.deleted},
  ];
  return [["To decide", decide], ["Decided", labels], ["Look again", again]];
}

function showGroups() {
  const all = groups(), current = group.startsWith("like/") ? before : group;
  const shape = JSON.stringify([all, group]);
  if (by("groups").dataset.shape === shape) return;
  by("groups").dataset.shape = shape;
  const held = document.activeElement?.dataset?.group;
  by("groups").replaceChildren(...all.filter(([, list]) => list.length).map(([title, list]) => made("section", {},
    made("h2", {}, title),
    made("ul", {}, ...list.map(one => {
      const button = made("button", {type: "button"}, made("span", {}, one.name), made("b", {}, one.count.toLocaleString("en")));
      button.dataset.group = one.id;
      if (one.id === current) button.setAttribute("aria-current", "true");
      if (one.lacks) button.append(made("small", {}, `${one.count} of ${one.name}: ${one.lacks}`));
      button.addEventListener("click", () => open(one.id));
      return made("li", {}, button);
    })))));
  by("pick").replaceChildren(...all.filter(([, list]) => list.length).map(([title, list]) =>
    made("optgroup", {label: title}, ...list.map(one =>
      made("option", {value: one.id, selected: one.id === group}, `${one.name} (${one.count.toLocaleString("en")})`)))));
  if (group !== current) by("pick").prepend(made("option", {value: group, selected: true}, "All like this"));
  if (held) by("groups").querySelector(`[data-group="${CSS.escape(held)}"]`)?.focus();
}

by("pick").addEventListener("change", () => open(by("pick").value));

function neighbour(step) {
  const ids = groups().flatMap(([, list]) => list).filter(one => one.count).map(one => one.id);
  const to = ids[ids.indexOf(group) + step];
  if (to) open(to);
}

async function open(id) {
  if (!group.startsWith("like/")) before = group;
  group = id;
  wanted = PAGE;
  showGroups();
  await refresh(true);
  if (group.startsWith("like/")) {
    grid.chooseAll();
    if (grid.count() === 1) tell("The network sees no other picture as like this one");
  }
  scrollTo({top: 0});
  grid.focus();
}

const ABOUT = {
  undecided: "The least sure come first. Where the network is right, “It is right” is enough.",
  says: "What the network takes for this, least sure first.",
  label: "Decided. Another label moves a picture there; “Put back” makes it undecided again.",
  doubted: "Their own label looks wrong to the network. “It is right” keeps it, another label mends it.",
  deleted: "“Put back” brings a picture to where it was.",
  like: "The network sees these alike, and all are chosen. Take out what does not belong, then say what they are. “Back” leads to where you were.",
};

async function refresh(anew = false) {
  const asked = group;
  try {
    const found = await server.pictures(group, Math.max(wanted, grid.count()));
    if (asked !== group) return;
    total = found.total - [...leaving].filter(id => found.pictures.some(picture => picture.id === id)).length;
    grid.show(found.pictures.filter(picture => !leaving.has(picture.id)), anew);
  } catch (error) {
    if (asked.startsWith("like/")) { tell(error.message); open(before); return; }
    tell(error.message);
    return;
  }
  const [kind, name] = [group.split("/")[0], group.slice(group.indexOf("/") + 1)];
  const titles = {undecided: "To decide", says: `Says ${shownAs(name)}`, label: shownAs(name), doubted: "Likely mistakes", deleted: "Deleted", like: "All like this"};
  say(by("title"), titles[kind]);
  say(by("about"), ABOUT[kind]);
  by("leave").hidden = kind !== "like";
  showCount();
}

function showCount() {
  by("empty").hidden = grid.count() > 0;
  say(by("empty"), group === "undecided" ? "Nothing to decide. New pictures appear here by themselves." : "Nothing here.");
  by("more").hidden = grid.count() >= total;
  say(by("more"), `Show more: ${Math.max(0, total - grid.count()).toLocaleString("en")} are left`);
}

by("more").addEventListener("click", more);
async function more() {
  wanted = grid.count() + PAGE;
  await refresh();
}
new IntersectionObserver(entries => { if (entries.some(entry => entry.isIntersecting) && !by("more").hidden) more(); }, {rootMargin: "600px"})
  .observe(by("more"));

// --- What others do, and what the network has looked at meanwhile ---

async function poll() {
  if (!document.hidden) {
    try {
      const now = await server.state();
      if (told && now.page !== told.page) { location.reload(); return; }
      const changed = !told || now.version !== version || now.looked !== told.looked || now.doubted !== told.doubted;
      take(now);
      if (changed && !group.startsWith("like/")) await refresh();
    } catch (error) {
      tell(error.message);
    }
  }
  setTimeout(poll, told?.teaching.running ? POLL_MS / 4 : POLL_MS);
}

function take(now) {
  told = now;
  version = now.version;
  say(by("folder"), now.folder);
  document.title = `${now.undecided.toLocaleString("en")} to decide · ${now.folder}`;
  say(by("looked"), now.failure || now.unnamed || (now.looked < now.pictures
    ? `The network has looked at ${now.looked.toLocaleString("en")} of ${now.pictures.toLocaleString("en")}` : ""));
  showGroups();
  showLabels();
  teach.show(now);
}

document.addEventListener("visibilitychange", () => { if (!document.hidden && told) server.state().then(take).then(() => refresh()).catch(() => {}); });

// --- Labels and what to do ---

const numbered = key => told.labels.find(label => label.key === key);

function showLabels() {
  const shape = JSON.stringify(told.labels.map(label => [label.name, label.key]));
  if (by("labels").dataset.shape === shape) return;
  by("labels").dataset.shape = shape;
  for (const [at, does] of [["labels", label], ["closer-labels", name => closed(() => label(name))]]) {
    by(at).replaceChildren(...told.labels.map(({name, key}) => {
      const button = made("button", {type: "button"}, ...(key ? [made("kbd", {}, key), " "] : []), shownAs(name));
      button.addEventListener("click", () => does(name));
      return button;
    }));
  }
  by("names").replaceChildren(...told.labels.map(({name}) => made("option", {value: name})));
}

grid.whenChanged(() => {
  const many = grid.selected.size, one = grid.current();
  say(by("chosen"), many ? `${many} chosen` : one ? "None chosen: acts on the one with the frame" : "");
  by("bar").hidden = !one;
  document.querySelector("[data-act=back]").hidden = !(group.startsWith("label/") || group === "deleted" || group === "doubted");
  document.querySelector("[data-act=delete]").hidden = group === "deleted";
  document.querySelector("[data-act=like]").hidden = group === "deleted" || group.startsWith("like/");
  document.querySelector("[data-act=closer]").hidden = group === "deleted";
  document.querySelector("[data-act=confirm]").hidden = !canConfirm();
});

const canConfirm = () => group === "undecided" || group === "doubted" || group.startsWith("says/") || group.startsWith("like/");

async function decide(what, rest = {}) {
  const ids = closerOf ? [closerOf] : grid.chosen();
  let went = false;
  if (!ids.length) return went;
  for (const id of ids) leaving.add(id);
  const asked = group, was = grid.remove(ids);
  total -= ids.length;
  showCount();
  try {
    const done = await server.act(what, {pictures: ids, ...rest});
    if (done.batch) undoable.push(done.batch);
    tell(done.said);
    went = true;
  } catch (error) {
    if (asked === group) {
      grid.putBack(was);
      total += ids.length;
      showCount();
    }
    tell(error.message);
  }
  for (const id of ids) leaving.delete(id);
  by("undo").disabled = !undoable.length;
  await seeAnew();
  if (group.startsWith("like/") && !grid.count()) open(before);
  return went;
}

async function seeAnew() {
  try { take(await server.state()); } catch { /* the next poll says so */ }
  if (!group.startsWith("like/")) await refresh();
}

const label = name => decide("label", {label: name});

async function undo() {
  const batch = undoable.pop();
  if (!batch) { tell("Nothing to undo"); return; }
  by("undo").disabled = !undoable.length;
  try {
    tell((await server.act("undo", {batch})).said);
  } catch (error) {
    if (!/already/.test(error.message)) undoable.push(batch);
    tell(error.message);
  }
  by("undo").disabled = !undoable.length;
  await seeAnew();
}

const ACTS = {
  confirm: () => canConfirm() && decide("confirm"),
  delete: () => group !== "deleted" && decide("delete"),
  back: () => decide("back"),
  like: () => { const id = grid.current(); if (id && group !== "deleted" && !group.startsWith("like/")) open(`like/${id}`); },
  closer: () => grid.current() && group !== "deleted" && lookCloser(grid.current()),
};
for (const button of document.querySelectorAll("[data-act]")) button.addEventListener("click", () => ACTS[button.dataset.act]());
by("undo").addEventListener("click", undo);
by("help-open").addEventListener("click", () => by("help").showModal());
by("teach-open").addEventListener("click", () => by("teach").showModal());

by("new").addEventListener("submit", event => {
  event.preventDefault();
  const name = by("name").value.trim();
  if (!name) return;
  by("name").value = "";
  by("name").blur();
  grid.focus();
  label(name).then(done => {  // what was refused can be mended, for the same pictures
    if (done || by("name").value) return;
    by("name").value = name;
    by("name").focus();
  });
});
by("name").addEventListener("keydown", event => { if (event.key === "Escape") { by("name").value = ""; grid.focus(); } });

let silence = 0;
export function tell(text) {
  const said = by("said"), dialog = document.querySelector("dialog[open]"), place = dialog ?? document.body;
  if (said.parentElement !== place) place.append(said);  // what lies outside an open dialog is darkened
  said.style.bottom = dialog ? "0" : `${by("bar").offsetHeight + 12}px`;
  say(said, "");
  clearTimeout(silence);
  if (!text) return;
  setTimeout(() => say(said, text), 30);  // said again, where it is the same as before
  silence = setTimeout(() => say(said, ""), 8000);
}

// --- One picture ---

let closerOf = null;  // what is done while it is looked at closer is done to it alone

// Close the dialog, and do something to its picture.
function closed(does) {
  try { does(); } finally { by("closer").close(); }
}

async function lookCloser(id) {
  try {
    const found = await server.closer(id);
    closerOf = id;
    by("closer-picture").src = server.pictureOf(id, true);
    say(by("closer-title"), found.label === null ? "Nobody has decided yet" : `Decided: ${shownAs(found.label)}`);
    say(by("closer-about"), [found.time && new Date(found.time).toLocaleString(), found.camera && `Camera ${found.camera}`].filter(Boolean).join(" · "));
    by("closer-top").replaceChildren(...(found.top.length ? found.top.map(({name, share}) =>
      made("li", {}, made("span", {}, shownAs(name)), made("b", {}, `${Math.floor(share * 100)}%`))) : [made("li", {}, "It has not looked yet")]));
    by("closer-near").replaceChildren(...(found.nearest.length ? found.nearest.map(({id: near, label: name}) =>
      made("li", {}, made("img", {alt: "", src: server.pictureOf(near)}), made("span", {}, shownAs(name)))) : [made("li", {}, "None is decided yet")]));
    by("closer").showModal();
  } catch (error) {
    tell(error.message);
  }
}
by("closer").addEventListener("close", () => { closerOf = null; by("closer-picture").removeAttribute("src"); grid.focus(); });
by("grid").addEventListener("dblclick", () => ACTS.closer());

// --- Keys ---

function back() {
  if (group.startsWith("like/")) open(before);
  else grid.chooseNone();
}

by("leave").addEventListener("click", back);

const KEYS = {
  ArrowLeft: event => grid.step(-1, event.shiftKey),
  ArrowRight: event => grid.step(1, event.shiftKey),
  ArrowUp: event => grid.row(-1, event.shiftKey),
  ArrowDown: event => grid.row(1, event.shiftKey),
  Home: event => grid.ends(false, event.shiftKey),
  End: event => grid.ends(true, event.shiftKey),
  " ": () => grid.toggle(),
  Enter: () => ACTS.confirm(),
  Escape: back,
  Delete: () => ACTS.delete(),
  Backspace: () => ACTS.delete(),
  "0": () => label(NONE),
  n: () => label(EMPTY),
  a: () => ACTS.like(),
  i: () => ACTS.closer(),
  b: () => ACTS.back(),
  z: undo,
  "?": () => by("help").showModal(),
  "/": () => by("name").focus(),
  "[": () => neighbour(-1),
  "]": () => neighbour(1),
};

document.addEventListener("keydown", event => {
  const target = event.target;
  const closer = by("closer").open;
  if (!told || (document.querySelector("dialog[open]") && !closer) || target.matches("input, select, textarea")) return;
  if (event.altKey || event.metaKey || (event.ctrlKey && !"az".includes(event.key))) return;
  if (target.matches("button") && (event.key === "Enter" || event.key === " ")) return;  // the button's own
  if (event.ctrlKey && event.key === "a") { event.preventDefault(); grid.chooseAll(); return; }
  if (closer && !/^([0-9n]|Enter|Delete|Backspace)$/i.test(event.key)) return;
  const digit = /^[1-9]$/.test(event.key) && numbered(event.key);
  const does = digit ? () => label(digit.name) : KEYS[event.key] ?? KEYS[event.key.toLowerCase()];
  if (!does) return;
  event.preventDefault();
  if (closer) closed(() => does(event));
  else does(event);
});

teach.start({tell, look: async () => take(await server.state())});
poll().then(() => grid.focus());
