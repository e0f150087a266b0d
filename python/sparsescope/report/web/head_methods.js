// What VMoBA's partitions, BSA's cut-off and VSA's tiles make of the head.

function vmobaCurves(kind) {
  const at = shown();
  const known = AXES.partitions.filter((one) => has(`vmoba/${one}/${kind}_${state.rule}`));
  if (!known.length) {
    return { empty: AXES.partitions.length ? "Not recorded, or left out of this page."
      : "Not recorded: profile --partitions auto." };
  }
  let note = "";
  const traces = known.map((partition, i) => {
    const density = Array.from(read(`vmoba/${partition}/density_${state.rule}`, at).mean);
    const value = read(`vmoba/${partition}/${kind}_${state.rule}`, at);
    note = value.note;
    return {
      x: density, y: Array.from(value.mean), name: partition, mode: "lines+markers",
      text: density.map((_, place) => (state.rule === "topk" ? `k = ${place + 1}`
        : `tau ${text(AXES.tau[place], 2)}`)),
      marker: { size: 5, symbol: MARKERS[i % MARKERS.length] },
      line: { color: LINE[i % LINE.length], dash: DASHES[Math.floor(i / LINE.length) % DASHES.length],
        width: 1.6 },
      hovertemplate: `${partition}, %{text}<br>density %{x:.4f}<br>${kind} %{y:.4f}<extra></extra>`,
    };
  });
  if (traces.every((trace) => unknown(trace.y))) return { empty: NOT_RECORDED };
  if (kind === "recall") traces.push(randomLine([0, 1], [0, 1]));
  const values = kind === "recall" ? "attention mass kept" : "relative L2 error";
  return {
    traces, note, label: `VMoBA's ${kind} against density of ${headText(at)}`,
    layout: { xaxis: axis("pairs computed (density)", { range: [0, 1.02] }), yaxis: axis(values,
      { rangemode: "tozero" }),
      showlegend: true },
  };
}

function bsaCutoff() {
  const at = shown();
  if (!has("bsa_density") || !has("bsa_recall")) return { empty: LEFT_OUT };
  const [density, recall] = [read("bsa_density", at), read("bsa_recall", at)];
  if (unknown(density.mean)) return { empty: NOT_RECORDED };
  return {
    traces: [...lineWithBand(AXES.kappa, density, "pairs kept", BLUE),
      ...lineWithBand(AXES.kappa, recall, "mass kept", ORANGE, "dash"), randomLine(AXES.kappa, AXES.kappa,
        "as asked")],
    note: density.note, label: `BSA's cut-off of ${headText(at)}`,
    layout: { xaxis: shareAxis("kappa (share asked for)"), yaxis: axis("fraction", { range: [0, 1.03] }),
      showlegend: true },
  };
}

const PUBLISHED_QUERY_KEEP = 0.5; // bsa_error restores the other half of the queries

// kind: "error" of the head's output, or "effect" on the model's, against the pairs that a setting computes.
function settingErrors(kind) {
  const at = shown();
  const lines = [[`${kind}_pooled`, "VSA", BLUE, "solid"], [`bsa_${kind}`, "BSA", ORANGE, "dash"],
    [`bsa_${kind}_unpruned`, "BSA, all queries", YELLOW, "dot"]]
    .filter(([name]) => has(name) && !unknown(read(name, at).mean));
  if (!lines.length) {
    const option = kind === "error" ? "--error-tiles" : "--sensitivity";
    return { empty: `Not measured at this step: profile ${option} N.` };
  }
  const kept = has("bsa_density") ? Array.from(read("bsa_density", at).mean) : keptShares();
  const pairs = (name) => (name.endsWith("_pooled") ? keptShares()
    : kept.map((value) => value * (name === `bsa_${kind}` ? PUBLISHED_QUERY_KEEP : 1)));
  return {
    traces: lines.flatMap(([name, label, colour, dash]) => lineWithBand(pairs(name), read(name, at), label,
      colour, dash)),
    note: read(lines[0][0], at).note,
    label: `${kind === "error" ? "Errors" : "Effects on the model's output"} of ${headText(at)}`,
    layout: {
      xaxis: axis("pairs computed (density)", { range: [0, 1.02] }), showlegend: true,
      yaxis: axis(kind === "error" ? "relative L2 error" : "squared relative L2", { rangemode: "tozero",
        exponentformat: "power" }),
    },
  };
}
