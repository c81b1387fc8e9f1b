// [data-preview]: the frame is as wide as the choice pressed, and loads anew after each save of the draft.
document.addEventListener("click", (event) => {
  const choice = event.target.closest("[data-preview] [data-width]");
  if (!choice) return;
  const preview = choice.closest("[data-preview]");
  preview.querySelectorAll("[data-width]").forEach((each) => each.classList.toggle("active", each === choice));
  const frame = preview.querySelector("iframe");
  frame.dataset.width = choice.dataset.width;
  frame.dataset.address = choice.href;
});

document.addEventListener("campaign-saved", () => {
  const isEmpty = document.getElementById("id_source")?.value.trim() === "";
  for (const preview of document.querySelectorAll("[data-preview]")) {
    const frame = preview.querySelector("iframe");
    preview.querySelector("[data-nothing-yet]").hidden = !isEmpty;
    frame.hidden = isEmpty;
    if (!isEmpty) frame.src = frame.dataset.address;
  }
});
