// Pictures: each has a term (name, sentence, definition) and a maker that says what Plotly is to draw. It is
// drawn when it is on the screen and out of date.

const pictures = new Map(); // key -> {term, plot, note, make, stale}
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const picture = pictures.get(entry.target.dataset.key);
    picture.seen = entry.isIntersecting;
    if (picture.seen && picture.stale) draw(picture);
  }
  document.documentElement.dataset.ready ||= Math.round(performance.now()); // ms until the first pictures
}, { rootMargin: "200px" });

// Plotly takes longer to compile than all else together: it is run once words and tables are on the screen.
function loadPlotly() {
  if (window.Plotly) return;
  const script = element("script");
  script.textContent = byId("plotly").textContent;
  document.head.append(script);
}

function startPictures() {
  requestAnimationFrame(() => setTimeout(() => {
    loadPlotly();
    for (const picture of pictures.values()) watcher.observe(picture.plot);
  }));
}

// make(width in pixels) -> {traces, layout, label, note, height} or {empty: why}. size: "half", "wide", "side".
function addPicture(parent, key, make, { size = "half", height = 260, click, hover, keyboard } = {}) {
  const term = DATA.terms[key];
  const plot = element("div", { class: "plot", role: "img", "aria-label": term.name, "data-key": key,
    style: `height:${height}px` });
  if (keyboard) {
    plot.tabIndex = 0;
    plot.addEventListener("keydown", keyboard);
  }
  const note = element("p", { class: "note" });
  parent.append(element("figure", { class: `picture ${size}`, id: `picture-${key}` },
    element("div", { class: "picture-title" }, element("h3", {}, term.name), helpButton(key)),
    element("p", { class: "sentence" }, term.sentence), plot, note));
  pictures.set(key, { key, plot, note, make, click, hover, stale: true, seen: false });
}

let drawing = 0;

// What changes within one frame of the screen is drawn once: a slider may run faster than pictures are drawn.
function refresh(keys) {
  for (const key of keys) {
    if (pictures.has(key)) pictures.get(key).stale = true;
  }
  drawing = drawing || requestAnimationFrame(() => {
    drawing = 0;
    for (const picture of pictures.values()) {
      if (picture.seen && picture.stale) draw(picture);
    }
  });
}

function redrawAll() {
  refresh([...pictures.keys()]);
}

function draw(picture) {
  picture.stale = false;
  const made = picture.make(picture.plot.clientWidth);
  picture.note.textContent = made.empty || made.note || "";
  picture.plot.hidden = Boolean(made.empty);
  if (made.empty) return;
  picture.plot.setAttribute("aria-label", made.label);
  if (made.height) picture.plot.style.height = `${made.height}px`;
  const fresh = !picture.plot.classList.contains("js-plotly-plot");
  Plotly.react(picture.plot, made.traces, baseLayout(made.layout), {
    responsive: true, displaylogo: false, modeBarButtons: [["toImage"]], displayModeBar: !picture.click,
  });
  if (fresh) listen(picture);
}

function listen(picture) {
  if (picture.click) picture.plot.on("plotly_click", (event) => picture.click(event.points[0]));
  if (picture.hover) {
    picture.plot.on("plotly_hover", (event) => picture.hover(event.points[0]));
    picture.plot.on("plotly_unhover", () => picture.hover(null));
  }
}

function axis(title, extra = {}) {
  const { line } = inks();
  return {
    title: { text: title, standoff: 6, font: { size: 12 } }, gridcolor: line, linecolor: line, tickcolor: line,
    tickfont: { size: 11 }, ticks: "outside", ticklen: 3, automargin: true, zeroline: false, ...extra,
  };
}

