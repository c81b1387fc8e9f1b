// button[data-no-year]: makes the picker of dates before it a box for a month and a day.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-no-year]");
  if (!button) return;
  const input = button.previousElementSibling;
  const [, day = ""] = input.value.match(/^\d{4}-(\d\d-\d\d)$/) ?? [];
  Object.assign(input, { type: "text", placeholder: "MM-DD", value: day });
  input.focus();
  button.remove();
});
