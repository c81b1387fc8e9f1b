// form[data-autosave]: htmx sends what is typed as one types, and #saved says how that stands. While Volley cannot
// be reached it is tried again, and leaving asks first while something typed is not saved.
const FIRST_WAIT = 2_000, LONGEST_WAIT = 60_000; // ms between tries; each waits twice as long as the one before
const UNREACHED = "Not saved: Volley cannot be reached. It is tried again.";
const FAULTY = "Not saved: something went wrong in Volley. It is tried again.";

const form = document.querySelector("form[data-autosave]");
const said = document.getElementById("saved");
let changes = 0, sent = 0, saved = 0; // how many changes were typed; with how many the last request left, and was kept
let wait = 0, timer, isLeaving = false, isSending = false, next; // next: what was pressed while a save was under way

if (form) {
  for (const name of ["input", "change"]) form.addEventListener(name, () => changes++);
  form.addEventListener("htmx:before:request", send);
  form.addEventListener("htmx:after:request", (event) => {
    if (event.detail.ctx.response.status < 500) return;
    event.preventDefault(); // its page is not for #saved
    fail(FAULTY);
  });
  form.addEventListener("htmx:error", () => fail(UNREACHED));
  form.addEventListener("htmx:after:swap", settle);
  form.addEventListener("submit", leave);
  form.addEventListener("click", keepMine);
  addEventListener("online", () => wait && again());
  addEventListener("pageshow", () => { isLeaving = false; });
  addEventListener("beforeunload", (event) => {
    if (!isLeaving && isUnsaved()) event.preventDefault();
  });
}

function send(event) {
  if (said.querySelector("[data-keep-mine]")) return event.preventDefault(); // whose turn it is, is asked already
  clearTimeout(timer);
  renewToken();
  event.detail.ctx.request.body = new URLSearchParams(new FormData(form)); // one that waited its turn has an older version in it
  sent = changes;
  isSending = true;
  if (!wait) say("Saving …");
}

function settle() {
  wait = 0;
  isSending = false;
  const isSaved = !said.querySelector("[data-not-saved]");
  if (isSaved) saved = sent;
  if (next && isSaved) form.requestSubmit(next);
  next = undefined;
}

function fail(words) {
  isSending = false;
  next = undefined;
  wait = Math.min(wait * 2 || FIRST_WAIT, LONGEST_WAIT);
  timer = setTimeout(again, wait);
  say(words, "notSaved");
}

// A page that cannot be reached would take what is typed with it; so it is saved first. What is being saved changes the
// version that stands in the form: sent beside it, the form would be refused as older than its own save.
function leave(event) {
  if (isSending) {
    event.preventDefault();
    next = event.submitter;
    return;
  }
  renewToken();
  isLeaving = !wait && navigator.onLine;
  if (!isLeaving) event.preventDefault(), again();
}

function keepMine(event) {
  const button = event.target.closest("[data-keep-mine]");
  if (!button) return;
  event.preventDefault();
  form.elements.version.value = button.value;
  say("Saving …");
  again();
}

const again = () => window.htmx.trigger(form, "save-again");
const isUnsaved = () => saved !== changes || said.querySelector("[data-not-saved]") !== null;

// Signing in anew, in another tab, has changed the token.
function renewToken() {
  const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1];
  if (token) form.elements.csrfmiddlewaretoken.value = token;
}

function say(words, flag) {
  const line = Object.assign(document.createElement("span"), { textContent: words });
  if (flag) line.dataset[flag] = "";
  said.replaceChildren(line);
}
