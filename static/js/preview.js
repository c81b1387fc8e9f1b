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
  document.querySelectorAll("[data-preview] iframe").forEach((frame) => {
    frame.src = frame.dataset.address ?? frame.src;
  });
});
