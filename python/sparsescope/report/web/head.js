// All pictures of one head: the one pointed at in a heat map, else the selected one. Here its attention;
// head_methods.js has what the sparse methods make of it.

const HEAD_PICTURES = ["coverage", "distance", "frame_mass", "entropy_steps", "query_cosine", "key_mass",
  "tile_map",
  "vmoba", "vmoba_error", "bsa_cutoff", "errors", "effects"];
const NOT_RECORDED = "Not recorded at this place.";
const LEFT_OUT = "Left out of this page.";
const unknown = (values) => !Array.from(values).some(Number.isFinite);
const headText = (at) => `layer ${at.layer}, head ${at.head}`;

function startHead() {
  const view = byId("view-head");
  const grid = element("div", { class: "pictures" });
  const tools = element("div", { class: "toolbar" });
  const table = makeTable(numbersSpec(), { heading: "h3" });
  view.append(element("p", { class: "lead", id: "head-lead" }), tools, grid, table);
  const makers = {
    coverage, distance, frame_mass: frameMass, entropy_steps: entropySteps, query_cosine: queryCosine,
    key_mass: keyMass, tile_map: tileMapPicture, vmoba: () => vmobaCurves("recall"),
    vmoba_error: () => vmobaCurves("error"), bsa_cutoff: bsaCutoff, errors: () => settingErrors("error"),
    effects: () => settingErrors("effect"),
  };
  const tall = { tile_map: 340, vmoba: 340 };
  for (const key of HEAD_PICTURES) addPicture(grid, key, makers[key], { height: tall[key] });
  if (AXES.partitions.length) {
    const rules = [["topk", "k best blocks"], ["tau", "threshold, pool query_head"]];
    tools.append(chooser("VMoBA selects by", rules, state.rule, (value) => select({ rule: value })));
  }
  const update = () => {
    const at = shown();
    byId("title-head").textContent = `Layer ${at.layer}, head ${at.head}`;
    byId("head-lead").textContent = [AXES.layer_names[at.layer], `step ${stepText(at.step)}`,
      state.hover ? "pointed at" : ""].filter(Boolean).join(" · ");
    table.update(numberRows(at), statNotes(at));
  };
  const others = ["view", "plan", "planStep", "report", "video", "frame"];
  onSelect((changed) => {
    update();
    if ([...changed].some((key) => !others.includes(key))) refresh(HEAD_PICTURES);
  });
  update();
}

const numbersSpec = () => ({
  title: "Numbers of this head", note: "At this step, branch and prompt.", more: "", rows: [],
  columns: [column("number", 0), column("value", 4, "interval"), column("unit", 0)],
});

const numberRows = (at) => STATS.map((stat) => [statText(stat), numberAt(stat, at, recallPlace(stat)),
  DATA.terms[stat].unit]);

// Where the page holds another step or mean of a number than was asked for.
function statNotes(at) {
  const groups = new Map();
  for (const stat of STATS) {
    const { note } = numberAt(stat, at, recallPlace(stat));
    if (note) groups.set(note, [...(groups.get(note) || []), DATA.terms[stat].name]);
  }
  return [...groups].map(([note, names]) => `${names.join(", ")}: ${note.toLowerCase()}`).join(" ");
}

// K(f) / N: the share of the tiles that f really keeps, and the mass that random choice holds.
function keptShares() {
  const tiles = AXES.tile_sizes.length;
  return AXES.f.map((f) => Math.min(tiles, Math.max(1, Math.ceil(f * tiles))) / tiles);
}

function randomLine(x, y, name = "random choice") {
  return { x, y, name, mode: "lines", line: { color: inks().quiet, width: 1 }, hoverinfo: "skip" };
}

