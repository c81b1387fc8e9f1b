// [data-insert]: put a merge tag at the cursor. [data-go-to-line]: select the line that has a problem.
document.addEventListener("click", (event) => {
  const tag = event.target.closest("[data-insert]");
  if (tag) insert(document.getElementById(tag.dataset.into), tag.dataset.insert);
  const line = event.target.closest("[data-go-to-line]");
  if (line) show(document.getElementById(line.dataset.in), Number(line.dataset.goToLine));
});

function insert(field, text) {
  field.focus();
  field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

function show(field, number) {
  const lines = field.value.split("\n");
  const start = lines.slice(0, number - 1).reduce((sum, line) => sum + line.length + 1, 0);
  field.focus();
  field.setSelectionRange(start, start + (lines[number - 1] ?? "").length);
  field.scrollTop = (field.scrollHeight / lines.length) * Math.max(0, number - 4);
}
