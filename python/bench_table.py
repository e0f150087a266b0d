"""Renders the JSON of `sparsescope bench` as the Markdown tables of docs/benchmarks.md.

    python python/bench_table.py out/bench              one table of the ratios that matter, of all
                                                        *.json in a folder, warm caches
    python python/bench_table.py --runs a.json b.json   every run of these files
"""

import json
import sys
from pathlib import Path

CLOCKS = {"wall": "wall time", "processor": "processor time"}


def number(value, digits):
    return "" if value is None else f"{value:.{digits}f}"


def percent(value):
    return "" if value is None else f"{100 * value:.0f} %"


def markdown(rows):
    """rows[0] is the header; the first column stands left, the others right."""
    width = len(rows[0])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "| --- |" + " ---: |" * (width - 1))
    return "\n".join(lines)


def machine_line(report):
    machine = report["machine"]
    peaks = f"{machine['fma_peak_gflops']:.0f} GFLOP/s fp32"
    if machine["bf16_peak_gflops"] > 0:
        peaks += f", {machine['bf16_peak_gflops']:.0f} bf16"
    environment = "".join(f", {name}={value}" for name, value in machine["environment"].items())
    return (
        f"{machine['cpu']}, {machine['cores']} cores, measured peak of a core {peaks}; {machine['kernels']}, "
        f"{machine['compiler']}, torch {machine['torch']} ({machine['torch_capability']}){environment}; "
        f"{report['threads']} thread(s), {CLOCKS[report['time']]}, medians of {report['repeats']} rounds, "
        f"load average {machine['load_average'][0]:.1f} at the start; {machine['date'][:10]}."
    )


def run_name(run, report):
    name = f"{run['method']} {run['parameters']}".strip()
    return name if run["threads"] == report["threads"] else f"{name}, {run['threads']} thread(s)"


def attention_row(run, report):
    selection = run.get("selection", {}).get("median_ms")
    ratio = run.get("overhead", run.get("efficiency"))
    return [
        run_name(run, report),
        number(run["density"], 3),
        number(run["median_ms"], 2),
        percent(run["spread"]),
        number(run["gflops"], 0),
        percent(run.get("peak_share")),
        number(run.get("vs_torch"), 2),
        number(ratio, 3),
        number(selection, 2),
        percent(run.get("selection_share")),
        number(run.get("speedup"), 2),
        number(run.get("kernel_speedup"), 2),
    ]


ATTENTION_HEADER = [
    "run", "density", "ms", "spread", "GFLOP/s", "of peak", "vs torch", "overhead or efficiency",
    "selection ms", "share", "speed-up", "kernel alone",
]  # fmt: skip


def attention_section(name, report, where=None):
    batch, heads, tokens, head_dim = report["shape"]
    grid = ",".join(map(str, report["grid"]))
    parts = [
        f"### {name}: B{batch} H{heads} S{tokens} D{head_dim}, grid {grid}, {report['dtype']}",
        where or machine_line(report),
        *report["notes"],
    ]
    groups = dict.fromkeys((run["pass"], run["cache"]) for run in report["runs"])
    for direction, cache in groups:
        runs = [run for run in report["runs"] if (run["pass"], run["cache"]) == (direction, cache)]
        header = [f"{direction}, {cache} caches", *ATTENTION_HEADER[1:]]
        parts.append(markdown([header, *(attention_row(run, report) for run in runs)]))
    return "\n\n".join(parts)


def profile_section(name, report):
    grid = ",".join(map(str, report["grid"]))
    rows = [["run", "ms", "spread", "of plain"]]
    plain = report["plain"]["median_ms"]
    for key, title in (
        ("plain", "sampling without recording"),
        ("plain_attention", "of that, attention"),
        ("recorded", "recording, nothing kept"),
        ("recorded_attention", "of that, attention and reducers"),
        ("profile", "whole profile"),
    ):
        run = report[key]
        ratio = run["median_ms"] / plain
        rows.append([title, number(run["median_ms"], 1), percent(run["spread"]), number(ratio, 3)])
    return "\n\n".join([
        f"### {name}: {report['prompts']} prompt(s), {report['branches']} branch(es), {report['steps']} steps, "
        f"grid {grid}, {report['dtype']}",
        machine_line(report),
        markdown(rows),
        f"Overhead end to end **{report['overhead_end_to_end']:.3f}** ({report['overhead_p25']:.3f} to "
        f"{report['overhead_p75']:.3f} in half of the rounds): model {report['model_ms']:.0f} ms, attention "
        f"{report['attention_ms']:.0f} ms, reducers {report['reducers_ms']:.0f} ms, keeping and writing "
        f"{report['writing_ms']:.0f} ms.",
    ])  # fmt: skip


