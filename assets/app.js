// What pages do better with a script, and do without one as well.
"use strict";

document.documentElement.classList.add("js");

// Whether a script of this page found that nobody is signed in any more.
let isSignedOut = false;

// data-copy="ID": copies the text of that element.
document.addEventListener("click", async (click) => {
  const button = click.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  const text = source.value ?? source.textContent;
  try {
    await navigator.clipboard.writeText(text);
    say(button, "Copied");
  } catch {
    // Over plain http a browser has no clipboard for us; it lets a click copy a selection.
    say(button, copySelected(text, button) ? "Copied" : "Select the text, then press Ctrl+C");
  }
});

// Copies by way of a field, which may lie in a part of the page that is folded away.
function copySelected(text, button) {
  const field = document.createElement("textarea");
  field.value = text;
  field.readOnly = true;
  field.className = "unseen";
  button.after(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  button.focus();
  return isCopied;
}

function say(button, text) {
  button.dataset.label ??= button.textContent;
  button.textContent = text;
  setTimeout(() => { button.textContent = button.dataset.label; }, 2000);
}

// a[data-dialog]: shows the .ask of the page it leads to in a dialog.
document.addEventListener("click", async (click) => {
  const link = click.target.closest("a[data-dialog]");
  if (!link || click.ctrlKey || click.metaKey || click.shiftKey) return;
  click.preventDefault();
  const page = await load(link.href);
  const ask = page?.querySelector(".ask");
  if (!ask) { location.href = link.href; return; }
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", ask.querySelector("h2")?.id ?? "");
  dialog.append(document.adoptNode(ask));
  dialog.addEventListener("close", () => { dialog.remove(); link.focus(); });
  dialog.addEventListener("click", (inside) => {
    if (inside.target.closest("a[data-cancel]")) { inside.preventDefault(); dialog.close(); }
  });
  document.body.append(dialog);
  dialog.showModal();
});

// button[data-part="ID …"]: sends the form and takes only those parts of the answer, so
// that all that was typed stays, secrets too. data-wait stands there until then.
document.addEventListener("submit", async (submit) => {
  const button = submit.submitter;
  const form = submit.target;
  if (!button?.dataset.part) return;
  submit.preventDefault();
  const body = new URLSearchParams(new FormData(form));
  if (button.dataset.wait) {
    for (const part of parts(button)) part.textContent = button.dataset.wait;
  }
  button.disabled = true;
  const page = await load(button.formAction, { method: "POST", body });
  button.disabled = false;
  if (renew(button, page)) {
    button.focus();
  } else {
    // Fields need another look, or we were sent elsewhere: as without a script.
    form.action = button.formAction;
    form.submit();
  }
});

// [data-press=ID]: typing there shows, after a moment, what pressing that button would.
let pressed = 0;
document.addEventListener("input", async (input) => {
  const button = document.getElementById(input.target.dataset.press);
  if (!button) return;
  const now = ++pressed;
  await new Promise((done) => { setTimeout(done, 400); });
  if (now !== pressed) return;
  const body = new URLSearchParams(new FormData(button.form));
  const page = await load(button.formAction, { method: "POST", body });
  if (now === pressed) renew(button, page);
});

function parts(button) {
  return button.dataset.part.split(" ").map((id) => document.getElementById(id));
}

function renew(button, page) {
  const pairs = parts(button).map((part) => [part, page?.getElementById(part.id)]);
  if (pairs.some(([, fresh]) => !fresh)) return false;
  for (const [part, fresh] of pairs) part.replaceChildren(...document.adoptNode(fresh).childNodes);
  return true;
}

// a[data-zone]: tells the page it leads to the browser's time zone.
for (const link of document.querySelectorAll("a[data-zone]")) {
  const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) link.search = new URLSearchParams({ zone });
}

// [data-live=SECONDS] with an id: keeps that part of the page fresh while it is looked at, from the
// page itself or the address in data-from, save for what somebody has in their hands, and says so when it cannot, or once nobody
// is signed in.
for (const part of document.querySelectorAll("[data-live]")) {
  const timer = setInterval(async () => {
    if (document.hidden) return;
    const from = document.getElementById(part.id)?.dataset.from;
    const fresh = (await load(from ?? location.href, {}, from && reopen))?.getElementById(part.id);
    const old = document.getElementById(part.id);
    if (isSignedOut) { clearInterval(timer); return; }
    if (!fresh) { age(old); return; }
    old.querySelector(":scope > .stale")?.remove();
    // Over only when all of its end is shown, which somebody's hands may put off.
    if (!fresh.dataset.live) delete old.dataset.live;
    if (!old.dataset.live && old.isEqualNode(fresh)) clearInterval(timer);
    freshen(old, fresh);
  }, part.dataset.live * 1000);
}

