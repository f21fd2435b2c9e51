// What the pages can do besides being pages: live updates, keyboard shortcuts, copying. Everything works without it.
"use strict";

const html = document.documentElement;
html.classList.add("js");

// ---------------------------------------------------------------- live updates
// The server says when there is something new (/live); the page is then asked for again, and what is new or changed
// in it replaces what is shown, element by element, so that what the reader has unfolded stays so.

const LIVE = "[data-live]";

function keyed(list) {
  return new Map([...list.children].filter((each) => each.id).map((each) => [each.id, each]));
}

function merge(list, fresh) {
  const known = keyed(list);
  const wanted = new Set();
  let place = list.firstElementChild;
  for (const incoming of [...fresh.children]) {
    wanted.add(incoming.id);
    const shown = known.get(incoming.id);
    if (shown && shown.dataset.v === incoming.dataset.v) {
      if (shown === place) place = place.nextElementSibling;
      else list.insertBefore(shown, place);
      continue;
    }
    const made = document.importNode(incoming, true);
    if (shown) {
      if (shown === place) place = place.nextElementSibling;
      const open = [...shown.querySelectorAll("details")].map((each) => each.open);
      shown.replaceWith(made);
      [...made.querySelectorAll("details")].forEach((each, index) => { each.open = open[index] ?? each.open; });
      if (made.nextElementSibling !== place) list.insertBefore(made, place);
    } else {
      list.insertBefore(made, place);
    }
    made.classList.add("fresh");
  }
  return wanted;
}

function atEnd() {
  return window.innerHeight + window.scrollY >= document.body.scrollHeight - 80;
}

async function refresh(list) {
  const answer = await fetch(location.href.split("#")[0], { headers: { Accept: "text/html" } });
  if (!answer.ok) return list;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector(LIVE);
  if (!fresh) return list;
  const head = document.querySelector(".session .facts");
  const newHead = page.querySelector(".session .facts");
  if (head && newHead) head.replaceWith(document.importNode(newHead, true));
  if (fresh.localName !== list.localName) {
    const made = document.importNode(fresh, true);
    list.replaceWith(made);
    return made;
  }
  if (list.localName === "section") return list;
  const following = "tail" in list.dataset && atEnd();
  const wanted = merge(list, fresh);
  // A transcript only grows: what its newest page shows no more stays. A list of sessions is as it is.
  if (!("tail" in list.dataset)) {
    for (const [id, each] of keyed(list)) if (!wanted.has(id)) each.remove();
  }
  list.dataset.seen = fresh.dataset.seen;
  if (following) window.scrollTo({ top: document.body.scrollHeight });
  return list;
}

const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
const visible = () => new Promise((done) => {
  if (!document.hidden) return done();
  document.addEventListener("visibilitychange", () => done(), { once: true });
});

// What a page knows, and how it comes to know more: one refresh at a time, and the newest one last.
function follower(list) {
  let wanted = null;
  let busy = false;
  return {
    get url() { return list.dataset.live; },
    get seen() { return list.dataset.seen; },
    async show(seen) {
      wanted = seen;
      if (busy) return;
      busy = true;
      while (wanted && wanted !== list.dataset.seen) {
        const said = wanted;
        const before = list.dataset.seen;
        wanted = null;
        try {
          list = await refresh(list);
          if (list.dataset.seen === before) list.dataset.seen = said;
        } catch {
          wanted = wanted || said;
          await pause(2);
        }
        await pause(0.3);
      }
      busy = false;
    },
  };
}

const SILENCE = 5; // seconds, after which a stream that says nothing at all is one that somebody holds back
const RETRY = 60; // seconds, after which a stream that was held back is tried again; then twice as many, and so on

// Listen to the stream, and give how it ended. While nobody looks it is closed: browsers have few connections.
function listen(page) {
  return new Promise((done) => {
    const source = new EventSource(page.url);
    const silence = setTimeout(() => end("silent"), SILENCE * 1000);
    const hide = () => { if (document.hidden) end("hidden"); };
    function end(how) {
      clearTimeout(silence);
      document.removeEventListener("visibilitychange", hide);
      source.close();
      done(how);
    }
    document.addEventListener("visibilitychange", hide);
    let heard = false;
    source.onmessage = (event) => {
      clearTimeout(silence);
      heard = true;
      const { seen } = JSON.parse(event.data);
      if (seen) page.show(seen);
      else end("over");
    };
    source.addEventListener("end", () => end("barred"));
    // One that had something to say is opened again by the browser. Before that, nobody may be there: a server that is
    // stopped is no stream that is held back.
    source.onerror = () => { if (!heard || source.readyState === EventSource.CLOSED) end("failed"); };
  });
}