def nearest(report, method, density, direction="forward"):
    """The run of a method whose density comes nearest; {} where there is none."""
    runs = [
        run
        for run in report["runs"]
        if (run["method"], run["pass"], run["cache"], run["threads"])
        == (method, direction, "warm", report["threads"])
    ]
    return min(runs, key=lambda run: abs(run["density"] - density), default={})


def fixed(report, method, parameters):
    """The run with these parameters; {} where there is none."""
    return next(
        (run for run in report["runs"] if run["method"] == method and run["parameters"] == parameters), {}
    )  # fmt: skip


SUMMARY = [
    ("dense forward, of peak", lambda r: percent(nearest(r, "dense", 1).get("peak_share"))),
    ("dense forward, vs torch", lambda r: number(nearest(r, "dense", 1).get("vs_torch"), 2)),
    ("dense backward, vs torch", lambda r: number(nearest(r, "dense", 1, "backward").get("vs_torch"), 2)),
    ("masses alone, of dense", lambda r: number(nearest(r, "masses", 1).get("overhead"), 3)),
    ("profile without VMoBA, of dense", lambda r: number(nearest(r, "profile-tiles", 1).get("overhead"), 3)),
    ("profile of 4 rows a tile, of dense", lambda r: number(nearest(r, "profile-sampled", 1).get("overhead"), 3)),
    ("profile, of dense", lambda r: number(nearest(r, "profile", 1).get("overhead"), 3)),
    ("profile, vs plain torch", lambda r: number(nearest(r, "profile", 1).get("vs_torch"), 2)),
    ("random lists 0.125, efficiency", lambda r: number(nearest(r, "random", 0.125).get("efficiency"), 2)),
    ("VSA 0.125, efficiency", lambda r: number(nearest(r, "vsa", 0.125).get("efficiency"), 2)),
    (
        "VSA 0.125 backward, efficiency",
        lambda r: number(nearest(r, "vsa", 0.125, "backward").get("efficiency"), 2),
    ),
    ("VSA 0.125, selection share", lambda r: percent(nearest(r, "vsa", 0.125).get("selection_share"))),
    ("VMoBA 0.19, speed-up", lambda r: number(nearest(r, "vmoba", 0.19).get("speedup"), 2)),
    ("VMoBA 0.19, kernel alone", lambda r: number(nearest(r, "vmoba", 0.19).get("kernel_speedup"), 2)),
    ("BSA 0.5, 0.1, density", lambda r: number(fixed(r, "bsa", "query 0.5 kv 0.1").get("density"), 3)),
    ("BSA 0.5, 0.1, speed-up", lambda r: number(fixed(r, "bsa", "query 0.5 kv 0.1").get("speedup"), 2)),
    ("dense, 1 thread over all", lambda r: number(nearest(r, "dense", 1).get("scaling"), 2)),
]


def summary(reports):
    """One column a report of attention, and the profiles below."""
    attention = {
        name: report
        for name, report in reports.items()
        if report["kind"] == "attention" and any(run["cache"] == "warm" for run in report["runs"])
    }
    rows = [["", *attention]]
    for title, value in SUMMARY:
        cells = [value(report) for report in attention.values()]
        if any(cells):
            rows.append([title, *cells])
    profiles = [profile_section(name, r) for name, r in reports.items() if r["kind"] == "profile"]
    machines = [machine_line(report) for report in list(attention.values())[:1]]
    return "\n\n".join([*machines, *([markdown(rows)] if attention else []), *profiles])


def main(arguments):
    every_run = arguments[:1] == ["--runs"]
    paths = [Path(argument) for argument in arguments[every_run:]]
    files = [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    if not files:
        print(__doc__)
        return 2
    reports = {}
    for file in files:
        report = json.loads(file.read_text(encoding="utf-8"))
        if report.get("format") != "sparsescope-bench" or report.get("version") != 1:
            print(f"{file}: expected a sparsescope-bench object of version 1", file=sys.stderr)
            return 3
        reports[file.stem] = report
    if not every_run:
        print(summary(reports))
        return 0
    for name, report in reports.items():
        section = attention_section if report["kind"] == "attention" else profile_section
        print(section(name, report) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