function coverage() {
  const at = shown();
  const curves = [["coverage_pooled", "pooled scores", BLUE, "solid"],
    ["coverage_tile", "best per tile", ORANGE, "dash"], ["coverage_row", "best per row", GREEN, "dot"]]
    .filter(([name]) => has(name));
  const found = curves.map(([name]) => read(name, at));
  if (!found.length || unknown(found[0].mean)) return { empty: NOT_RECORDED };
  const lines = curves.map(([, name, colour, dash], i) => lineWithBand(AXES.f, found[i], name, colour, dash));
  return {
    traces: [...lines.flat(), randomLine(AXES.f, keptShares())], note: found[0].note,
    label: `Coverage curves of ${headText(at)}`,
    layout: {
      xaxis: shareAxis("tiles kept (fraction)"), yaxis: axis("attention mass kept", { range: [0, 1.03] }),
      showlegend: true, shapes: [levelLine(state.recall)],
    },
  };
}

// Mean share of the keys at distance d on an axis of n places, for rows all over it.
const shareAt = (d, n) => (d === 0 ? 1 / n : (2 * (n - d)) / (n * n));

function distanceLift(name, n, at) {
  const found = read(name, at);
  const over = (values) => values && Array.from(values, (mass, d) => mass / shareAt(d, n));
  return { mean: over(found.mean), low: over(found.low), high: over(found.high), note: found.note };
}

const liftAxis = () => axis("attention over uniform", { type: "log", dtick: 1, exponentformat: "power" });

function distance() {
  const at = shown();
  const curves = [["mass_dt", "time (frames)", BLUE, "solid", 0], ["mass_dh", "rows", ORANGE, "dash", 1],
    ["mass_dw", "columns", GREEN, "dot", 2]].filter(([name]) => has(name));
  const found = curves.map(([name, , , , place]) => distanceLift(name, AXES.grid[place], at));
  if (!found.length || unknown(found[0].mean)) return { empty: NOT_RECORDED };
  return {
    traces: curves.flatMap(([, name, colour, dash], i) =>
      lineWithBand(wholeRange(found[i].mean.length), found[i], name, colour, dash)),
    note: found[0].note, label: `Attention against distance of ${headText(at)}`,
    layout: { xaxis: axis("distance (latent frames or tokens)"), yaxis: liftAxis(), showlegend: true,
      shapes: [levelLine(1)] },
  };
}

const rowsOf = (values, width, change = (value) => value) =>
  cells(values.length / width, width, (row, column) => change(values[row * width + column]));

function liftTrace(lift, decades, hovertemplate) {
  const z = lift.map((row) => row.map((value) => Math.log10(value)));
  return { type: "heatmap", z, customdata: lift, hovertemplate, ...liftColours(decades) };
}

function frameMass() {
  if (!has("frame_mass")) return { empty: LEFT_OUT };
  const at = shown();
  const frames = AXES.grid[0];
  const { mean, note } = read("frame_mass", at);
  if (unknown(mean)) return { empty: NOT_RECORDED };
  const lift = rowsOf(mean, frames, (value) => value * frames);
  return {
    traces: [liftTrace(lift, 1,
      "frame %{y} on frame %{x}<br>%{customdata:.3f} times uniform<extra></extra>")], note,
    label: `Frame by frame attention of ${headText(at)}`,
    layout: { xaxis: wholeAxis("key frame", frames), yaxis: rowsAxis("query frame", frames) },
  };
}

function entropySteps() {
  if (!has("entropy")) return { empty: LEFT_OUT };
  const at = shown();
  const { steps, heads } = DATA.fields.entropy;
  const series = (head) => steps.map((step) => numberAt("entropy", { ...at, head, step }));
  const own = series(at.head);
  if (unknown(own.map((one) => one.value))) return { empty: NOT_RECORDED };
  const others = wholeRange(heads ? AXES.heads : 0).filter((head) => head !== at.head).map((head) => ({
    x: steps, y: series(head).map((one) => one.value), name: `head ${head}`, mode: "lines",
    line: { color: transparent("#8a8a8a", 0.55), width: 1 },
    hovertemplate: `head ${head}<br>step %{x}: %{y:.3f}<extra></extra>`,
  }));
  const band = { mean: own.map((one) => one.value), low: own.map((one) => one.low),
    high: own.map((one) => one.high) };
  return {
    traces: [...others, ...lineWithBand(steps, band, `head ${at.head}`, BLUE)],
    label: `Entropy over steps of ${headText(at)}`,
    layout: { xaxis: stepsAxis(steps), yaxis: axis("entropy (nat)"),
      shapes: [levelLine(Math.log(AXES.tokens)), stepLine(at.step)] },
  };
}

