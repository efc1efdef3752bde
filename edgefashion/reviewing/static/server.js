// Asks the server. What it refuses becomes an Error with its words.

async function asked(path, options) {
  let answer;
  try {
    answer = await fetch(path, {cache: "no-store", ...options});
  } catch {
    throw new Error("The program behind this page does not answer. Is it still running?");
  }
  if (answer.status === 401) throw new Error("The token has changed. Open this page with the new one");
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error ?? `The server answers with ${answer.status}`);
  return told;
}

export const state = () => asked("state");
export const pictures = (group, count) => asked(`pictures?${new URLSearchParams({group, count})}`);
export const closer = picture => asked(`closer?${new URLSearchParams({picture})}`);
export const pictureOf = (id, large) => `${large ? "picture" : "thumb"}?${new URLSearchParams({picture: id})}`;

// One after the other, in the order in which they were asked for.
let last = Promise.resolve();
export function act(what, rest = {}) {
  const next = last.then(() => asked("do", {
    method: "POST",
    headers: {"Content-Type": "application/json"},
    body: JSON.stringify({what, ...rest}),
  }));
  last = next.catch(() => {});
  return next;
}

// An element with its properties and children. Text is only ever set as text.
export function made(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

export const by = id => document.getElementById(id);
export const say = (at, text) => { if (at.textContent !== text) at.textContent = text; };
// A label as it is shown: the folder Unknown has a name that says more.
export const shownAs = name => name === "Unknown" ? "None of these" : name;
