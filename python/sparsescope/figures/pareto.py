"""What quality costs in time."""
from __future__ import annotations

import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.report_style import report_looks, unnamed_handles
from sparsescope.figures.sweep_lines import draw_lines, handles, interval_arms, lines_of
from sparsescope.reports import in_order
from sparsescope.sources import Validation

# The controls of a sweep are no methods: random tiles, and an oracle that is slower than dense attention.
COMPARED = ("derived", "uniform", "published", "published:topk", "published:threshold", "published:global")


@figure("pareto", "error", "What does quality cost in time?", needs=("validations|sweep",), panels=True, columns=2,
        height=3.2)
def pareto(figure: Figure, profile: xr.Dataset, *, validations: list[Validation],
           sweep: dict | None = None) -> Drawn:
    """Left the error of the model's output against measured time, of a sweep's plans (knees ringed) and of
    reports; right, with reports, the PSNR of their videos."""
    panels = style.row_of_panels(figure, 2 if validations else 1)
    rows = _errors(panels[0], validations, sweep)
    panels[0].set_ylabel("relative L2 of the model's output")
    panels[0].set_ylim(bottom=0)
    if validations:
        psnr, name = _quality(panels[1], validations)
        rows += psnr
        panels[1].set_ylabel(f"PSNR of the {name} (dB)")
    for axes in panels:
        axes.axvline(1, color=style.QUIET, linewidth=0.8)
        axes.set_xlim(left=0)
        axes.set_xlabel("attention time over dense, with selection")
    lines = list(lines_of(sweep, COMPARED)) if sweep else []
    methods = {method for method, _, _ in lines} | {v.method for v in validations}
    style.legend_above(figure, 4, handles=handles(methods, {kind for _, kind, _ in lines}) +
                       unnamed_handles(validations))
    clips = any("clips" in v.report for v in validations)
    return Drawn(pd.DataFrame(rows), caption(
        profile, "Error of the model's output" + (", and PSNR of the sampled videos against those of dense "
                                                  "attention," if validations else "") +
        " over measured attention time with selection (1: dense, grey)", rows=False, notes=(
            "large open markers: validation reports, mean over branches, steps and held-out prompts"
            if validations else "",
            "filled markers: plans of a sweep, rings: the knee of each method's derived plans"
            if sweep else "",
            "bars: 95 % intervals over prompts",
            "small points: each clip" if clips else "")))


def _errors(axes: Axes, validations: list[Validation], sweep: dict | None) -> list[dict]:
    rows = []
    if sweep:
        draw_lines(axes, sweep, time_share, COMPARED, knees=True)
        rows += [{"method": method, "kind": kind, "density": point["density"],
                  "time_share": time_share(point),
                  "error": point["error"], "low": point["error_low"], "high": point["error_high"],
                  "knee": point["knee"]}
                 for method, kind, points in lines_of(sweep, COMPARED) for point in points]
    looks = report_looks(validations)
    for validation in in_order(validations):
        summary = validation.report["summary"]
        _report_point(axes, summary, "output_rel_l2", looks[validation.name])
        rows.append(_row(validation, error=summary["output_rel_l2"], low=summary["output_rel_l2_low"],
                         high=summary["output_rel_l2_high"]))
    return rows


def _quality(axes: Axes, validations: list[Validation]) -> tuple[list[dict], str]:
    """PSNR of pixels where every report has it, else of latents; -> rows, what was compared."""
    pixels = all("psnr_pixel" in v.report["summary"] for v in validations)
    name, shown = ("psnr_pixel", "pixels") if pixels else ("psnr_latent", "latents")
    rows = []
    looks = report_looks(validations)
    for validation in in_order(validations):
        summary = validation.report["summary"]
        clips = [clip for clip in validation.report.get("clips", []) if clip.get(name) is not None]
        axes.scatter([1 / clip["speedup"] for clip in clips], [clip[name] for clip in clips], s=4, alpha=0.6,
                     color=looks[validation.name][0], linewidth=0)
        _report_point(axes, summary, name, looks[validation.name])
        rows += [_row(validation, psnr=summary[name], low=summary[name + "_low"],
                      high=summary[name + "_high"])]
        rows += [_row(validation, prompt=clip["prompt"], psnr=clip[name], time_share=1 / clip["speedup"])
                 for clip in clips]
    return rows, shown


def time_share(point: dict) -> float:
    return 1 / point["speedup"]


def _report_point(axes: Axes, summary: dict, name: str, look: tuple[str, str]) -> None:
    colour, marker = look
    at, values = [time_share(summary)], [summary[name]]
    axes.errorbar(at, values, interval_arms([summary], name), fmt="none", ecolor=colour, elinewidth=0.8,
                  capsize=1.5)
    axes.plot(at, values, linestyle="none", marker=marker, markersize=6, markerfacecolor="white",
              markeredgecolor=colour, markeredgewidth=1.2)


def _row(validation: Validation, **values) -> dict:
    summary = validation.report["summary"]
    return {"method": validation.method, "kind": "report", "report": validation.name,
            "density": summary["density"],
            "time_share": time_share(summary), **values}
