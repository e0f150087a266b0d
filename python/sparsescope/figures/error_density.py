"""Error of the three methods at equal work."""
from __future__ import annotations

import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.report_style import report_looks, unnamed_handles
from sparsescope.figures.sweep_lines import draw_lines, handles, lines_of
from sparsescope.profile import Site
from sparsescope.reports import head_means, in_order
from sparsescope.sources import Validation

QUANTILES = (("median over heads", 0.5, "-"), ("95 % of the heads below", 0.95, "--"))

LEAST_REACH = 0.1  # of the densities on either side: plans of nearly equal density stay side by side


@figure("error-density", "error", "Which method is best at equal work?", needs=("validations|sweep",), panels=True,
        columns=2, height=3.2)
def error_density(figure: Figure, profile: xr.Dataset, *, validations: list[Validation],
                  sweep: dict | None = None,
                  branch: int = 0) -> Drawn:
    """Relative L2 of the heads' outputs against measured density, by method; with a sweep also the error of
    the model's output, beside uniform, published, random and oracle selections."""
    panels = style.row_of_panels(figure, bool(validations) + bool(sweep))
    rows, looks, notes = [], [], []
    if validations:
        rows, looks = _heads(panels[0], validations, branch)
        panels[0].set_ylabel("relative L2 of the heads' outputs")
        panels[0].set_title("heads, in reports")
        notes.append("one point a report, at equal measured density")
    if sweep:
        lines = list(lines_of(sweep))
        draw_lines(panels[-1], sweep, lambda point: point["density"])
        panels[-1].set_ylabel("relative L2 of the model's output")
        panels[-1].set_title("plans tried on the same latents")
        rows += [{"method": method, "kind": kind, "density": point["density"], "error": point["error"],
                  "low": point["error_low"], "high": point["error_high"]} for method, kind, points in lines
                 for point in points]
        methods = {method for method, _, _ in lines} | {v.method for v in validations}
        looks += handles(set(), {kind for _, kind, _ in lines})
        notes += [("second panel: " if validations else "") + "error of the whole model's output along dense "
                  f"trajectories of held-out prompts, mean over {len(sweep['points'][0]['error_of_prompt'])} prompts, with 95 % "
                  "intervals for derived plans"]
    else:
        methods = {v.method for v in validations}
    for axes in panels:
        axes.set_xlabel("density (kept share of the pairs)")
        axes.set_ylim(bottom=0)
        low, high = axes.get_xlim()
        reach = max((high - low) / 2, LEAST_REACH)
        axes.set_xlim(max((low + high) / 2 - reach, 0), min((low + high) / 2 + reach, 1.02))
    style.legend_above(figure, 4, handles=handles(methods, set()) + looks)
    table = pd.DataFrame(rows)
    if not validations:
        return Drawn(table, caption(profile, "Error of plans against the share of the pairs that was computed",
                                    rows=False, notes=tuple(notes)))
    return Drawn(table, caption(
        profile, "Error of each head's output with the sparse kernels on held-out prompts: median and 95 % "
        "quantile over heads, against the share of the pairs that was computed", site=Site(branch=branch),
        axes=("prompt", "step", "layer", "head"), averaged="prompts and steps before the quantiles",
        rows=False, notes=tuple(notes)))


def _heads(axes: Axes, validations: list[Validation], branch: int) -> tuple[list[dict], list[Line2D]]:
    """Draws median and 95 % over heads; -> rows, and legend entries beside those of the methods."""
    lines: dict[str, list[tuple[Validation, float, pd.Series]]] = {}
    for validation in in_order(validations):
        heads = head_means(validation, branch)
        name = validation.method if validation.plan else validation.name
        lines.setdefault(name, []).append((validation, heads["density"].mean(), heads["rel_l2"]))
    rows, looks = [], report_looks(validations)
    for points in lines.values():
        colour, marker = looks[points[0][0].name]
        for meaning, quantile, dash in QUANTILES:
            at, errors = zip(*((density, error.quantile(quantile)) for _, density, error in points))
            axes.plot(at, errors, color=colour, linestyle=dash, marker=marker,
                      markerfacecolor=colour if quantile == 0.5 else "white")
            rows += [{"method": validation.method, "report": validation.name, "density": x,
                      "quantile": quantile,
                      "rel_l2": y} for (validation, _, _), x, y in zip(points, at, errors)]
    return rows, unnamed_handles(validations) + [
        Line2D([], [], color=style.INK, linestyle=dash, marker="o", label=meaning,
               markerfacecolor=style.INK if quantile == 0.5 else "white")
        for meaning, quantile, dash in QUANTILES]
