"""Results of `bench attention`, read alike by every figure of time."""
from __future__ import annotations

import pandas as pd

INSTRUMENTED = ("masses", "profile-tiles", "profile-sampled", "profile")  # dense attention that records


def attention_benches(benches: list[dict]) -> list[dict]:
    """Those of attention, by tokens, head dim, dtype."""
    found = [bench for bench in benches if bench.get("kind") == "attention"]
    return sorted(found, key=lambda bench: (bench["shape"][2], bench["shape"][3], bench["dtype"]))


def runs(bench: dict) -> pd.DataFrame:
    """Forward runs on warm caches with all of the bench's threads: method, series (a rule of the method),
    density, kernel_ms, low_ms and high_ms (its quartiles), selection_ms, dense_ms."""
    chosen = [run for run in bench["runs"] if run["pass"] == "forward" and run["cache"] == "warm" and
              run["threads"] == bench["threads"]]
    dense = next(run["median_ms"] for run in chosen if run["method"] == "dense")
    return pd.DataFrame([{
        "method": run["method"], "series": series_of(run), "density": run["density"],
        "kernel_ms": run["median_ms"],
        "low_ms": run["p25_ms"], "high_ms": run["p75_ms"],
        "selection_ms": run["selection"]["median_ms"] if run.get("selection") else 0.0, "dense_ms": dense,
    } for run in chosen])


def series_of(run: dict) -> str:
    """Runs of one method that differ in nothing but the amount kept: "vmoba top-k", "vmoba tau", "vsa"."""
    if run["method"] != "vmoba":
        return run["method"]
    return f"vmoba {run['parameters'].split()[1]}"


def bench_label(bench: dict, several_tiles: bool = False) -> str:
    """On two or three lines: tokens; head dim and dtype; the tile where benches differ in it."""
    _, _, tokens, head_dim = bench["shape"]
    tile = "\ntile " + "x".join(map(str, bench["tile"])) if several_tiles else ""
    return f"{tokens:,}\nD{head_dim} {bench['dtype']}{tile}"


def labels(benches: list[dict]) -> list[str]:
    several = len({tuple(bench["tile"]) for bench in benches}) > 1
    return [bench_label(bench, several) for bench in benches]


def machine_text(machine: dict, threads: int) -> str:
    return f"{machine['cpu']}, {machine['kernels']}, {threads} thread{'s' if threads != 1 else ''}"
