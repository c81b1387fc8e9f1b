// [data-edit-here]: a click on the value opens its form, as its pencil does. form[data-edit-value]: Escape brings the
// value back, and the focus goes to the pencil then.
document.addEventListener("click", (event) => {
  const place = event.target.closest("[data-edit-here]");
  if (!place || event.target.closest("a, button") || String(getSelection())) return;
  place.querySelector("a[hx-get]")?.click();
});

document.addEventListener("keydown", (event) => {
  const form = event.key === "Escape" && event.target.closest("form[data-edit-value]");
  if (form) form.querySelector("[data-edit-cancel]").click();
});

let left = ""; // the id of the value whose form was just left

document.addEventListener("click", (event) => {
  const cancel = event.target.closest("[data-edit-cancel]");
  if (cancel) left = cancel.closest("[id]").id;
});

document.addEventListener("htmx:after:swap", () => {
  const pencil = left && document.querySelector(`#${CSS.escape(left)} > a[hx-get]`);
  if (pencil) pencil.focus(), left = "";
});
