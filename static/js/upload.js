// form[data-upload]: a file may be dropped onto [data-drop], one that is too large is told before it is sent, and a
// bar shows how much has arrived.
const FAULTY = "Something went wrong in Volley, and nothing was kept. Send it again.";
const UNREACHED = "The upload broke off. Look at your connection, and send it again.";

const first = document.querySelector("form[data-upload]");
if (first) start(first);

function start(form) {
  const place = form.querySelector("[data-drop]"), input = place.querySelector("input[type=file]");
  for (const name of ["dragenter", "dragover"]) place.addEventListener(name, (event) => hold(event, place));
  for (const name of ["dragleave", "drop"]) place.addEventListener(name, () => place.classList.remove("is-over"));
  place.addEventListener("drop", (event) => drop(event, input));
  input.addEventListener("change", () => tell(place, input));
  form.addEventListener("submit", (event) => input.files[0] && send(event, form));
  tell(place, input);
}

function hold(event, place) {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  place.classList.add("is-over");
}

function drop(event, input) {
  if (!event.dataTransfer.files.length) return;
  event.preventDefault();
  const one = new DataTransfer();
  one.items.add(event.dataTransfer.files[0]);
  input.files = one.files;
  input.dispatchEvent(new Event("change"));
}

function tell(place, input) {
  const file = input.files[0], limit = Number(input.dataset.maxBytes), said = place.querySelector("[data-chosen]");
  const problem = file?.size > limit
    ? `The file has ${size(file.size)}; at most ${size(limit)} can be imported at once.` : "";
  input.setCustomValidity(problem);
  said.hidden = false;
  said.textContent = problem || (file ? `${file.name}, ${size(file.size)}` : "Or drop it here.");
}

function send(event, form) {
  event.preventDefault();
  const request = new XMLHttpRequest();
  form.querySelector("[type=submit]").disabled = true;
  form.querySelector("[data-uploading]").hidden = false;
  request.upload.addEventListener("progress", (at) => show(form, at.loaded / at.total));
  request.addEventListener("load", () => arrive(form, request));
  request.addEventListener("error", () => fail(form, UNREACHED));
  request.open("POST", form.action);
  request.send(new FormData(form));
}

function show(form, share) {
  form.querySelector("progress").value = share;
  say(form, share < 1 ? `${Math.floor(share * 100)} % uploaded` : "Uploaded. It is being read …");
}

// The columns' page, or this form again with what is wrong beside the field; the file stays chosen.
function arrive(form, request) {
  if (request.status === 200) return location.assign(request.responseURL);
  const fresh = new DOMParser().parseFromString(request.responseText, "text/html").querySelector("form[data-upload]");
  if (!fresh) return fail(form, FAULTY);
  fresh.querySelector("input[type=file]").files = form.querySelector("input[type=file]").files;
  form.replaceWith(fresh);
  start(fresh);
  fresh.querySelector("[role=alert]")?.scrollIntoView({ block: "center" });
}

function fail(form, words) {
  form.querySelector("[type=submit]").disabled = false;
  say(form, words);
}

const say = (form, words) => { form.querySelector("[data-uploaded]").textContent = words; };
const size = (bytes) => bytes < 1e6 ? `${Math.ceil(bytes / 1024)} KB` : `${Math.round(bytes / 2 ** 20)} MB`;
