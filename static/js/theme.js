// Runs before the first paint: what was chosen, else what the system prefers, now and when it changes its mind.
{
  const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => {
    const chosen = localStorage.getItem("volley-theme");
    document.documentElement.dataset.bsTheme = chosen ?? (systemIsDark.matches ? "dark" : "light");
  };
  systemIsDark.addEventListener("change", paint);
  addEventListener("storage", paint); // chosen in another tab
  addEventListener("volley-theme", paint);
  paint();
}
