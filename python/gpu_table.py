"""Renders what scripts/gpu-check.sh left as Markdown: the device, the figures that have a bar, every run.

    python python/gpu_table.py out/gpu-check
"""

import json
import sys
from pathlib import Path

from bench_table import attention_section, markdown, nearest, number, percent

DENSITY = 0.125


def ratio(above, below):
    return above["median_ms"] / below["median_ms"] if above and below else None


def whole_ms(run):
    """Kernel and selection together."""
    return run["median_ms"] + run.get("selection", {}).get("median_ms", 0)


def speedup(report, method, density, directions=("forward",)):
    """torch's time over the method's, selection included, over these passes together."""
    runs = [(nearest(report, "torch", 1, way), nearest(report, method, density, way)) for way in directions]
    if not all(torch and ours for torch, ours in runs):
        return None
    return sum(torch["median_ms"] for torch, _ in runs) / sum(whole_ms(ours) for _, ours in runs)


def rate_share(report, method, density, direction="forward"):
    """The method's FLOP/s over those of torch's dense attention."""
    ours, torch = nearest(report, method, density, direction), nearest(report, "torch", 1, direction)
    return ours["gflops"] / torch["gflops"] if ours and torch else None


def vs_flex(report, peers):
    flex = (peers or {}).get("runs", {}).get("flex", {})
    ours = nearest(report, "random", DENSITY)
    return flex["forward_ms"] / ours["median_ms"] if ours and "forward_ms" in flex else None


def overhead_end_to_end(report):
    return report["overhead_end_to_end"]


# figure, files, how it follows from them, how it is written, bar, aim
BARS = [
    ("dense forward, share of cuDNN's speed, S 32760", ["s32760-h12-d128"],
     lambda r: ratio(nearest(r, "torch", 1), nearest(r, "dense", 1)), 2, ">= 0.7", "0.95"),
    ("instrumented over our dense, all reducers of tiles", ["s32760-h12-d128"],
     lambda r: nearest(r, "profile-tiles", 1).get("overhead"), 2, "<= 1.25", "1.08"),
    ("block-sparse forward at 0.125, FLOP/s of cuDNN dense, S 49152", ["s49152-h12-d128"],
     lambda r: rate_share(r, "random", DENSITY), 2, ">= 0.7", "0.9"),
    ("block-sparse backward, FLOP/s of cuDNN dense backward", ["s49152-h12-d128"],
     lambda r: rate_share(r, "random", DENSITY, "backward"), 2, ">= 0.5", "0.75"),
    ("against FlexAttention with a mask of the same density, forward", ["s49152-h12-d128", "peers-s49152"],
     vs_flex, 2, ">= 2", "3"),
    ("VSA, selection share, S 32760", ["s32760-h12-d128"],
     lambda r: nearest(r, "vsa", DENSITY).get("selection_share"), 2, "<= 0.20", "0.08"),
    ("VSA, selection share, S 75600", ["s75600-h40-d128"],
     lambda r: nearest(r, "vsa", DENSITY).get("selection_share"), 2, "<= 0.20", "0.08"),
    ("VMoBA at 0.19 against cuDNN dense, S 56160", ["s56160-h12-d128"],
     lambda r: speedup(r, "vmoba", 0.19), 2, ">= 3", "4"),
    ("BSA (0.5, 0.1) against cuDNN dense, forward and backward, S 153600", ["s153600-h12-d128"],
     lambda r: speedup(r, "bsa", 0.05, ("forward", "backward")), 2, ">= 12", "17.8"),
    ("device memory beside q, k, v, out of a profiling call, S 75600, H 40, GB", ["s75600-h40-d128"],
     lambda r: nearest(r, "profile", 1).get("device_bytes", 0) / 1e9 or None, 2, "<= 2", "0.5"),
    ("profile of a Wan-1.3B-shaped model at 480p over the same run unrecorded", ["profile-480p"],
     overhead_end_to_end, 2, "<= 1.3", "1.1"),
]  # fmt: skip


def load(folder, name):
    path = folder / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def bars_table(folder):
    rows = [["figure", "measured", "bar", "aim"]]
    for figure, names, formula, digits, bar, aim in BARS:
        reports = [load(folder, name) for name in names]
        value = formula(*reports) if all(reports) else None
        rows.append([figure, number(value, digits) or "not measured", bar, aim])
    return markdown(rows)


def gpu_line(report):
    machine = report["machine"]
    return (f"{machine['gpu']}, measured peak {machine['gpu_peak_gflops'] / 1000:.0f} TFLOP/s bf16 (torch {machine['torch']}); "
            f"{machine['kernels']}; medians of {report['repeats']} rounds; {machine['date'][:10]}.")  # fmt: skip


def peers_section(peers):
    rows = [["peer", "forward ms", "backward ms", ""]]
    for name, run in peers["runs"].items():
        rows.append([name, number(run.get("forward_ms"), 2), number(run.get("backward_ms"), 2),
                     run.get("error", percent(run.get("density")))])
    return markdown(rows)


def main():
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    folder = Path(sys.argv[1])
    parts = []
    device = folder / "device.txt"
    if device.exists():
        parts.append("```\n" + device.read_text().strip() + "\n```")
    parts.append(bars_table(folder))
    for path in sorted(folder.glob("*.json")):
        report = json.loads(path.read_text())
        if report["format"] == "sparsescope-gpu-peers":
            parts.append(f"### {path.stem}\n\n{peers_section(report)}")
        elif "runs" in report:
            parts.append(attention_section(path.stem, report, gpu_line(report)))
    print("\n\n".join(parts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
