// The two heat maps that select: layer by head, and layer by step.

const MAP_MARGINS = { l: 40, r: 8, t: 4, b: 70 };
const BAR_BELOW = 34; // pixels: beneath the axis' title

// Colours of a number: one range for all steps and branches, logarithmic for shares that must be told apart.
function numberColours(stat) {
  const [low, high] = DATA.fields[stat].range;
  const inner = mapHeight(AXES.layers) - MAP_MARGINS.t - MAP_MARGINS.b;
  const below = {
    orientation: "h", x: 0.5, y: -BAR_BELOW / inner, yanchor: "top", len: 1, thickness: 8,
    title: { text: DATA.terms[stat].unit || DATA.terms[stat].name, side: "bottom", font: { size: 11 } },
  };
  if (!needsRecall(stat)) {
    const colorbar = bar("", { ...below, nticks: 5 });
    return { scale: (value) => value, colours: { ...CIVIDIS, zmin: low, zmax: high > low ? high : low + 1,
      colorbar } };
  }
  const ticks = [1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1].filter((tick) => tick >= low * 0.9);
  const colorbar = bar("", { ...below, tickvals: ticks.map(Math.log10), ticktext: ticks.map(fractionText) });
  return { scale: Math.log10, colours: { ...CIVIDIS, zmin: Math.log10(Math.min(low, 0.5) * 0.9), zmax: 0,
    colorbar } };
}

// values [layer][column], hover texts alike -> what both maps share.
function numberMap(values, hover, columns, more) {
  const { scale, colours } = numberColours(state.stat);
  return {
    type: "heatmap", z: values.map((row) => row.map(scale)), customdata: values, text: hover, ...colours,
      ...more,
    hovertemplate: "%{text}<extra></extra>", hoverongaps: false, xgap: columns <= 16 ? 2 : 0,
      ygap: AXES.layers <= 24 ? 2 : 0,
  };
}

const mapLayout = (xaxis, frame) => ({
  xaxis, yaxis: rowsAxis("layer", AXES.layers), margin: MAP_MARGINS, dragmode: false,
    shapes: cellFrame(...frame),
});

function headMap() {
  const { stat } = state;
  const columns = DATA.fields[stat].heads ? AXES.heads : 1;
  const found = read(stat, { ...shown(), layer: undefined, head: undefined });
  const width = found.mean.length / (AXES.layers * columns);
  const pick = (values, layer, head) => (values ? values[(layer * columns + head) * width
    + recallPlace(stat)] : NaN);
  const values = cells(AXES.layers, columns, (layer, head) => pick(found.mean, layer, head));
  const hover = cells(AXES.layers, columns, (layer, head) => {
    const range = rangeText({ low: pick(found.low, layer, head), high: pick(found.high, layer, head) });
    return `layer ${layer}, head ${head}<br>${text(values[layer][head])}${range && ` (${range})`}`;
  });
  return {
    traces: [numberMap(values, hover, columns)], note: found.note,
    layout: mapLayout(wholeAxis("head", columns), [columns > 1 ? state.head : 0, state.layer]),
    label: `Heat map, layer by head: ${statText()} at step ${state.step}. Selected: layer ${state.layer}, `
      + `head ${state.head}, ${peekValue(stat)}. Arrow keys move.`,
  };
}

function stepMap() {
  const name = `${state.stat}/heads`;
  if (!has(name)) return { empty: "Left out of this page." };
  const { steps } = DATA.fields[name];
  const found = steps.map((step) => read(name, { ...shown(), step, layer: undefined, head: undefined }));
  const width = found[0].mean.length / AXES.layers;
  const quantile = (layer, place, which) => found[place].mean[layer * width + recallPlace(state.stat) * 3
    + which];
  const values = cells(AXES.layers, steps.length, (layer, place) => quantile(layer, place, 1));
  const hover = cells(AXES.layers, steps.length, (layer, place) =>
    `layer ${layer}, step ${stepText(steps[place])}`
    + `<br>median head ${text(values[layer][place])}`
    + `<br>5 % ${text(quantile(layer, place, 0))}, 95 % ${text(quantile(layer, place, 2))}`);
  return {
    traces: [numberMap(values, hover, steps.length, { x: steps.map((step) => AXES.steps.indexOf(step)) })],
    layout: mapLayout(wholeAxis("denoising step (0: noise)", AXES.steps.length, stepTicks()),
      [AXES.steps.indexOf(state.step), state.layer]),
    label: `Heat map, layer by step: median over heads of ${statText()}. Selected: layer ${state.layer}, `
      + `step ${state.step}. Arrow keys move.`,
    note: found[0].note,
  };
}

// Recorded steps stand side by side and bear their own numbers.
function stepTicks() {
  const every = Math.max(1, Math.ceil(AXES.steps.length / 10));
  const places = wholeRange(AXES.steps.length).filter((i) => i % every === 0);
  return { tickmode: "array", tickvals: places, ticktext: places.map((i) => String(AXES.steps[i])) };
}
