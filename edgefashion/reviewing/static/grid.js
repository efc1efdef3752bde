// The pictures of a group: a list of which one has the frame and any number are chosen.

import {by, made, pictureOf, say, shownAs} from "./server.js";

const grid = by("grid");
const tiles = new Map();        // by the picture's id
let order = [], at = 0, anchor = null;
export const selected = new Set();
export let onChange = () => {};
export const whenChanged = call => { onChange = call; };

const percent = sure => `${Math.floor(sure * 100)}%`;

function words(picture) {
  const label = shownAs(picture.label), says = picture.says === null ? null : shownAs(picture.says);
  if (picture.why) return [label, `looks like ${shownAs(picture.why)}`];
  const sure = picture.sure === null ? "" : percent(picture.sure);
  if (picture.label === null) return [says ?? "not looked at yet", sure];
  return [label, says && says !== label ? `says ${says}` : sure];
}

function fill(tile, picture) {
  const [name, more] = words(picture);
  say(tile.querySelector("b"), name);
  say(tile.querySelector("i"), more);
  tile.classList.toggle("unsure", picture.label === null && picture.sure !== null && picture.sure < 0.5);
  tile.classList.toggle("doubted", Boolean(picture.why));
}

function tileOf(picture) {
  const image = made("img", {alt: "", loading: "lazy", decoding: "async", draggable: false, src: pictureOf(picture.id)});
  const tile = made("li", {role: "option", tabIndex: -1, "aria-selected": "false"}, image, made("b"), made("i"));
  tile.dataset.id = picture.id;
  return tile;
}

// Show these pictures. Those that are here keep their places, so that nothing moves under a finger; others go to the end.
export function show(pictures, anew) {
  const told = new Map(pictures.map(picture => [picture.id, picture]));
  if (anew) {
    for (const id of order) drop(id);
    order = [];
    at = 0;
    anchor = null;
  }
  const focused = grid.contains(document.activeElement);
  const kept = order.filter(id => told.has(id));
  const before = order.slice(0, at).filter(id => told.has(id)).length;
  for (const id of order) if (!told.has(id)) drop(id);
  const fresh = pictures.filter(picture => !tiles.has(picture.id));
  for (const picture of fresh) {
    const tile = tileOf(picture);
    tiles.set(picture.id, tile);
    grid.append(tile);
  }
  order = [...kept, ...fresh.map(picture => picture.id)];
  for (const picture of pictures) fill(tiles.get(picture.id), picture);
  at = Math.max(0, Math.min(before, order.length - 1));
  frame(focused);
}

function drop(id) {
  tiles.get(id)?.remove();
  tiles.delete(id);
  selected.delete(id);
}

// Take pictures off at once: the server is told meanwhile. Returns what putBack() needs.
export function remove(ids) {
  const was = {order, at, chosen: [...selected], tiles: ids.map(id => [id, tiles.get(id)])};
  const going = new Set(ids), focused = grid.contains(document.activeElement) || document.activeElement === document.body;
  const before = order.slice(0, at).filter(id => !going.has(id)).length;
  for (const id of going) drop(id);
  order = order.filter(id => !going.has(id));
  at = Math.max(0, Math.min(before, order.length - 1));
  anchor = null;
  frame(focused);
  return was;
}

// The server refused: they stand where they stood, chosen as they were and under the frame, so that the next try is of
// these and of no others.
export function putBack(was) {
  const focused = grid.contains(document.activeElement) || document.activeElement === document.body;
  for (const [id, tile] of was.tiles) if (tile && !tiles.has(id)) tiles.set(id, tile);
  const stood = was.order.filter(id => tiles.has(id));
  order = [...stood, ...order.filter(id => !stood.includes(id))];
  for (const id of order) grid.append(tiles.get(id));
  for (const id of was.chosen) if (tiles.has(id)) choose(id, true);
  at = Math.max(0, order.indexOf(was.order[was.at]));
  anchor = null;
  frame(focused);
}

function frame(focus) {
  grid.hidden = !order.length;
  for (const tile of grid.querySelectorAll('[tabindex="0"]')) tile.tabIndex = -1;
  const tile = tiles.get(order[at]);
  if (tile) {
    tile.tabIndex = 0;
    if (focus) {
      tile.focus({preventScroll: true});
      tile.scrollIntoView({block: "nearest"});
    }
  }
  onChange();
}

export const count = () => order.length;
export const current = () => order[at];
export const chosen = () => selected.size ? order.filter(id => selected.has(id)) : order.slice(at, at + 1);
export const focus = () => frame(true);

function choose(id, on) {
  if (on) selected.add(id); else selected.delete(id);
  tiles.get(id).setAttribute("aria-selected", on);
}

export function chooseAll(ids = order) {
  for (const id of ids) if (tiles.has(id)) choose(id, true);
  onChange();
}

export function chooseNone() {
  for (const id of [...selected]) choose(id, false);
  anchor = null;
  onChange();
}

export function toggle() {
  if (!order.length) return;
  choose(order[at], !selected.has(order[at]));
  anchor = at;
  onChange();
}

// To a place; with `range`, all between the anchor and it are chosen.
export function go(place, range) {
  if (!order.length) return;
  const to = Math.max(0, Math.min(place, order.length - 1));
  if (range) {
    anchor ??= at;
    const [first, last] = [Math.min(anchor, to), Math.max(anchor, to)];
    order.slice(first, last + 1).forEach(id => choose(id, true));
  } else {
    anchor = null;
  }
  at = to;
  frame(true);
}

// Down or up by a row: rows are as long as the screen is wide.
export function row(step, range) {
  const top = tiles.get(order[0])?.offsetTop;
  const wide = order.findIndex(id => tiles.get(id).offsetTop !== top);
  const by = wide < 0 ? order.length : wide;
  const to = at + step * by;
  if (to >= 0 && to < order.length) go(to, range);
  else if (step > 0 && Math.floor(at / by) < Math.floor((order.length - 1) / by)) go(order.length - 1, range);
  else if (range) go(step > 0 ? order.length - 1 : 0, true);
}

export const step = (by, range) => go(at + by, range);
export const ends = (last, range) => go(last ? order.length - 1 : 0, range);

grid.addEventListener("click", event => {
  const tile = event.target.closest("li");
  if (!tile) return;
  const place = order.indexOf(tile.dataset.id);
  if (event.shiftKey) {
    go(place, true);
  } else {
    at = place;
    toggle();
    frame(true);
  }
});
// Whoever tabs or jumps to a picture has the frame there.
grid.addEventListener("focusin", event => {
  const place = order.indexOf(event.target.dataset.id);
  if (place >= 0 && place !== at) { at = place; frame(false); }
});
grid.addEventListener("error", event => event.target.closest("li")?.classList.add("unread"), true);
