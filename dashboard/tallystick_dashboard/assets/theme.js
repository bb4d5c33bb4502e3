/* Runs before the first paint of the app: the scheme somebody chose, or the system's. Mantine keeps the choice under this key. */
(function () {
  "use strict";
  var chosen = null;
  try { chosen = localStorage.getItem("mantine-color-scheme-value"); } catch (error) { /* storage is switched off: follow the system */ }
  if (chosen !== "light" && chosen !== "dark") {
    chosen = window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }
  document.documentElement.setAttribute("data-mantine-color-scheme", chosen);
})();
