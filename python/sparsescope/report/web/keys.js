// Keys that work anywhere but in a field.

const KEYS = [
  ["/", "search"], ["arrow keys", "move the selected cell: layer up and down, head left and right"],
    ["[ and ]", "step back and forward"],
  [`1 to ${VIEWS.length}`, `views: ${VIEWS.map((view) => view.name).join(", ")}`], ["t", "dark or light"],
    ["Esc", "close what is open"], ["?", "this list"],
];

function startKeys() {
  const dialog = byId("keys-dialog");
  const list = element("dl", { class: "facts" });
  for (const [key, words] of KEYS) list.append(element("dt", {}, element("kbd", {}, key)),
    element("dd", {}, words));
  dialog.append(element("h2", { id: "keys-title" }, "Keys"), list,
    element("p", { class: "note" }, "The address keeps the selection: a link to it opens the same view."),
    element("button", { type: "button", onclick: () => dialog.close() }, "Close"));
  byId("keys").addEventListener("click", () => dialog.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && closeDefinition()) return;
    const busy = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) || dialog.open;
    if (busy) return;
    const actions = {
      "/": () => byId("search").focus(), "?": () => dialog.showModal(), t: toggleTheme, "[": () =>
        moveStep(-1), "]": () => moveStep(1),
    };
    if (actions[event.key]) {
      event.preventDefault();
      actions[event.key]();
    } else if (/^[1-9]$/.test(event.key) && VIEWS[Number(event.key) - 1]) {
      select({ view: VIEWS[Number(event.key) - 1].key });
    } else if (event.key.startsWith("Arrow") && !event.target.closest(".scroll")) {
      moveCell({ ...event, key: event.key, currentTarget: event.target, preventDefault: () =>
        event.preventDefault(), stopPropagation() {} });
    }
  });
}
