// form[data-confirm="id of a dialog"]: ask in the dialog before the form is sent; [data-answer] answers.
document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-confirm]");
  const dialog = form && document.getElementById(form.dataset.confirm);
  if (!dialog || dialog.open) return;
  event.preventDefault();
  dialog.showModal();
});

document.addEventListener("click", (event) => {
  const answer = event.target.closest("dialog [data-answer]");
  if (!answer) return;
  const dialog = answer.closest("dialog");
  if (answer.dataset.answer === "yes") document.querySelector(`form[data-confirm="${dialog.id}"]`).requestSubmit();
  dialog.close();
});
