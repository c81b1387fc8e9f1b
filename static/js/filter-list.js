// [data-filters="id of a list of check boxes"]: show only those whose label holds what is typed; ticked ones stay.
document.addEventListener("input", (event) => {
  const field = event.target.closest("[data-filters]");
  if (!field) return;
  event.stopPropagation(); // nothing that the form sends has changed
  const wanted = field.value.trim().toLowerCase();
  for (const label of document.getElementById(field.dataset.filters).querySelectorAll("label")) {
    label.hidden = !label.textContent.toLowerCase().includes(wanted) && !label.querySelector("input").checked;
  }
}, { capture: true });
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches("[data-filters]")) event.preventDefault();
});