function queryCosine() {
  if (!has("query_cosine")) return { empty: LEFT_OUT };
  const at = shown();
  const { mean, note } = read("query_cosine", at);
  const total = mean.reduce((sum, count) => sum + count, 0);
  if (!(total > 0)) return { empty: NOT_RECORDED };
  return {
    traces: [{
      type: "bar", x: Array.from(mean, (_, bin) => (bin + 0.5) / 32 - 1), y: Array.from(mean, (count) =>
        count / total),
      width: 1 / 32, marker: { color: BLUE },
        hovertemplate: "cosine %{x:.3f}<br>%{y:.4f} of the rows<extra></extra>",
    }],
    note, label: `Query cosines of ${headText(at)}`,
    layout: { xaxis: axis("cosine to the tile's centre", { range: [-1, 1] }),
      yaxis: axis("share of the rows"), bargap: 0 },
  };
}

// Frames of tiles side by side, in rows of them where there are many; blank lines between.
function keyMass() {
  if (!has("key_mass")) return { empty: LEFT_OUT };
  const at = shown();
  const { mean, note } = read("key_mass", at);
  if (unknown(mean)) return { empty: NOT_RECORDED };
  const [frames, height, width] = AXES.counts;
  const across = Math.min(frames, Math.ceil(Math.sqrt(frames * 2)));
  const size = [Math.ceil(frames / across) * (height + 1) - 1, across * (width + 1) - 1];
  const lift = cells(...size, () => NaN);
  const where = cells(...size, () => "");
  mean.forEach((mass, tile) => {
    const [t, h, w] = [Math.floor(tile / (height * width)), Math.floor(tile / width) % height, tile % width];
    const [row, column] = [Math.floor(t / across) * (height + 1) + h, (t % across) * (width + 1) + w];
    lift[row][column] = (mass * AXES.tokens) / AXES.tile_sizes[tile];
    where[row][column] =
      `tile ${tile} at ${t}, ${h}, ${w} (t, h, w)<br>${text(lift[row][column])} times uniform`
      + `<br>${text(mass, 5)} of all attention`;
  });
  const ticks = wholeRange(across);
  return {
    traces: [{ ...liftTrace(lift, 1, "%{text}<extra></extra>"), text: where, hoverongaps: false }], note,
    label: `Attention received by key tiles of ${headText(at)}`,
    layout: {
      xaxis: axis("frame of tiles (within each: w)", { tickvals: ticks.map((t) => t * (width + 1)
        + (width - 1) / 2),
        ticktext: ticks.map(String), showgrid: false, ticks: "" }),
      yaxis: axis("h", { showticklabels: false, ticks: "", showgrid: false, autorange: "reversed",
        scaleanchor: "x" }),
    },
  };
}

function tileMapPicture() {
  const at = shown();
  const found = tileMap(at);
  if (!found) return {
    empty: "No tile map of this layer was kept: profile --maps \"step=0,4 layer=* head=*\"." };
  if (unknown(found.lift)) return { empty: "No tile map of this head was kept." };
  const { call, size } = found;
  const branch = AXES.branches.find((one) => one.number === call.branch);
  const scale = DATA.maps.tiles_a_cell > 1 ? ` (runs of ${DATA.maps.tiles_a_cell} tiles)` : "";
  const hover = "query tile %{y} on key tile %{x}<br>%{customdata:.3f} times uniform<extra></extra>";
  return {
    traces: [liftTrace(rowsOf(found.lift, size), 2, hover)],
    note: `Prompt ${call.prompt}, ${branch ? `${branch.name} branch, ` : ""}step ${call.step}`
      + `${call.step === at.step ? "" : ", the nearest kept map"}.`,
    label: `Tile map of ${headText(at)}`,
    layout: { xaxis: wholeAxis(`key tile${scale}`, size), yaxis: rowsAxis(`query tile${scale}`, size) },
  };
}
