// One box finds layers, heads, steps, numbers, pictures, findings, definitions and prompts.

const PLACES = [
  [/^l(?:ayer)?\s*(\d+)[\s,.]*h(?:ead)?\s*(\d+)$/i, (layer, head) => goHead(layer, head)],
    [/^(\d+)[.,\s]+(\d+)$/, (layer, head) => goHead(layer, head)],
  [/^l(?:ayer)?\s*(\d+)$/i, (layer) => layer < AXES.layers && { kind: "layer", name: `Layer ${layer}`,
    go: () => select({ view: "layer", layer }) }],
  [/^s(?:tep)?\s*(\d+)$/i, (step) => AXES.steps.includes(step) && { kind: "step",
    name: `Step ${stepText(step)}`, go: () => select({ step }) }],
];

function goHead(layer, head) {
  return layer < AXES.layers && head < AXES.heads && { kind: "head", name: `Layer ${layer}, head ${head}`,
    go: () => select({ view: "head", layer, head, hover: null }) };
}

let entries = null;
function searchEntries() {
  if (entries) return entries;
  entries = VIEWS.map((view) => ({ kind: "view", name: view.name, go: () => select({ view: view.key }) }));
  for (const stat of STATS) entries.push({ kind: "number", name: DATA.terms[stat].name, more: stat, go: () =>
    select({ stat }) });
  for (const key of pictures.keys()) entries.push({ kind: "picture", name: DATA.terms[key].name, more: key,
    go: () => goTo(byId(`picture-${key}`)) });
  for (const finding of DATA.findings) entries.push({ kind: "finding", name: finding.title, go: () =>
    goTo(byId(`finding-${finding.key}`)) });
  if (AXES.prompts.length > 1) for (const prompt of AXES.prompts) entries.push({ kind: "prompt",
    name: prompt.words, more: `prompt ${prompt.number}`, go: () => select({ prompt: prompt.number }) });
  AXES.layer_names.forEach((name, layer) => entries.push({ kind: "layer", name, more: `layer ${layer}`,
    go: () => select({ view: "layer", layer }) }));
  for (const [key, term] of Object.entries(DATA.terms)) entries.push({ kind: "definition", name: term.name,
    more: `${key} ${term.sentence}`, go: () => goTo(byId(`term-${key}`)) });
  return entries;
}

function find(words) {
  const wanted = words.trim().toLowerCase();
  if (!wanted) return [];
  const found = [];
  for (const [pattern, make] of PLACES) {
    const match = wanted.match(pattern);
    const entry = match && make(...match.slice(1).map(Number));
    if (entry) found.push(entry);
  }
  const parts = wanted.split(/\s+/);
  const scored = searchEntries().map((entry) => {
    const name = entry.name.toLowerCase();
    const hay = `${name} ${entry.more || ""} ${entry.kind}`.toLowerCase();
    if (!parts.every((part) => hay.includes(part))) return null;
    return { entry, score: name.startsWith(wanted) ? 0 : name.includes(wanted) ? 1 : 2 };
  }).filter(Boolean).sort((a, b) => a.score - b.score);
  return [...found, ...scored.map((one) => one.entry)].slice(0, 12);
}

// Brings an element into sight, in whichever view it is.
function goTo(target) {
  const view = target.closest(".view");
  if (view) select({ view: view.id.replace("view-", "") });
  target.scrollIntoView({ block: target.tagName === "H3" ? "start" : "center" });
  target.classList.add("found");
  setTimeout(() => target.classList.remove("found"), 1600);
}

function startSearch() {
  const [box, list] = [byId("search"), byId("found")];
  let results = [];
  let chosen = 0;
  const close = () => {
    list.hidden = true;
    box.setAttribute("aria-expanded", "false");
    box.removeAttribute("aria-activedescendant");
  };
  const take = (entry) => {
    close();
    box.value = "";
    box.blur();
    entry.go();
  };
  const mark = () => {
    [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === chosen)));
    if (results.length) box.setAttribute("aria-activedescendant", `found-${chosen}`);
  };
  box.addEventListener("input", () => {
    results = find(box.value);
    chosen = 0;
    list.replaceChildren(...results.map((entry, i) => element("li", { role: "option", id: `found-${i}`,
      onmousedown: (event) => {
      event.preventDefault();
      take(entry);
    } }, element("span", { class: "kind" }, entry.kind), ` ${entry.name}`)));
    if (!results.length && box.value.trim()) list.replaceChildren(element("li",
      { role: "option", "aria-disabled": "true" }, "Nothing found"));
    list.hidden = !box.value.trim();
    box.setAttribute("aria-expanded", String(!list.hidden));
    mark();
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      close();
      box.blur();
    } else if (event.key === "Enter" && results[chosen]) {
      event.preventDefault();
      take(results[chosen]);
    } else if (["ArrowDown", "ArrowUp"].includes(event.key) && results.length) {
      event.preventDefault();
      chosen = (chosen + (event.key === "ArrowDown" ? 1 : results.length - 1)) % results.length;
      mark();
    }
  });
  box.addEventListener("blur", close);
}
