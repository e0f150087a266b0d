// What was profiled, what it says, what it lacks.

function startOverview() {
  const view = byId("view-overview");
  if (DATA.findings.length) {
    view.append(element("nav", { class: "contents", "aria-label": "Findings" }, ...DATA.findings.map(findingLink)));
  }
  view.append(element("h3", {}, "What was profiled"),
    element("div", { class: "tables" }, factsList(DATA.profiled), promptsTable()));
  for (const finding of DATA.findings) {
    view.append(element("h3", { id: `finding-${finding.key}` }, finding.title),
      ...finding.sentences.map((sentence) => element("p", { class: "finding" }, sentence)));
    const tables = element("div", { class: "tables" });
    for (const spec of finding.tables) tables.append(makeTable(spec));
    view.append(tables);
  }
  if (!DATA.findings.length) {
    view.append(element("h3", {}, "Findings"), element("p", { class: "note" },
      "No findings were given: `summary RUN.h5 --json` makes them, `report --summary FILE` shows them."));
  }
  view.append(element("h3", { id: "lacking" }, "What is not told"), ...lackingLists());
  view.append(element("details", {}, element("summary", {},
    "Everything that the profile says of its making"), factsList(DATA.manifest)));
}

function findingLink(finding) {
  const target = `finding-${finding.key}`;
  const jump = (event) => {
    event.preventDefault();
    goTo(byId(target));
  };
  return element("a", { href: `#${target}`, onclick: jump }, finding.title);
}

function promptsTable() {
  return makeTable({
    title: "Prompts", note: "", more: "",
    columns: [column("prompt", 0), column("words", 0)],
    rows: AXES.prompts.map((prompt) => [prompt.number, prompt.words]),
  });
}

function lackingLists() {
  const lists = [];
  const add = (intro, items) => {
    if (items.length) lists.push(element("p", {}, intro),
      element("ul", {}, ...items.map((item) => element("li", {}, item))));
  };
  add("This page could also show:", DATA.lacking);
  add("The profile does not tell:", DATA.not_told.map((one) => `${one.finding}: ${one.reason}`));
  add("To keep the page small, it holds less than the profile:", DATA.left_out);
  if (!lists.length) lists.push(element("p", {},
    "Nothing: the page holds all that it can show of this profile."));
  return lists;
}
