// Views, printing, and the start.

const printers = [];
const onPrint = (printer) => printers.push(printer);
const printing = () => document.documentElement.classList.contains("printing");

function showView() {
  for (const section of document.querySelectorAll(".view")) section.hidden =
    section.id !== `view-${state.view}` && !printing();
  for (const link of byId("views").children) {
    if (link.dataset.view === state.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function startViews() {
  for (const view of VIEWS) {
    byId("views").append(element("a", { href: `#view=${view.key}`, "data-view": view.key, onclick: (event) =>
      {
      event.preventDefault();
      select({ view: view.key });
    } }, view.name));
  }
  for (const section of document.querySelectorAll(".view")) {
    if (!VIEWS.some((view) => `view-${view.key}` === section.id)) section.remove();
  }
  onSelect((changed) => {
    if (!changed.has("view")) return;
    showView();
    byId("main").scrollTop = 0;
    window.scrollTo(0, 0);
  });
  window.addEventListener("hashchange", readAddress);
}

// Paper is light, has no controls, and shows every view.
let screenTheme = "light";
function startPrint() {
  window.addEventListener("beforeprint", () => {
    screenTheme = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    document.documentElement.classList.add("printing");
    showView();
    for (const details of document.querySelectorAll("details")) details.open = true;
    for (const printer of printers) printer();
    loadPlotly();
    for (const picture of pictures.values()) draw(picture);
  });
  window.addEventListener("afterprint", () => {
    document.documentElement.classList.remove("printing");
    document.documentElement.dataset.theme = screenTheme;
    showView();
    redrawAll();
  });
}

startViews();
startNavigator();
startOverview();
startHead();
startLayer();
startPlan();
startValidation();
startSweep();
startVideos();
startDefinitions();
startSearch();
startKeys();
startPrint();
readAddress();
showView();
startTheme();
startPictures();
