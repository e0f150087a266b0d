// Error against density and time of many plans, and what kernels cost.

const methodName = (method) => (DATA.colours.methods[method] || { label: method }).label;
const methodColour = (method) => (DATA.colours.methods[method] || { colour: inks().ink }).colour;

function startSweep() {
  if (!DATA.sweep && !DATA.costs) return;
  const view = byId("view-sweep");
  const grid = element("div", { class: "pictures" });
  view.append(grid);
  if (DATA.sweep) {
    const density = (point) => point.density;
    const time = (point) => point.sparse_ms / point.dense_ms;
    const sides = [["sweep_density", density, "measured density"], ["sweep_time", time, "time over dense attention"]];
    for (const [key, across, title] of sides) {
      addPicture(grid, key, (width) => sweepPicture(across, title, width), { size: "wide" });
    }
    view.append(...(DATA.sweep.notes || []).map((note) => element("p", { class: "note" }, note)),
      sweepTable());
  }
  if (DATA.costs) {
    const { shape, machine } = DATA.costs;
    addPicture(grid, "costs", costsPicture, { size: "wide", height: 380 });
    view.append(element("p", { class: "note" }, [`Costs: ${shape.heads} heads of ${shape.head_dim} channels`,
      `grid ${shape.grid.join(" x ")}`, shape.dtype, `${DATA.costs.threads} threads`, machine.cpu,
      `dense ${text(DATA.costs.dense_ms, 2)} ms.`].join(", ")));
  }
}

function sweepTable() {
  return makeTable({
    title: "Plans of the sweep", note: "Errors are those of the transformer's output on held-out prompts.",
      more: "",
    columns: [column("method", 0), column("kind", 0), column("asked"), column("density", 3, "density"),
      column("error", 3, "output_rel_l2"), column("dense (ms)", 1), column("sparse (ms)", 1),
        column("speed-up", 2, "speedup"),
      column("knee", 0)],
    rows: DATA.sweep.points.map((point) => [methodName(point.method), point.kind, point.asked, point.density,
      { value: point.error, low: point.error_low, high: point.error_high }, point.dense_ms, point.sparse_ms,
        point.speedup,
      point.knee ? "knee" : ""]),
  }, { heading: "h3", placed: false });
}

// Lines of one method share its colour and differ in dash and marker.
const kindsOf = (method) =>
  [...new Set(DATA.sweep.points.filter((point) => point.method === method).map((point) => point.kind))];

function sweepLine(points, across) {
  const [{ method, kind }] = points;
  const sorted = [...points].sort((a, b) => across(a) - across(b));
  const place = kindsOf(method).indexOf(kind);
  const name = `${methodName(method)} ${kind.replace(":", ", ")}`;
  return {
    x: sorted.map(across), y: sorted.map((point) => point.error), name, mode: "lines+markers",
    line: { color: methodColour(method), dash: DASHES[place % DASHES.length], width: kind === "derived" ? 2.4
      : 1.2 },
    marker: { symbol: MARKERS[place % MARKERS.length], size: 7 },
    error_y: { type: "data", symmetric: false, thickness: 0.8, width: 2, array: sorted.map((point) =>
      point.error_high - point.error),
      arrayminus: sorted.map((point) => point.error - point.error_low) },
    text: sorted.map((point) => `asked ${point.asked}, speed-up ${text(point.speedup, 2)}`),
    hovertemplate: `${name}<br>%{text}<br>%{x:.3f}: error %{y:.4f}<extra></extra>`,
  };
}

function sweepPicture(across, title, width) {
  const groups = new Map();
  for (const point of DATA.sweep.points) {
    const key = `${point.method} ${point.kind}`;
    groups.set(key, [...(groups.get(key) || []), point]);
  }
  const most = Math.max(...DATA.sweep.points.map((point) => point.error_high));
  const beside = width > 600; // room for the legend
  const traces = [...groups.values()].map((points) => sweepLine(points, across));
  const knees = DATA.sweep.points.filter((point) => point.knee);
  traces.push({
    x: knees.map(across), y: knees.map((point) => point.error), name: "knee", mode: "markers",
      hoverinfo: "skip",
    marker: { symbol: "circle-open", size: 15, color: inks().ink, line: { width: 1.5 } },
  });
  return {
    traces, label: `Error of the model's output against ${title}, ${groups.size} lines`,
    height: beside ? 380 : 300 + 19 * groups.size,
    layout: {
      xaxis: axis(title, { rangemode: "tozero" }),
      yaxis: axis("relative L2 of the output", { range: [0, 1.05 * most] }),
      showlegend: true, legend: beside ? { x: 1.02, y: 1, font: { size: 11 } }
        : { orientation: "h", x: 0, y: -0.22, yanchor: "top", font: { size: 11 } },
    },
  };
}

function seriesName(series) {
  if (series.method === "bsa") return `BSA, ${series.query_keep === 1 ? "all" : series.query_keep} queries`;
  return series.method === "vmoba" ? `VMoBA ${series.partition}` : methodName(series.method);
}

function costsPicture() {
  const dense = DATA.costs.dense_ms;
  const own = DATA.costs.series.filter((one) => one.method !== "vmoba" || (one.select === "topk"
    && one.pool === "query_head"));
  const traces = own.map((series, i) => ({
    x: series.points.map((point) => point.density),
    y: series.points.map((point) => (point.selection_ms + point.kernel_ms) / dense),
      name: seriesName(series), mode: "lines+markers",
    line: { color: series.method === "vmoba" ? LINE[2 + (i % 4)] : methodColour(series.method),
      dash: DASHES[i % DASHES.length], width: 1.6 },
    marker: { symbol: MARKERS[i % MARKERS.length], size: 6 },
    text: series.points.map((point) =>
      `selection ${text(point.selection_ms, 2)} ms, kernel ${text(point.kernel_ms, 2)} ms`),
    hovertemplate: `${seriesName(series)}<br>%{text}<br>density %{x:.3f}: %{y:.3f} times dense<extra></extra>`,
  }));
  return {
    traces: [...traces, randomLine([0, 1], [0, 1], "ideal")], note: "VMoBA: top-k, pool query_head.",
    label: "Time of one attention call over dense attention, against density",
    layout: { xaxis: axis("density", { range: [0, 1.02] }), yaxis: axis("time over dense attention",
      { rangemode: "tozero" }),
      showlegend: true, shapes: [levelLine(1)] },
  };
}
