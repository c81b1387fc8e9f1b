// [data-rows]: rows of a form that are added, moved up and removed; without a script the spare rows serve.
// form[data-field-form]: shows what is for the chosen type alone, by [data-for-type].
for (const rows of document.querySelectorAll("[data-rows]")) {
  const list = rows.querySelector("[data-rows-list]"), fresh = rows.querySelector("[data-rows-new]");
  for (const row of [...list.children].slice(1)) if (isSpare(row)) row.remove();
  for (const button of rows.querySelectorAll("[data-rows-add], [data-row-up], [data-row-remove]")) button.hidden = false;
  rows.addEventListener("click", (event) => {
    const row = event.target.closest("[data-row]");
    if (event.target.closest("[data-rows-add]")) add(list, fresh);
    else if (event.target.closest("[data-row-up]")) row.previousElementSibling?.before(row), focusOn(row);
    else if (event.target.closest("[data-row-remove]")) remove(row);
  });
  list.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.name !== "option") return;
    event.preventDefault(); // the next option is meant, not the whole form
    add(list, fresh);
  });
}

for (const form of document.querySelectorAll("form[data-field-form]")) {
  const type = form.elements.type;
  if (!type) continue;
  const show = () => {
    for (const part of form.querySelectorAll("[data-for-type]")) part.hidden = !part.dataset.forType.split(" ").includes(type.value);
  };
  type.addEventListener("change", show);
  show();
}

function add(list, fresh) {
  const row = fresh.content.firstElementChild.cloneNode(true);
  for (const button of row.querySelectorAll("button")) button.hidden = false;
  list.append(row);
  focusOn(row);
}

// One that had a name is sent empty, so that its removal is known.
function remove(row) {
  const next = row.nextElementSibling ?? row.previousElementSibling;
  row.querySelector('[name="option"]').value = "";
  if (row.querySelector('[name="was"]').value) row.hidden = true;
  else row.remove();
  if (next) focusOn(next);
}

function focusOn(row) {
  row.querySelector('[name="option"]').focus();
}

function isSpare(row) {
  return ![...row.querySelectorAll("input")].some((input) => input.value);
}
