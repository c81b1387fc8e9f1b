// button[data-copy]: puts the text on the clipboard and says so; hidden where the browser has none.
const SHOWN_FOR = 1_500; // ms

function show() {
  if (navigator.clipboard) for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
}

show();
document.addEventListener("htmx:after:swap", show);

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  const icon = button.querySelector(".ti-copy"), said = document.getElementById("copied");
  icon?.classList.replace("ti-copy", "ti-check");
  if (said) said.textContent = `Copied ${button.dataset.copy}`;
  setTimeout(() => icon?.classList.replace("ti-check", "ti-copy"), SHOWN_FOR);
});
