// The "?" beside a name opens its definition; the keyboard's own list is opened by "?".

function helpButton(key) {
  return element("button", {
    type: "button", class: "help", "data-term": key, "aria-label": `Definition of ${DATA.terms[key].name}`,
    "aria-expanded": "false", onclick: (event) => {
      event.stopPropagation();
      toggleDefinition(event.currentTarget);
    },
  }, "?");
}

let definedBy = null;

function toggleDefinition(button) {
  const again = definedBy === button;
  closeDefinition();
  if (again) return;
  const term = DATA.terms[button.dataset.term];
  const box = byId("definition");
  box.replaceChildren(
    element("h3", { id: "definition-title" }, term.name + (term.unit ? ` (${term.unit})` : "")),
    element("p", {}, term.sentence), element("p", {}, term.definition));
  box.hidden = false;
  const at = button.getBoundingClientRect();
  const left = Math.max(8, Math.min(at.left, document.documentElement.clientWidth - box.offsetWidth - 8));
  const below = at.bottom + 6 + box.offsetHeight < window.innerHeight;
  box.style.left = `${left + window.scrollX}px`;
  box.style.top =
    `${(below ? at.bottom + 6 : Math.max(8, at.top - box.offsetHeight - 6)) + window.scrollY}px`;
  button.setAttribute("aria-expanded", "true");
  definedBy = button;
}

function closeDefinition() {
  if (!definedBy) return false;
  byId("definition").hidden = true;
  definedBy.setAttribute("aria-expanded", "false");
  definedBy = null;
  return true;
}

document.addEventListener("click", (event) => {
  if (!byId("definition").contains(event.target)) closeDefinition();
});

function startDefinitions() {
  const list = element("dl", { class: "definitions" });
  for (const [key, term] of Object.entries(DATA.terms)) {
    list.append(element("dt", { id: `term-${key}`, tabindex: "-1" }, term.name, term.unit ? element("span",
      { class: "unit" }, ` ${term.unit}`) : ""),
      element("dd", {}, element("p", {}, term.sentence), element("p", { class: "exact" }, term.definition)));
  }
  byId("view-definitions").append(
    element("p", { class: "lead" }, "Every number and picture of this page, and what it means exactly."),
      list);
}
