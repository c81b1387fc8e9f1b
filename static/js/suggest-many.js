// input[data-suggest-many][list]: several words with a comma between two, each suggested from the list.
document.addEventListener("input", (event) => {
  const input = event.target.closest("input[data-suggest-many]");
  if (input?.list) offer(input, input.list);
});

const words = new WeakMap();

function offer(input, list) {
  if (!words.has(list)) words.set(list, [...list.options].map((option) => option.value));
  const typed = input.value.split(",").map((word) => word.trim());
  const before = typed.slice(0, -1).filter(Boolean);
  const taken = new Set(before.map((word) => word.toLowerCase()));
  const free = words.get(list).filter((word) => !taken.has(word.toLowerCase()));
  list.replaceChildren(...free.map((word) => new Option("", [...before, word].join(", "))));
}
