// What validation reports measured on held-out prompts.

const METRIC_TERMS = {
  density: "density", recall: "recall", rel_l2: "rel_l2", rel_l1: "rel_l1", cosine: "cosine",
    output_rel_l2: "output_rel_l2",
  psnr_latent: "psnr", psnr_pixel: "psnr", ssim_latent: "ssim", ssim_pixel: "ssim", speedup: "speedup",
};
const metricDigits = (metric) => (metric.startsWith("psnr") || metric.endsWith("_ms") || metric === "speedup"
  ? 2 : 3);
const metricName = (metric) => metric.replace(/_ms$/, " (ms)").replace(/_/g, " ").replace(/rel l/, "relative L")
  .replace(/(psnr|ssim)/, (name) => name.toUpperCase()).replace("speedup", "speed-up");
const metricColumn = (metric) => column(metricName(metric), metricDigits(metric), METRIC_TERMS[metric] || "");
const placeOf = ({ layer, head }) => ({ layer, head });
const ownReport = () => DATA.validations[state.report];

function startValidation() {
  if (!DATA.validations.length) return;
  const tools = element("div", { class: "toolbar" });
  const words = element("p", { class: "finding", id: "report-words" });
  const grid = element("div", { class: "pictures" });
  const misleads = makeTable(misleadSpec(), { heading: "h3" });
  const heads = makeTable(errorSpec(), { heading: "h3" });
  const clips = element("div");
  byId("view-validation").append(summaryTable(), requirementsTable(), tools, words, grid, misleads, heads,
    clips);
  if (DATA.validations.length > 1) {
    const names = DATA.validations.map((one, i) => [i, one.name]);
    tools.append(chooser("Report", names, state.report, (value) => select({ report: Number(value) })));
  }
  const height = mapHeight(AXES.layers);
  addPicture(grid, "validation_error", errorMap, {
    height, keyboard: moveCell, click: (point) => select({ ...cellOf(point), hover: null }),
    hover: (point) => previewHead(point && cellOf(point)),
  });
  addPicture(grid, "mass_error", massError, {
    height, click: (point) => select({ ...point.customdata, hover: null }), hover: (point) =>
      previewHead(point && point.customdata),
  });
  if (DATA.validations.some((one) => Object.keys(one.removal).length)) addPicture(grid, "removal", removal,
    { size: "wide" });
  const update = (changed) => {
    if (changed.has("report")) {
      const report = ownReport();
      words.textContent = reportWords(report);
      const by = [...report.heads].sort((a, b) => Math.abs(b.misleads) - Math.abs(a.misleads));
      misleads.update(by.slice(0, 10).map((one) => [placeOf(one), one.missed, one.missed_rank, one.rel_l2,
        one.error_rank,
        one.misleads > 0 ? "better" : "worse"]));
      heads.update(report.heads.map((one) => [placeOf(one), one.density, one.recall, one.missed, one.rel_l2,
        one.rel_l1,
        one.cosine, one.infinite]));
      clips.replaceChildren(...(report.clips.length ? [clipsTable(report.clips)] : []));
    }
    if (!(changed.has("hover") && changed.size === 1)) refresh(["validation_error", "mass_error", "removal"]);
  };
  onSelect(update);
  update(new Set(["report"]));
}

function reportWords(report) {
  return `${report.name}: ${report.heads.length} heads on ${report.prompts.length} held-out prompts. Rank correlation of `
    + `missed mass and error: ${text(report.correlation)} (1: recall ranks heads as the error does, 0: chance).`;
}

function summaryTable() {
  const metrics = Object.keys(DATA.validations[0].summary);
  const cell = (one, metric) => {
    const [value, low, high] = one.summary[metric] || [null, null, null];
    return { value, low, high };
  };
  return makeTable({
    title: "Reports",
      note: "Means over held-out prompts with their 95 % intervals; times are medians of one forward pass.",
    more: "", columns: [column("report", 0), ...metrics.map(metricColumn)],
    rows: DATA.validations.map((one) => [one.name, ...metrics.map((metric) => cell(one, metric))]),
  }, { heading: "h3", placed: false });
}

function requirementsTable() {
  const rows = DATA.validations.flatMap((one) => one.requirements.map((required) => [one.name,
    metricName(required.name),
    `${required.comparison} ${required.bound}`, required.value, required.holds ? "holds" : "MISSED"]));
  if (!rows.length) {
    return element("p", { class: "note" },
      "Nothing was required of these plans: validate --require \"psnr>=28 rel_l2<=0.1\" does.");
  }
  const columns = [column("report", 0), column("metric", 0), column("required", 0), column("measured", 4),
    column("verdict", 0)];
  return makeTable({ title: "Requirements", note: "", more: "", rows, columns },
    { heading: "h3", placed: false });
}

