// The left side: what number, where, and the two heat maps that select.

function startNavigator() {
  fillSelect("stat", STATS.map((name) => [name, DATA.terms[name].name]));
  fillSelect("recall", AXES.targets.map((value) => [value, String(value)]));
  fillSelect("branch", AXES.branches.map((one) => [one.number, one.name]));
  const prompts = AXES.prompts.map((one) => [one.number, `${one.number}: ${one.words}`]);
  fillSelect("prompt", [["mean", AXES.prompts.length > 1 ? `mean over ${AXES.prompts.length} prompts`
    : "the one recorded"],
    ...(AXES.prompts.length > 1 ? prompts : [])]);
  for (const name of ["stat", "recall", "branch", "prompt"]) {
    byId(name).addEventListener("change", (event) => {
      const word = event.target.value;
      select({ [name]: name === "stat" || word === "mean" ? word : Number(word) });
    });
  }
  const slider = byId("step");
  Object.assign(slider, { min: 0, max: AXES.steps.length - 1, step: 1 });
  slider.addEventListener("input", () => select({ step: AXES.steps[Number(slider.value)] }));
  byId("controls").addEventListener("submit", (event) => event.preventDefault());

  const parent = byId("navigator-charts");
  addPicture(parent, "map_heads", headMap, {
    size: "side", height: mapHeight(AXES.layers), keyboard: moveCell, hover: (point) => previewHead(point
      && cellOf(point)),
    click: (point) => select({ ...cellOf(point), hover: null }),
  });
  addPicture(parent, "map_steps", stepMap, {
    size: "side", height: mapHeight(AXES.layers), keyboard: moveCell,
    click: (point) => select({ layer: point.y, step: AXES.steps[point.x] }),
  });
  byId("peek").append(element("h3", { id: "peek-title" }),
    element("dl", { class: "facts", id: "peek-facts" }));
  onSelect(updateNavigator);
  updateNavigator(new Set(Object.keys(defaults)));
}

const cellOf = (point) => ({ layer: point.y, head: point.x });
const mapHeight = (rows) => Math.max(170, Math.min(430, 110 + rows * 16));

function fillSelect(id, options) {
  byId(id).replaceChildren(...options.map(([value, name]) => element("option", { value }, name)));
}

function updateNavigator(changed) {
  const moved = [...changed].some((key) => key !== "hover");
  if (moved) {
    for (const name of ["stat", "recall", "branch", "prompt"]) byId(name).value = String(state[name]);
    byId("recall").disabled = !needsRecall(state.stat);
    byId("branch").disabled = AXES.branches.length < 2;
    byId("prompt").disabled = AXES.prompts.length < 2;
    byId("step").value = AXES.steps.indexOf(state.step);
    byId("step-text").textContent = stepText(state.step);
    byId("step").setAttribute("aria-valuetext", `step ${stepText(state.step)}`);
    const { note } = numberAt(state.stat, shown(), recallPlace(state.stat));
    byId("state-line").textContent = `${stateText()}. ${statText()}: ${peekValue(state.stat)}. ${note}`.trim();
    markSelected();
  }
  if ([...changed].some((key) => ["layer", "head", "step", "branch", "prompt", "stat", "recall"].includes(
    key))) {
    refresh(["map_heads", "map_steps"]);
  }
  updatePeek();
}

function peekValue(stat, at = shown()) {
  const found = numberAt(stat, at, recallPlace(stat));
  const range = rangeText(found);
  return text(found.value) + (range ? ` (${range})` : "");
}

function updatePeek() {
  const at = shown();
  byId("peek-title").textContent = `Layer ${at.layer}, head ${at.head}${state.hover ? " (pointed at)" : ""}`;
  byId("peek-facts").replaceChildren(...STATS.filter((stat) => stat !== "entropy_share").slice(0, 9)
    .flatMap((stat) => [
    element("dt", {}, statText(stat)), element("dd", { "data-stat": stat }, peekValue(stat, at))]));
}

function moveCell(event) {
  const onSteps = event.currentTarget.dataset && event.currentTarget.dataset.key === "map_steps";
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  const move = moves[event.key];
  if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  event.stopPropagation();
  if (onSteps && move[1]) moveStep(move[1]);
  else select({ layer: state.layer + move[0], head: state.head + move[1], hover: null });
}

function moveStep(by) {
  const step = AXES.steps[AXES.steps.indexOf(state.step) + by];
  if (step !== undefined) select({ step });
}
