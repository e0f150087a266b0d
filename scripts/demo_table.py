#!/usr/bin/env python3
"""Prints the demo's comparison as a Markdown table from the validation reports.

    demo_table.py FOLDER     with small-METHOD-report.json and large-METHOD-report.json
"""

import json
import sys
from pathlib import Path

METHODS = ["vsa", "bsa", "vmoba"]
COLUMNS = ["method", "density", "recall", "rel. L2 of heads", "rel. L2 of output", "PSNR (dB)", "SSIM",
           "speed-up at {small}", "speed-up at {large}"]


def read_summary(folder, size, method):
    path = folder / f"{size}-{method}-report.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    plan = json.loads((folder / f"{size}-{method}.json").read_text(encoding="utf-8"))
    return report["summary"], " x ".join(str(extent) for extent in plan["grid"])


def number(value, digits):
    return "-" if value is None else f"{value:.{digits}f}"


def best_of(summary, name):
    """The value on pixels where the checkpoint has a codec, else on latents."""
    value = summary.get(f"{name}_pixel")
    return value if value is not None else summary.get(f"{name}_latent")


def table_row(method, small, large):
    return [method.upper().replace("VMOBA", "VMoBA"), number(small["density"], 3), number(small["recall"], 3),
            number(small["rel_l2"], 3), number(small["output_rel_l2"], 3),
            number(best_of(small, "psnr"), 1), number(best_of(small, "ssim"), 3),
            number(small["speedup"], 2) + " x", number(large["speedup"], 2) + " x"]


def verdict(method, grid, summary):
    """One honest sentence about time."""
    dense, sparse = summary["time_dense_ms"], summary["time_sparse_ms"]
    selection, speedup = summary["time_selection_ms"], summary["speedup"]
    comparison = "faster than" if speedup > 1 else "SLOWER than"
    return (f"- {method} at {grid} tokens: {comparison} dense attention, {dense:.1f} ms dense against "
            f"{sparse:.1f} ms sparse and {selection:.1f} ms selection per forward.")


def print_table(header, rows):
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for i, row in enumerate([header, *rows]):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
        if i == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def main():
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    folder = Path(sys.argv[1])
    small = {method: read_summary(folder, "small", method) for method in METHODS}
    large = {method: read_summary(folder, "large", method) for method in METHODS}
    grids = {"small": small[METHODS[0]][1], "large": large[METHODS[0]][1]}
    print_table([column.format(**grids) for column in COLUMNS],
                [table_row(method, small[method][0], large[method][0]) for method in METHODS])
    print()
    print(f"Density to SSIM are means at {grids['small']} tokens over held-out prompts; PSNR and SSIM compare")
    print("the whole video sampled with sparse attention with the dense one of the same seed. Speed-up is")
    print("dense attention time over sparse attention time with selection, per forward, on this machine.")
    print()
    for method in METHODS:
        for summary, grid in (small[method], large[method]):
            print(verdict(method, grid, summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