const misleadSpec = () => ({
  title: "Heads whose recall misleads", more: "", rows: [],
  note: "The ten whose rank by missed mass is furthest from their rank by error. Ranks: 0 least, 1 most.",
  columns: [column("head", 0), column("missed mass"), column("its rank"), column("relative L2", 3, "rel_l2"),
    column("its rank "),
    column("recall makes it look", 0)],
});

const errorSpec = () => ({
  title: "Errors by head", more: "", rows: [],
    note: "Means over held-out prompts, branches and steps. Infinite errors (a dense "
    + "output of zero) stand in no mean and are counted.",
  columns: [column("head", 0), column("density", 3, "density"), column("recall", 3, "recall"),
    column("missed mass"),
    column("relative L2", 3, "rel_l2"), column("relative L1", 3, "rel_l1"), column("cosine", 3, "cosine"),
      column("infinite", 0)],
});

function clipsTable(clips) {
  const keys = Object.keys(clips[0]).filter((key) => typeof clips[0][key] === "number");
  return makeTable({
    title: "Clips", more: "",
      note: "Each held-out prompt's video by itself: clips differ more than settings do, so compare pairs.",
    columns: keys.map((key) => (key === "prompt" ? column("prompt", 0) : metricColumn(key))),
    rows: clips.map((clip) => keys.map((key) => clip[key])),
  }, { heading: "h3", placed: false });
}

function errorMap() {
  const report = ownReport();
  const size = [1 + Math.max(...report.heads.map((one) => one.layer)),
    1 + Math.max(...report.heads.map((one) => one.head))];
  const z = cells(...size, () => null);
  const hover = cells(...size, () => "");
  for (const one of report.heads) {
    z[one.layer][one.head] = one.rel_l2;
    hover[one.layer][one.head] = `layer ${one.layer}, head ${one.head}<br>relative L2 ${text(one.rel_l2)}`
      + `<br>recall ${text(one.recall)}, density ${text(one.density)}`;
  }
  return {
    traces: [{ type: "heatmap", z, text: hover, hovertemplate: "%{text}<extra></extra>", ...CIVIDIS, zmin: 0,
      zmax: Math.max(...report.heads.map((one) => one.rel_l2)), colorbar: bar("relative L2"), xgap: 1,
        ygap: 1, hoverongaps: false }],
    layout: { xaxis: wholeAxis("head", size[1]), yaxis: rowsAxis("layer", size[0]), dragmode: false,
      shapes: cellFrame(state.head, state.layer) },
    label: `Report ${report.name}, layer by head: relative L2 error`,
  };
}

function massError() {
  const report = ownReport();
  const pick = (chosen, other) => report.heads.map((one) => (one.layer === state.layer
    && one.head === state.head ? chosen : other));
  return {
    traces: [{
      type: "scatter", mode: "markers", name: "heads", x: report.heads.map((one) => one.missed),
      y: report.heads.map((one) => one.rel_l2), customdata: report.heads.map(placeOf),
      text: report.heads.map((one) => `layer ${one.layer}, head ${one.head}`),
      marker: { color: pick(ORANGE, BLUE), size: pick(12, 7), symbol: pick("diamond", "circle"),
        opacity: 0.85 },
      hovertemplate: "%{text}<br>missed mass %{x:.4f}<br>relative L2 %{y:.4f}<extra></extra>",
    }],
    layout: { xaxis: axis("missed mass (1 - recall)"), yaxis: axis("relative L2 of the output",
      { rangemode: "tozero" }) },
    label: `Report ${report.name}: missed mass against relative L2 error of every head`,
    note: `Rank correlation ${text(report.correlation)}.`,
  };
}

function removal() {
  const found = ownReport().removal;
  const kinds = [["layers", "layer", BLUE], ["steps", "step", ORANGE]].filter(([key]) => found[key]
    && found[key].length);
  if (!kinds.length) return { empty: "This report has no removals: validate --removal layers,steps." };
  const bars = ([key, name, colour]) => ({
    type: "bar", name: `one ${name} sparse`, x: found[key].map((one) => one[name]),
      y: found[key].map((one) => one.latent_rel_l2),
    error_y: { type: "data", symmetric: false, thickness: 1,
      array: found[key].map((one) => (one.latent_rel_l2_high ?? one.latent_rel_l2) - one.latent_rel_l2),
      arrayminus: found[key].map((one) => one.latent_rel_l2 - (one.latent_rel_l2_low ?? one.latent_rel_l2)) },
    marker: { color: colour }, hovertemplate: `${name} %{x}<br>relative L2 %{y:.4f}<extra></extra>`,
  });
  return {
    traces: kinds.map(bars), label: "Error of the final latents when one layer or one step alone is sparse",
    layout: { xaxis: axis("layer or step"), yaxis: axis("relative L2 of the final latents"),
      barmode: "group", showlegend: true },
  };
}
