// Runs before anything is drawn, so that no page flashes in the wrong theme.
{
  const asked = new URLSearchParams(location.search).get("theme");
  const kept = (() => {
    try {
      return localStorage.getItem("hudtrace-theme");
    } catch {
      return null; // storage is not allowed here
    }
  })();
  const theme = asked || kept;
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
