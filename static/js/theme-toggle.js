// [data-theme-toggle]: from light to dark to what the system prefers; remembered, and said on the button.
const NEXT = { light: "dark", dark: "system", system: "light" };
const ICONS = { light: "ti-sun", dark: "ti-moon", system: "ti-sun-moon" };

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-theme-toggle]")) choose(NEXT[chosen()]);
});
addEventListener("storage", say);
say();

function choose(theme) {
  if (theme === "system") localStorage.removeItem("volley-theme");
  else localStorage.setItem("volley-theme", theme);
  dispatchEvent(new Event("volley-theme"));
  say();
}

function say() {
  for (const button of document.querySelectorAll("[data-theme-toggle]")) {
    const words = `Colors: ${chosen()}. Change to ${NEXT[chosen()]}`;
    button.setAttribute("aria-label", words);
    button.title = words;
    button.querySelector(".ti").className = `ti ${ICONS[chosen()]}`;
  }
}

function chosen() {
  return localStorage.getItem("volley-theme") ?? "system";
}
