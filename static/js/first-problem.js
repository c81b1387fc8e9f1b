// A form that came back refused begins where the first problem is, however far below it stands.
// One that saves itself is left alone: it shows what is missing while it is being filled in.
const form = document.querySelector('main form[method="post"]:not([data-autosave]):has([aria-invalid="true"], .invalid-feedback)');
const problem = [...(form?.querySelectorAll('[aria-invalid="true"], .invalid-feedback') ?? [])].find((each) => each.checkVisibility());
if (problem) {
  problem.scrollIntoView({ block: "center" });
  if (problem.matches("input, select, textarea")) problem.focus({ preventScroll: true });
}
