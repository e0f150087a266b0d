"""Whether the attention that a head misses tells the error of its output."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.profile import Site
from sparsescope.reports import head_means, label, one_a_method
from sparsescope.sources import Validation
from sparsescope.statistics import rank_correlation

MARKED_SHARE = 0.95  # heads above this quantile are marked where no bound was required


def error_bound(validation: Validation, errors: np.ndarray) -> tuple[float, str]:
    """The report's own requirement on rel_l2, else a quantile over heads; and its name."""
    for required in validation.report["summary"]["requirements"]:
        if required["name"] == "rel_l2" and required["comparison"] == "<=":
            return required["bound"], "required"
    return float(np.quantile(errors, MARKED_SHARE)), "95 % of the heads below"


@figure("mass-vs-error", "error", "Where does recall mislead?", needs=("validations",), panels=True,
        columns=2, height=2.7)
def mass_vs_error(figure: Figure, profile: xr.Dataset, *, validations: list[Validation],
                  bound: float | None = None,
                  branch: int = 0) -> Drawn:
    """A dot a head: missed mass against relative L2 of its output, coloured by layer; a panel for the
    sparsest report of each method. bound: above it heads are ringed."""
    shown = one_a_method(validations)[:3]
    panels = style.row_of_panels(figure, len(shown), sharex=True, sharey=True)
    layers = profile.sizes["layer"]
    rows, meanings = [], []
    for axes, validation in zip(panels, shown):
        heads = head_means(validation, branch)
        missed, error = 1 - heads["recall"].to_numpy(), heads["rel_l2"].to_numpy()
        limit, meaning = error_bound(validation, error) if bound is None else (bound, "given")
        above = error > limit
        cloud = axes.scatter(missed, error, c=heads.index.get_level_values("layer"), cmap=style.RAMP, vmin=0,
                             vmax=max(layers - 1, 1), s=_dot_area(len(heads)),
                             edgecolor=style.QUIET, linewidth=0.3)
        axes.scatter(missed[above], error[above], s=2.5 * _dot_area(len(heads)), facecolor="none",
                     edgecolor=style.ORANGE, linewidth=0.9)
        axes.axhline(limit, color=style.ORANGE, linewidth=0.8, linestyle="--")
        rank = rank_correlation(missed, error)
        axes.set_title(f"{label(validation)}: rank correlation {rank:.2f}")
        axes.set_xlim(left=0)
        meanings.append(f"{label(validation)}: bound {limit:.3g} ({meaning})")
        rows += [{"report": validation.name, "layer": layer, "head": head, "missed_mass": m, "rel_l2": e,
                  "above_bound": bool(a)}
                 for (layer, head), m, e, a in zip(heads.index, missed, error, above)]
    stacked = style.is_narrow(figure)
    for axes in panels if stacked else panels[:1]:
        axes.set_ylabel("relative L2 of the output")
    for axes in panels[-1:] if stacked else panels:
        axes.set_xlabel("missed mass (1 - recall)")
    panels[0].set_ylim(bottom=0)
    bar = figure.colorbar(cloud, ax=list(panels), pad=0.02, aspect=25)
    style.index_axis(bar.ax.yaxis, "layer")
    bar.outline.set_visible(False)
    return Drawn(pd.DataFrame(rows), caption(
        profile, "Attention mass that each head misses, and what that does to its output, measured with the "
        "sparse kernels on held-out prompts; a panel for the sparsest report of each method. Above each: "
        "Spearman's rank correlation over heads", site=Site(branch=branch),
        axes=("prompt", "step", "layer", "head"), averaged="prompts and steps", rows=False,
        notes=("ringed: heads above the bound. " + "; ".join(meanings),)))


def _dot_area(heads: int) -> float:
    """Points squared, smaller where there are many."""
    return float(np.clip(900 / heads, 3, 16))
