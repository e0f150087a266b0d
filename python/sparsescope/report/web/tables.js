// Tables: sorted by a click on a column's name, kept as numbers, written as text. A cell is a number, a text,
// null, {value, low, high}, or {layer, head}, which selects that head.

const column = (name, digits = 3, term = "") => ({ name, digits, term });
const isPlace = (cell) => cell !== null && typeof cell === "object" && "layer" in cell;
const sortValue = (cell) => {
  if (cell === null || cell === undefined) return null;
  if (typeof cell !== "object") return cell;
  return isPlace(cell) ? cell.layer * 1e6 + cell.head : cell.value;
};

// spec: {title, columns: [{name, digits, term}], rows, note, more}. Returns a figure; its update(rows, note)
// replaces rows and what stands below them.
function makeTable(spec, { heading = "h4", placed = true } = {}) {
  const order = { column: -1, down: false };
  let rows = spec.rows;
  const head = element("tr");
  const body = element("tbody");
  const table = element("table", { "aria-label": spec.title }, element("thead", {}, head), body);

  spec.columns.forEach((column, place) => {
    const sort = element("button", { type: "button", class: "sort", onclick: () => sortBy(place) },
      column.name.trim());
    const cell = element("th", { scope: "col" }, sort);
    if (column.term) cell.append(helpButton(column.term));
    head.append(cell);
  });

  const isNumeric = (place) => rows.some((row) => typeof sortValue(row[place]) === "number" && !isPlace(row[place]));

  function sortBy(place) {
    order.down = order.column === place ? !order.down : isNumeric(place); // large numbers first
    order.column = place;
    [...head.children].forEach((cell, i) => cell.setAttribute("aria-sort",
      i === place ? (order.down ? "descending" : "ascending") : "none"));
    fill();
  }

  function sorted() {
    if (order.column < 0) return rows;
    const sign = order.down ? -1 : 1;
    const compare = (a, b) => {
      const [left, right] = [sortValue(a[order.column]), sortValue(b[order.column])];
      if (left === null || right === null) return (left === null) - (right === null); // unknown ones last
      return sign * (typeof left === "string" ? left.localeCompare(right) : left - right);
    };
    return [...rows].sort(compare);
  }

  function fill() {
    [...head.children].forEach((cell, place) => cell.classList.toggle("number", isNumeric(place)));
    body.replaceChildren(...sorted().map((row) => makeRow(row, spec.columns, placed)));
    markSelected(body);
  }

  fill();
  const figure = element("figure", { class: "table" },
    element("figcaption", {}, element(heading, {}, spec.title),
      spec.note ? element("p", { class: "sentence" }, spec.note) : null),
    element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `${spec.title}, scrolls` },
      table),
    element("p", { class: "note" }, spec.more ? `Shown: ${spec.more}.` : ""));
  figure.update = (fresh, note) => {
    rows = fresh;
    if (note !== undefined) figure.lastChild.textContent = note;
    fill();
  };
  return figure;
}

function makeRow(row, columns, placed) {
  const place = placed && row.find(isPlace);
  const made = element("tr", place ? { "data-layer": place.layer, "data-head": place.head } : {});
  row.forEach((cell, i) => made.append(makeCell(cell, columns[i], i === 0)));
  if (place) {
    made.addEventListener("click", () => select({ layer: place.layer, head: place.head, hover: null }));
    made.addEventListener("mouseenter", () => previewHead(place));
    made.addEventListener("mouseleave", () => previewHead(null));
  }
  return made;
}

function makeCell(cell, column, first) {
  const tag = first ? "th" : "td";
  const scope = first ? { scope: "row" } : {};
  if (isPlace(cell)) {
    return element(tag, { ...scope, class: "place" }, element("button", {
      type: "button", class: "link", "aria-label": `Select layer ${cell.layer}, head ${cell.head}`,
    }, `${cell.layer}.${cell.head}`));
  }
  const value = cell && typeof cell === "object" ? cell.value : cell;
  const numeric = typeof value === "number";
  const made = element(tag, { ...scope, class: numeric ? "number" : "" }, text(value, column.digits));
  const range = cell && typeof cell === "object" ? rangeText(cell, column.digits) : "";
  if (range) made.append(" ", element("span", { class: "range" }, `(${range})`));
  return made;
}

// The selected head's rows stand out wherever they are.
function markSelected(scope = document) {
  for (const row of scope.querySelectorAll("tr[data-layer]")) {
    const chosen = Number(row.dataset.layer) === state.layer && Number(row.dataset.head) === state.head;
    row.classList.toggle("selected", chosen);
    if (chosen) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
}

let previewTimer = 0;
// Pictures follow the pointer once it rests.
function previewHead(place) {
  clearTimeout(previewTimer);
  previewTimer = setTimeout(() => select({ hover: place && { layer: place.layer, head: place.head } }), place
    ? 40 : 120);
}

function factsList(facts) {
  const list = element("dl", { class: "facts" });
  for (const [name, words] of facts) list.append(element("dt", {}, name), element("dd", {}, words));
  return list;
}

function chooser(label, options, value, onchange) {
  const list = element("select", { onchange: (event) => onchange(event.target.value) });
  for (const [key, name] of options) list.append(element("option",
    { value: key, selected: String(key) === String(value) }, name));
  return element("label", { class: "chooser" }, `${label} `, list);
}
