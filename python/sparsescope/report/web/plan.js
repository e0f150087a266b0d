// What a plan keeps: dense heads are crossed.

function startPlan() {
  if (!DATA.plans.length) return;
  const tools = element("div", { class: "toolbar" });
  const facts = element("div");
  const grid = element("div", { class: "pictures" });
  const table = makeTable(planSpec(), { heading: "h3" });
  byId("view-plan").append(tools, facts, grid, table);
  if (DATA.plans.length > 1) {
    const names = DATA.plans.map((plan, i) => [i, plan.name]);
    tools.append(chooser("Plan", names, state.plan, (value) => select({ plan: Number(value) })));
  }
  const spans = [["mean", "the mean over steps"], ["step", "the step of the slider"]];
  tools.append(chooser("Cells show", spans, state.planStep, (value) => select({ planStep: value })));
  addPicture(grid, "plan_density", planHeads, {
    height: mapHeight(DATA.plans[0].layers), keyboard: moveCell, click: (point) =>
      select({ ...cellOf(point), hover: null }),
    hover: (point) => previewHead(point && cellOf(point)),
  });
  addPicture(grid, "plan_steps", planSteps, {
    height: mapHeight(DATA.plans[0].layers), keyboard: moveCell, click: (point) =>
      select({ layer: point.y, step: point.x }),
  });
  const update = (changed) => {
    if (changed.has("hover") && changed.size === 1) return;
    const plan = DATA.plans[state.plan];
    if (changed.has("plan")) facts.replaceChildren(...planFacts(plan));
    if (["plan", "step"].some((key) => changed.has(key))) table.update(planRows(plan));
    refresh(["plan_density", "plan_steps"]);
  };
  onSelect(update);
  update(new Set(["plan"]));
}

function planFacts(plan) {
  const expected = Object.entries(plan.expected).map(([name, { value, ...range }]) =>
    [`expected ${name}`, `${text(value)} (${rangeText(range)})`]);
  const stated = plan.facts.filter(([name]) => name !== "remark");
  const remarks = plan.facts.filter(([name]) => name === "remark").map(([, words]) => element("li", {},
    words));
  const list = factsList([["method", methodName(plan.method)], ...expected, ...stated]);
  if (!remarks.length) return [list];
  return [list, element("details", { class: "inset" }, element("summary", {}, "How it was derived"),
    element("ul", {}, ...remarks))];
}

const planSpec = () => ({
  title: "Settings by head", more: "", rows: [],
  note: "The setting in force at the slider's step, and the pairs that it computes there and over all steps.",
  columns: [column("head", 0), column("setting", 0), column("density", 3, "plan_density"),
    column("mean over steps"),
    column("dense steps", 0)],
});

// The plan's step of the slider's: a plan of fewer steps keeps its last one beyond its end.
const planStepOf = (plan) => Math.min(state.step, plan.steps - 1);
const densityAt = (plan, step, layer, head) => block(plan.density, [step, layer, head])[0];
const settingAt = (plan, step, layer, head) => block(plan.setting, [step, layer, head])[0];
const isDense = (plan, step, layer, head) => settingAt(plan, step, layer, head) === 0;
const meanOver = (count, value) => wholeRange(count).reduce((sum, i) => sum + value(i), 0) / count;

function planRows(plan) {
  const step = planStepOf(plan);
  return wholeRange(plan.layers).flatMap((layer) => wholeRange(plan.heads).map((head) => [
    { layer, head }, plan.settings[settingAt(plan, step, layer, head)], densityAt(plan, step, layer, head),
    meanOver(plan.steps, (one) => densityAt(plan, one, layer, head)),
    wholeRange(plan.steps).filter((one) => isDense(plan, one, layer, head)).length,
  ]));
}

function planMap(plan, values, dense, hover, xaxis, column) {
  const marks = [];
  dense.forEach((row, y) => row.forEach((is, x) => is && marks.push([x, y])));
  return {
    traces: [
      { type: "heatmap", z: values, ...CIVIDIS, zmin: 0, zmax: 1, colorbar: bar("pairs computed"), xgap: 1,
        ygap: 1,
        text: hover, hovertemplate: "%{text}<extra></extra>", hoverongaps: false },
      { type: "scatter", x: marks.map(([x]) => x), y: marks.map(([, y]) => y), name: "dense", mode: "markers",
        marker: { symbol: "x-thin", size: 8, line: { width: 1.5, color: "#222222" } }, hoverinfo: "skip" }],
    layout: { xaxis, yaxis: rowsAxis("layer", plan.layers), dragmode: false, shapes: cellFrame(column,
      state.layer) },
  };
}

function planHeads() {
  const plan = DATA.plans[state.plan];
  const steps = state.planStep === "mean" ? wholeRange(plan.steps) : [planStepOf(plan)];
  const span = steps.length > 1 ? "mean over steps" : `step ${steps[0]}`;
  const values = cells(plan.layers, plan.heads, (layer, head) => meanOver(steps.length,
    (i) => densityAt(plan, steps[i], layer, head)));
  const dense = cells(plan.layers, plan.heads, (layer, head) => steps.every((step) => isDense(plan, step,
    layer, head)));
  const hover = cells(plan.layers, plan.heads, (layer, head) =>
    `layer ${layer}, head ${head}<br>density ${text(values[layer][head])}`
    + `<br>${steps.length > 1 ? span : plan.settings[settingAt(plan, steps[0], layer, head)]}`);
  return {
    ...planMap(plan, values, dense, hover, wholeAxis("head", plan.heads), state.head),
    label: `Plan ${plan.name}, layer by head: share of pairs computed, ${span}`,
  };
}

function planSteps() {
  const plan = DATA.plans[state.plan];
  const heads = wholeRange(plan.heads);
  const values = cells(plan.layers, plan.steps, (layer, step) => meanOver(plan.heads, (head) =>
    densityAt(plan, step, layer, head)));
  const dense = cells(plan.layers, plan.steps, (layer, step) => heads.every((head) => isDense(plan, step,
    layer, head)));
  const hover = cells(plan.layers, plan.steps, (layer, step) =>
    `layer ${layer}, step ${step}<br>mean density ${text(values[layer][step])}`);
  return {
    ...planMap(plan, values, dense, hover, wholeAxis("denoising step (0: noise)", plan.steps),
      planStepOf(plan)),
    label: `Plan ${plan.name}, layer by step: mean share of pairs computed over heads`,
  };
}