// Only what differs is replaced: of what has the focus no more than is around it.
function freshen(old, fresh) {
  if (old.isEqualNode(fresh) || old === document.activeElement) return;
  if (!old.contains(document.activeElement)) {
    old.replaceWith(document.adoptNode(fresh));
  } else if (old.children.length === fresh.children.length) {
    const pairs = [...old.children].map((child, at) => [child, fresh.children[at]]);
    for (const [child, other] of pairs) freshen(child, other);
  }
}

function age(part) {
  if (part.querySelector(":scope > .stale")) return;
  const note = document.createElement("p");
  note.className = "stale badge warn";
  note.setAttribute("role", "status");
  const now = new Date().toLocaleTimeString([], { timeStyle: "short" });
  note.textContent = `Not refreshed since ${now}: reload this page`;
  part.prepend(note);
}

// In place of what is not kept fresh any more. All else stays, with what was typed there.
function signOut() {
  if (isSignedOut) return;
  isSignedOut = true;
  const answers = [...document.querySelectorAll("form[data-answer]")]
    .map((form) => document.getElementById(form.dataset.answer));
  for (const part of [...document.querySelectorAll("[data-live]"), ...answers]) {
    const note = document.createElement("p");
    note.className = "flash failed";
    note.setAttribute("role", "status");
    const link = document.createElement("a");
    link.href = `/admin/sign-in?${new URLSearchParams({ next: location.pathname + location.search })}`;
    link.textContent = "Sign in";
    const hadFocus = part.contains(document.activeElement);
    part.replaceChildren(note);
    // A moment later, for screen readers to notice the change.
    setTimeout(() => {
      note.append("You were signed out. ", link);
      if (hadFocus) link.focus();
    }, 100);
  }
}

// form[data-send]: what was kept while nobody was signed in is sent.
document.querySelector("form[data-send]")?.requestSubmit();

// form[data-answer=ID]: shows that part of its answer while one types.
for (const form of document.querySelectorAll("form[data-answer]")) {
  let typed = 0;
  form.addEventListener("input", async () => {
    const now = ++typed;
    await new Promise((done) => { setTimeout(done, 300); });
    if (now !== typed) return;
    const query = new URLSearchParams(new FormData(form));
    const fresh = (await load(`${form.action}?${query}`))?.getElementById(form.dataset.answer);
    if (!fresh || now !== typed) return;
    // The region itself stays, for screen readers to notice the change.
    document.getElementById(form.dataset.answer).replaceChildren(...document.adoptNode(fresh).childNodes);
    history.replaceState(null, "", `?${query}`);
  });
}

// input[data-fragment]: takes what the address has behind its #, and leaves no trace
// of it in the history. The page may be open already when the address is pasted.
const claimed = document.querySelector("input[data-fragment]");
if (claimed) {
  takeFragment();
  addEventListener("hashchange", takeFragment);
}

function takeFragment() {
  if (location.hash.length < 2) return;
  claimed.value = location.hash.slice(1, 1001);
  history.replaceState(null, "", location.pathname);
  claimed.form.querySelector("button").focus();
}

// Whoever was signed in on this page is no more, so its parts lead elsewhere.
function reopen() { location.assign(location.pathname); }

// Another page of ours; nothing if we were sent elsewhere, as when signed out: then `elsewhere` is called.
async function load(url, request, elsewhere) {
  try {
    const headers = { "x-part": "1" };
    const response = await fetch(url, { ...request, headers });
    if (response.redirected && new URL(response.url).pathname === "/admin/sign-in") signOut();
    else if (response.redirected) elsewhere?.();
    if (!response.ok || response.redirected) return null;
    return new DOMParser().parseFromString(await response.text(), "text/html");
  } catch {
    return null;
  }
}

// time[data-local]: the viewer's own time, as a hint.
for (const time of document.querySelectorAll("time[data-local]")) {
  const here = new Date(time.dateTime)
    .toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  time.title = `${here}, your time`;
}

// [data-yours="FROM TO"]: a span of time, in milliseconds, as the viewer's own clock shows it, where
// that differs from the clock of the event's zone, `data-there`.
for (const span of document.querySelectorAll("[data-yours]")) {
  const [from, to] = span.dataset.yours.split(" ").map((ms) => new Date(Number(ms)));
  const shown = (timeZone) =>
    new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "short", timeZone }).formatRange(from, to);
  const here = shown();
  if (here !== shown(span.dataset.there)) span.textContent = `${here}, your time`;
}
