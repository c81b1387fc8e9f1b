// input[data-filter-choices="id"]: shows those choices of the element alone whose words it has; what is ticked stays.
// Few choices need no search, and without this module there is none.
const FEW = 10;

for (const input of document.querySelectorAll("input[data-filter-choices]")) {
  const choices = [...document.getElementById(input.dataset.filterChoices).querySelectorAll("[data-choice]")];
  if (choices.length <= FEW) continue;
  const words = choices.map((choice) => choice.textContent.toLowerCase());
  input.parentElement.hidden = false;
  input.addEventListener("input", () => filter(input, choices, words));
  // It belongs to no form: what is looked for is neither saved nor sent.
  for (const name of ["input", "change"]) input.addEventListener(name, (event) => event.stopPropagation());
  input.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
}

function filter(input, choices, words) {
  const wanted = input.value.toLowerCase().trim();
  choices.forEach((choice, place) => {
    choice.hidden = !words[place].includes(wanted) && !choice.querySelector("input:checked");
  });
}
