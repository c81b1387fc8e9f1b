// [data-search-menu="id of a select"]: choose in the dialog #search-menu, by typing, what a long select offers.
let select;

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-search-menu]");
  if (opener) open(document.getElementById(opener.dataset.searchMenu));
  const choice = event.target.closest("#search-menu [data-choice]");
  if (choice) choose(choice.dataset.choice);
  if (event.target.id === "search-menu") event.target.close(); // beside it
});
document.addEventListener("input", (event) => {
  if (event.target.closest("#search-menu")) show(event.target.value);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches("#search-menu input")) return;
  event.preventDefault();
  menu().querySelector("[data-choice]")?.click();
});

function open(of) {
  select = of;
  menu().querySelector("input").value = "";
  show("");
  menu().showModal();
}

function show(words) {
  const wanted = words.trim().toLowerCase();
  const groups = [...select.querySelectorAll("optgroup")].map((group) => {
    const fits = (option) => `${group.label} ${option.label}`.toLowerCase().includes(wanted);
    return [group.label, [...group.children].filter(fits)];
  }).filter(([, options]) => options.length);
  menu().querySelector("[data-found]").replaceChildren(...groups.flatMap(([label, options]) => [heading(label), ...options.map(button)]));
  menu().querySelector("[data-nothing]").hidden = groups.length > 0;
}

function choose(value) {
  menu().close();
  select.value = value;
  select.focus();
  select.dispatchEvent(new Event("change", { bubbles: true }));
}

function heading(label) {
  return Object.assign(document.createElement("div"), { className: "subheader", textContent: label });
}

function button(option) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: option.label });
  made.dataset.choice = option.value;
  return made;
}

const menu = () => document.getElementById("search-menu");