// Ask once, and wait for the answer: whether there was one. null: there is nothing more to come.
async function ask(page) {
  try {
    const url = new URL(page.url, location.href);
    url.searchParams.set("seen", page.seen);
    const answer = await fetch(url);
    if (answer.status === 401) return location.reload(), null; // the key opens nothing any more: the form asks for one
    if (!answer.ok) return false;
    const { seen } = await answer.json();
    if (!seen) return null;
    await page.show(seen);
    return true;
  } catch {
    return false;
  }
}

async function follow(page) {
  let patience = 1; // seconds to wait where nobody answered
  let next = "EventSource" in window ? 0 : Infinity; // when a stream is tried again
  let held = RETRY;
  for (;;) {
    await visible();
    if (Date.now() >= next) {
      const how = await listen(page);
      if (how === "over") return;
      if (how === "barred") return location.reload();
      if (how === "hidden") continue;
      if (how === "silent") {
        next = Date.now() + held * 1000;
        held = Math.min(3600, held * 2);
      }
    }
    const answered = await ask(page);
    if (answered === null) return;
    if (answered) {
      patience = 1;
      continue;
    }
    if (next !== Infinity) next = 0; // the server is stopped, perhaps: the one that comes back may be another one
    await pause(patience);
    patience = Math.min(30, patience * 2);
  }
}

const live = document.querySelector(LIVE);
if (live && !("still" in live.dataset)) follow(follower(live));

// ---------------------------------------------------------------- copying
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const said = button.parentElement.querySelector(".copied");
    try {
      const answer = await fetch(button.dataset.copy);
      if (!answer.ok) throw new Error(String(answer.status));
      await navigator.clipboard.writeText(await answer.text());
      said.textContent = "Copied";
    } catch {
      said.textContent = "Not copied: open it as a file";
    }
  });
}

// ---------------------------------------------------------------- choosing
for (const field of document.querySelectorAll("select[data-at-once]")) {
  field.addEventListener("change", () => field.form.requestSubmit());
}

// ---------------------------------------------------------------- shortcuts
const GO = { s: "/", u: "/usage", h: "/doctor" };
let gone = 0;

function stops() {
  return [...document.querySelectorAll("[data-row], .line")].filter((each) => each.checkVisibility());
}

function step(by) {
  const all = stops();
  if (!all.length) return;
  const here = document.activeElement && document.activeElement.closest("[data-row], .line");
  let at = all.indexOf(here);
  if (at < 0) {
    at = all.findIndex((each) => each.getBoundingClientRect().top > 70) - (by > 0 ? 1 : 0);
    if (at < -1) at = -1;
  }
  const next = all[Math.max(0, Math.min(all.length - 1, at + by))];
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
  const room = next.getBoundingClientRect().top - 76;
  if (room < 0) window.scrollBy(0, room);
}

function unfold() {
  const all = [...document.querySelectorAll(".said details")];
  const open = all.some((each) => !each.open);
  for (const each of all) each.open = open;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const field = event.target.closest && event.target.closest("input, textarea, select");
  if (event.key === "Escape" && field) return field.blur();
  if (field) return;
  const key = event.key;
  if (gone && Date.now() - gone < 1500 && GO[key]) {
    gone = 0;
    location.assign(GO[key]);
    return event.preventDefault();
  }
  gone = 0;
  const link = document.querySelector(`a[data-key="${CSS.escape(key)}"]`);
  if (key === "?") location.assign("/shortcuts");
  else if (key === "/") document.querySelector("[data-search]").focus();
  else if (key === "g") { gone = Date.now(); return; }
  else if (key === "G") window.scrollTo({ top: document.body.scrollHeight });
  else if (key === "j") step(1);
  else if (key === "k") step(-1);
  else if (key === "e") unfold();
  else if (key === "Enter" && event.target.classList.contains("line")) {
    const fold = event.target.querySelector("details");
    if (!fold) return;
    fold.open = !fold.open;
  } else if (link) link.click();
  else return;
  event.preventDefault();
});

// ---------------------------------------------------------------- a position that is folded away
function reveal() {
  const wanted = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (!wanted) return;
  for (let fold = wanted.closest("details"); fold; fold = fold.parentElement.closest("details")) {
    if (!wanted.classList.contains("anchor") || fold.classList.contains("undone")) fold.open = true;
  }
  const line = wanted.closest(".line") || wanted;
  line.focus({ preventScroll: true });
  (wanted.classList.contains("anchor") ? wanted.parentElement : line).scrollIntoView({ block: "center" });
}
window.addEventListener("hashchange", reveal);
if (location.hash) reveal();
else if (live && "tail" in live.dataset) window.scrollTo({ top: document.body.scrollHeight });