function baseLayout({ xaxis, yaxis, ...rest }) {
  const ink = inks();
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: ink.ink, size: 12, family: "system-ui, sans-serif" },
    margin: { l: 44, r: 10, t: 8, b: 36 }, hovermode: "closest", showlegend: false, dragmode: "zoom",
    modebar: { bgcolor: "rgba(0,0,0,0)", color: ink.quiet, activecolor: ink.mark },
    hoverlabel: { bgcolor: ink.panel, bordercolor: ink.quiet, font: { color: ink.ink, size: 12 } },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11 }, itemwidth: 30 },
    xaxis: { ...axis(""), ...xaxis }, yaxis: { ...axis(""), ...yaxis }, ...rest,
  };
}

// A kept share on a log axis.
function shareAxis(title) {
  const ticks = [1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1];
  return axis(title, { type: "log", tickvals: ticks, ticktext: ticks.map(fractionText),
    range: [Math.log10(1 / 72), 0.02] });
}

// Denoising steps by their own numbers.
function stepsAxis(steps) {
  return axis("denoising step (0: noise)", { tickmode: "linear", tick0: 0, dtick: Math.ceil((Math.max(...steps) + 1) / 10) });
}

function wholeAxis(title, count, extra = {}) {
  const step = Math.max(1, Math.ceil(count / 10));
  return axis(title, { tickmode: "linear", tick0: 0, dtick: step, showgrid: false,
    range: [-0.5, count - 0.5], ...extra });
}

// A line with its band. found: {mean, low, high}, over x.
function lineWithBand(x, found, name, colour, dash = "solid") {
  const line = {
    x, y: Array.from(found.mean), name, mode: "lines+markers", marker: { size: 4 }, line: { color: colour, dash, width: 2 },
    hovertemplate: `${name}<br>%{x:.4g}: %{y:.4f}<extra></extra>`,
  };
  if (!found.low || !Array.from(found.low).some(Number.isFinite)) return [line];
  return [{
    x: [...x, ...[...x].reverse()], y: [...found.high, ...[...found.low].reverse()], name: `${name}, interval`,
    mode: "lines", fill: "toself", fillcolor: transparent(colour, 0.16), line: { width: 0 }, hoverinfo: "skip",
    showlegend: false,
  }, line];
}

function transparent(colour, share) {
  const part = (at) => parseInt(colour.slice(at, at + 2), 16);
  return `rgba(${part(1)},${part(3)},${part(5)},${share})`;
}

const CIVIDIS = { colorscale: "Cividis" };

// Lift as colours on a log scale from 1/decade to decade.
function liftColours(decades) {
  const tickvals = wholeRange(2 * decades + 1).map((i) => i - decades);
  const ticktext = tickvals.map((power) => (power < 0 ? `1/${10 ** -power}` : `${10 ** power}`));
  ticktext[0] = `≤ ${ticktext[0]}`;
  ticktext[ticktext.length - 1] = `≥ ${ticktext[ticktext.length - 1]}`;
  return { ...CIVIDIS, zmin: -decades, zmax: decades, colorbar: bar("times uniform", { tickvals, ticktext }) };
}

function bar(title, extra = {}) {
  const named = { text: title, side: "right", font: { size: 11 } };
  return { title: named, thickness: 9, outlinewidth: 0, tickfont: { size: 10 }, ...extra };
}

// The frame around a cell: light and dark, so that it shows on every colour.
function cellFrame(x, y) {
  const box = { type: "rect", x0: x - 0.5, x1: x + 0.5, y0: y - 0.5, y1: y + 0.5 };
  return [{ ...box, line: { color: "#ffffff", width: 4 } },
    { ...box, line: { color: "#111111", width: 1.5 } }];
}

// A table of cells: [row][column].
function cells(rows, columns, make) {
  return Array.from({ length: rows }, (_, row) => Array.from({ length: columns }, (_, column) =>
    make(row, column)));
}

const wholeRange = (count) => Array.from({ length: count }, (_, i) => i);
const rowsAxis = (title, count) => wholeAxis(title, count, { range: [count - 0.5, -0.5] }); // 0 at the top

// A thin line across the picture, at y or at x.
function levelLine(y, dash = "dot") {
  return { type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color: inks().quiet, width: 1,
    dash } };
}

function stepLine(x) {
  return { type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line: { color: inks().quiet, width: 1 } };
}
