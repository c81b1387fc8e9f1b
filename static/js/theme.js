// Runs before the first paint: what was chosen, else what the system prefers.
document.documentElement.dataset.bsTheme =
  localStorage.getItem("volley-theme") ??
  (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
