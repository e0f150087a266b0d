// What is selected. It lives in the address (#view=head&layer=2...), so that a view can be linked.

const VIEWS = [
  { key: "overview", name: "Overview" },
  { key: "head", name: "Head" },
  { key: "layer", name: "Layer" },
  { key: "heads", name: "All heads" },
  { key: "plan", name: "Plan", needs: () => DATA.plans.length },
  { key: "validation", name: "Validation", needs: () => DATA.validations.length },
  { key: "sweep", name: "Sweep", needs: () => DATA.sweep || DATA.costs },
  { key: "videos", name: "Videos", needs: () => DATA.videos.length },
  { key: "definitions", name: "Definitions" },
].filter((view) => !view.needs || view.needs());

// Numbers that a heat map can show: those of the page's terms that are fields.
const STATS = ["needed_tile", "needed_pooled", "needed_row", "entropy", "entropy_share", "row_overlap",
  "query_cosine_mean", "own_frame", "sink_share", "error_quarter", "sensitivity", "skewness", "kurtosis",
  "prefix_mass"].filter((name) => has(name) && (DATA.fields[name].range || []).some((end) => end !== 0));
const needsRecall = (stat) => stat.startsWith("needed_");

const defaults = {
  view: "overview", layer: AXES.start.layer, head: AXES.start.head, step: AXES.steps[Math.floor(AXES.steps.length / 2)],
  branch: AXES.branches[0].number, prompt: "mean", stat: STATS[0],
  recall: AXES.targets.includes(0.9) ? 0.9 : AXES.targets[0],
  rule: "topk", plan: 0, planStep: "mean", report: 0, video: 0, frame: 0,
};
const state = { ...defaults, hover: null };
const listeners = [];

const allowed = {
  view: (value) => VIEWS.some((view) => view.key === value),
  layer: (value) => Number.isInteger(value) && value >= 0 && value < AXES.layers,
  head: (value) => Number.isInteger(value) && value >= 0 && value < AXES.heads,
  step: (value) => AXES.steps.includes(value),
  branch: (value) => AXES.branches.some((one) => one.number === value),
  prompt: (value) => value === "mean" || AXES.prompts.some((one) => one.number === value),
  stat: (value) => STATS.includes(value),
  recall: (value) => AXES.targets.includes(value),
  rule: (value) => ["topk", "tau"].includes(value),
  plan: (value) => value in DATA.plans,
  planStep: (value) => ["mean", "step"].includes(value),
  report: (value) => value in DATA.validations,
  video: (value) => value in DATA.videos,
  frame: (value) => Number.isInteger(value) && value >= 0,
};

// Only allowed values are taken; listeners hear of what really changed.
function select(changes) {
  const changed = Object.keys(changes).filter((key) =>
    key === "hover" ? !sameHead(changes.hover, state.hover) : allowed[key](changes[key])
      && changes[key] !== state[key]);
  if (!changed.length) return;
  for (const key of changed) state[key] = changes[key];
  if (changed.some((key) => key !== "hover")) writeAddress();
  for (const listener of listeners) listener(new Set(changed));
}

const onSelect = (listener) => listeners.push(listener);
const sameHead = (a, b) => (a && a.layer) === (b && b.layer) && (a && a.head) === (b && b.head);

// The head that pictures show: the one pointed at, else the selected one.
function shown() {
  const { layer, head } = state.hover || state;
  return { layer, head, step: state.step, branch: state.branch, prompt: state.prompt };
}

const recallPlace = (stat) => (needsRecall(stat) ? AXES.targets.indexOf(state.recall) : 0);

function writeAddress() {
  const words = Object.keys(defaults).filter((key) => state[key] !== defaults[key] || ["view", "layer",
    "head"].includes(key));
  const parts = new URLSearchParams(words.map((key) => [key, state[key]]));
  history.replaceState(null, "", `#${parts}`);
}

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const changes = {};
  for (const key of Object.keys(defaults)) {
    if (!given.has(key)) continue;
    const word = given.get(key);
    changes[key] = typeof defaults[key] === "number" || (key === "prompt" && word !== "mean") ? Number(word)
      : word;
  }
  select(changes);
}

function stepText(step) {
  const sigma = AXES.sigma[step];
  return sigma === undefined || sigma === null ? `${step}` : `${step} (noise level ${Number(sigma.toPrecision(3))})`;
}

function statText(stat = state.stat) {
  const term = DATA.terms[stat];
  return needsRecall(stat) ? `${term.name}, recall ${state.recall}` : term.name;
}

// What every picture on the left stands for, in words; printed as well.
function stateText() {
  const branch = AXES.branches.length > 1
    ? `${AXES.branches.find((one) => one.number === state.branch).name} branch, ` : "";
  const prompt = state.prompt === "mean"
    ? (AXES.prompts.length > 1 ? `mean over ${AXES.prompts.length} prompts` : "one prompt")
    : `prompt ${state.prompt}`;
  return `Layer ${state.layer}, head ${state.head}, step ${stepText(state.step)}, ${branch}${prompt}`;
}
