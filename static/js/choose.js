// form[data-choose]: the bar below a list of people. Who is ticked is kept while one turns the pages of the same list,
// and forgotten with another search, or once something was asked for ([data-chosen-done]).
const KEPT = "volley-chosen"; // in this tab: {place, ids}
let ids = new Set();

if (document.querySelector("[data-chosen-done]")) sessionStorage.removeItem(KEPT);
begin();
document.addEventListener("htmx:after:swap", begin);
addEventListener("pageshow", begin); // a browser that goes back may have ticks of its own
document.addEventListener("change", ({ target }) => {
  if (target.matches('input[name="contact"]')) choose([target], target.checked);
  else if (target.matches("input[data-choose-page]")) choose(boxes(), target.checked);
  else if (target.matches('[data-choose] input[name="all"]')) draw();
});
document.addEventListener("click", ({ target }) => {
  if (target.closest("button[data-choose-page]")) choose(boxes(), true);
  if (target.closest("[data-choose-none]")) clear();
});

function begin() {
  if (!bar()) return;
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");
  ids = new Set(kept.place === place() ? kept.ids : []);
  draw();
}

function choose(ticked, isChosen) {
  for (const box of ticked) isChosen ? ids.add(box.value) : ids.delete(box.value);
  keep();
}

function clear() {
  ids.clear();
  const all = bar().elements.all;
  if (all) all.checked = false;
  keep();
  document.querySelector('input[name="contact"]').focus();
}

function keep() {
  sessionStorage.setItem(KEPT, JSON.stringify({ place: place(), ids: [...ids] }));
  draw();
}

function draw() {
  const form = bar(), isAll = Boolean(form.elements.all?.checked), isActive = isAll || ids.size > 0;
  for (const box of boxes()) box.checked = isAll || ids.has(box.value), box.disabled = isAll;
  const onPage = boxes().filter((box) => box.checked).length, page = document.querySelector("input[data-choose-page]");
  page.checked = onPage > 0 && onPage === boxes().length;
  page.indeterminate = onPage > 0 && !page.checked;
  page.disabled = isAll;
  form.toggleAttribute("data-active", isActive);
  form.elements.contacts.value = isAll ? "" : [...ids].join();
  form.querySelector("[data-chosen-words]").textContent = words(isAll, onPage);
  const count = form.querySelector("[data-match-count]");
  if (isActive && count) window.htmx?.trigger(count, "count");
}

function words(isAll, onPage) {
  if (isAll) return "All that match are chosen";
  const elsewhere = ids.size - onPage;
  return `${ids.size.toLocaleString("en")} chosen${elsewhere ? `, ${elsewhere.toLocaleString("en")} on other pages` : ""}`;
}

// The address without a cursor; "?" alone is left of one that had nothing else.
function place() {
  return bar().dataset.choose.replace(/\?$/, "");
}

function bar() {
  return document.querySelector("form[data-choose]");
}

function boxes() {
  return [...document.querySelectorAll('input[name="contact"]')];
}
