// The heads of one layer side by side, and the table of all heads.

const LAYER_PICTURES = ["layer_coverage", "layer_steps", "layer_distance", "layer_errors"];

function startLayer() {
  const view = byId("view-layer");
  const grid = element("div", { class: "pictures" });
  const own = makeTable(headsSpec("Heads of this layer"), { heading: "h3" });
  view.append(element("p", { class: "lead", id: "layer-lead" }), grid, own);
  const makers = [layerCoverage, layerSteps, layerDistance, layerErrors];
  const byLine = {
    hover: (point) => previewHead(point && lineHead(point)),
    click: (point) => lineHead(point) && select({ ...lineHead(point), hover: null }),
  };
  LAYER_PICTURES.forEach((key, i) => addPicture(grid, key, makers[i], byLine));
  const all = makeTable(headsSpec("All heads at this step"), { heading: "h3" });
  byId("view-heads").append(element("p", { class: "lead" },
    "Sort by a column; choose a row to select its head everywhere."), all);
  const places = wholeRange(AXES.layers).flatMap((layer) => wholeRange(AXES.heads)
    .map((head) => ({ layer, head })));
  const update = (changed) => {
    byId("title-layer").textContent = `Layer ${state.layer}`;
    byId("layer-lead").textContent = [AXES.layer_names[state.layer], `step ${stepText(state.step)}`]
      .filter(Boolean).join(" · ");
    refresh(LAYER_PICTURES);
    const moved = ["step", "branch", "prompt", "recall", "view"].some((key) => changed.has(key));
    if ((moved || changed.has("layer")) && (state.view === "layer" || printing())) {
      own.update(places.filter((one) => one.layer === state.layer).map(headRow), statNotes(ofLayer()));
    }
    if (moved && (state.view === "heads" || printing())) all.update(places.map(headRow), statNotes(ofLayer()));
  };
  onSelect(update);
  onPrint(() => update(new Set(["view"])));
  update(new Set(["view"]));
}

const headsSpec = (title) => ({
  title, note: "", more: "", rows: [],
  columns: [column("head", 0), ...STATS.map((stat) => column(DATA.terms[stat].name, 3, stat))],
});

function headRow({ layer, head }) {
  const at = { ...shown(), layer, head };
  return [{ layer, head }, ...STATS.map((stat) => numberAt(stat, at, recallPlace(stat)).value)];
}

const lineHead = (point) =>
  (point.data.meta && "head" in point.data.meta ? { layer: state.layer, head: point.data.meta.head } : null);
const ownHeads = (field) => wholeRange(DATA.fields[field].heads ? AXES.heads : 1);
const ofLayer = () => ({ ...shown(), layer: state.layer });

// A line a head; the selected (or pointed at) one is drawn last and thick.
function headLines(x, series, heads, unit) {
  const at = shown();
  const wanted = at.layer === state.layer ? at.head : state.head;
  const chosen = heads.length > 1 ? wanted : 0;
  const thin = { color: transparent(BLUE, heads.length > 8 ? 0.4 : 0.8), width: 1.2 };
  return [...heads.filter((head) => head !== chosen), chosen].map((head) => ({
    x, y: series(head), meta: { head }, name: `head ${head}`, mode: head === chosen ? "lines+markers"
      : "lines",
    marker: { size: 4 }, line: head === chosen ? { color: ORANGE, width: 2.6 } : thin,
    hovertemplate: `head ${head}<br>%{x:.4g}: %{y:.4f} ${unit}<extra></extra>`,
  }));
}

// A curve over kept shares for every head of the layer.
function layerCurves(name, lack) {
  if (!has(name)) return { empty: lack };
  const heads = ownHeads(name);
  const curves = heads.map((head) => Array.from(read(name, { ...ofLayer(), head }).mean));
  if (unknown(curves[0])) return { empty: NOT_RECORDED };
  const unit = DATA.terms[name === "coverage_tile" ? "layer_coverage" : "layer_errors"].unit;
  return { curves, traces: headLines(AXES.f, (head) => curves[head], heads, unit),
    note: read(name, { ...ofLayer(), head: 0 }).note };
}

function layerCoverage() {
  const { curves, traces, note, empty } = layerCurves("coverage_tile", LEFT_OUT);
  if (empty) return { empty };
  const median = AXES.f.map((_, i) => middle(curves.map((curve) => curve[i])));
  traces.push({
    x: AXES.f, y: median, name: "median head", mode: "lines", line: { color: inks().ink, width: 3,
      dash: "dash" },
    hovertemplate: "median head<br>%{x:.4g}: %{y:.4f}<extra></extra>",
  });
  return {
    traces, note, label: `Coverage of all heads of layer ${state.layer}`,
    layout: { xaxis: shareAxis("tiles kept (fraction)"), yaxis: axis("attention mass kept",
      { range: [0, 1.03] }) },
  };
}

function middle(values) {
  const known = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (!known.length) return NaN;
  return (known[Math.floor((known.length - 1) / 2)] + known[Math.ceil((known.length - 1) / 2)]) / 2;
}

function layerSteps() {
  const { stat } = state;
  const { steps } = DATA.fields[stat];
  const series = (head) => steps.map((step) => numberAt(stat, { ...ofLayer(), head, step }, recallPlace(stat))
    .value);
  const title = needsRecall(stat) ? `tiles needed (recall ${state.recall})` : DATA.terms[stat].name;
  return {
    traces: headLines(steps, series, ownHeads(stat), DATA.terms[stat].unit),
    label: `${statText()} of all heads of layer ${state.layer} over steps`,
    layout: { xaxis: stepsAxis(steps), yaxis: axis(title), shapes: [stepLine(state.step)] },
  };
}

function layerDistance() {
  if (!has("mass_dt")) return { empty: LEFT_OUT };
  const series = (head) => distanceLift("mass_dt", AXES.grid[0], { ...ofLayer(), head });
  const first = series(0);
  if (unknown(first.mean)) return { empty: NOT_RECORDED };
  return {
    traces: headLines(wholeRange(AXES.grid[0]), (head) => series(head).mean, ownHeads("mass_dt"),
      "times uniform"),
    note: first.note, label: `Attention against distance in time of all heads of layer ${state.layer}`,
    layout: { xaxis: axis("distance (latent frames)"), yaxis: liftAxis(), shapes: [levelLine(1)] },
  };
}

function layerErrors() {
  const { traces, note, empty } = layerCurves("error_pooled",
    "Not measured, or left out of this page: profile --error-tiles N.");
  if (empty) return { empty };
  return {
    traces, note, label: `Errors of all heads of layer ${state.layer} against tiles kept`,
    layout: { xaxis: shareAxis("tiles kept (fraction)"), yaxis: axis("relative L2 error",
      { rangemode: "tozero" }) },
  };
}
