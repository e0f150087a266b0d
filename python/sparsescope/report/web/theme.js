// Dark and light: the system's choice until the reader makes one, which is remembered.

const THEME_KEY = "sparsescope-theme";
const systemDark = window.matchMedia("(prefers-color-scheme: dark)");

function remembered() {
  try {
    return localStorage.getItem(THEME_KEY);
  } catch {
    return null; // storage may be closed to files
  }
}

function isDark() {
  return document.documentElement.dataset.theme === "dark";
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  byId("theme").setAttribute("aria-pressed", String(name === "dark"));
  redrawAll();
}

function toggleTheme() {
  const name = isDark() ? "light" : "dark";
  try {
    localStorage.setItem(THEME_KEY, name);
  } catch {
    // the choice holds until the page is closed
  }
  setTheme(name);
}

function startTheme() {
  setTheme(remembered() || (systemDark.matches ? "dark" : "light"));
  systemDark.addEventListener("change", () => {
    if (!remembered()) setTheme(systemDark.matches ? "dark" : "light");
  });
  byId("theme").addEventListener("click", toggleTheme);
}

// Inks of the style sheet, for Plotly.
function inks() {
  const style = getComputedStyle(document.documentElement);
  const ink = (name) => style.getPropertyValue(`--${name}`).trim();
  return { ink: ink("ink"), quiet: ink("quiet"), line: ink("line"), panel: ink("panel"), mark: ink("mark") };
}

const LINE = DATA.colours.lines;
const [BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW] = LINE;
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const MARKERS = ["circle", "square", "triangle-up", "diamond", "cross", "x"];
