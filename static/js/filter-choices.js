// input[data-filter-choices="id"]: shows those choices of the element alone whose words it has; what is ticked stays.
// Few choices need no search: one that begins hidden is shown where there are many. Without this module there is none.
const FEW = 10;
const SEARCH = "input[data-filter-choices]";

const choicesOf = (input) => [...document.getElementById(input.dataset.filterChoices).querySelectorAll("[data-choice]")];

for (const input of document.querySelectorAll(SEARCH)) {
  if (choicesOf(input).length > FEW) input.parentElement.hidden = false;
}

// It belongs to no form: what is looked for is neither saved nor sent.
for (const name of ["input", "change"]) {
  document.addEventListener(name, (event) => {
    const input = event.target.closest(SEARCH);
    if (!input) return;
    event.stopPropagation();
    const wanted = input.value.toLowerCase().trim();
    for (const choice of choicesOf(input)) {
      choice.hidden = !choice.textContent.toLowerCase().includes(wanted) && !choice.querySelector("input:checked");
    }
  }, { capture: true });
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches(SEARCH)) event.preventDefault();
});
