"""Figures of a profile, one function each: f(axes_or_figure, profile, ...) -> Drawn.

    from sparsescope import figures, open_profile
    profile = open_profile("run.h5")
    with figures.style.context(columns=1):
        paper = figures.style.new_figure(columns=1, height=2.4)
        drawn = figures.coverage(paper.subplots(), profile)
        paper.savefig("coverage.pdf")
    print(drawn.caption)

`figures.FIGURES` lists them all; `sparsescope.render.render` draws any of them into files.
"""
from sparsescope.figures import style
from sparsescope.figures.registry import FIGURES, SECTIONS, Drawn, FigureSpec
from sparsescope.figures.coverage import coverage
from sparsescope.figures.tile_map import tile_map
# methods and plans
from sparsescope.figures.plan import plan
from sparsescope.figures.routing_steps import routing_steps
from sparsescope.figures.skip_fit import skip_fit
from sparsescope.figures.vmoba_choice import vmoba_choice
from sparsescope.figures.vmoba_curves import vmoba_curves
from sparsescope.figures.vsa_k import vsa_k
# error, quality and time
from sparsescope.figures.error_density import error_density
from sparsescope.figures.kernel_times import kernel_efficiency, overhead
from sparsescope.figures.mass_vs_error import mass_vs_error
from sparsescope.figures.pareto import pareto
from sparsescope.figures.quality_bands import quality_bands
from sparsescope.figures.removal import layer_removal, step_removal
from sparsescope.figures.time_predicted import time_predicted

__all__ = ["FIGURES", "SECTIONS", "Drawn", "FigureSpec", "style", "coverage", "tile_map",
           "plan", "routing_steps", "skip_fit", "vmoba_choice", "vmoba_curves", "vsa_k",
           "error_density", "kernel_efficiency", "layer_removal", "mass_vs_error", "overhead", "pareto",
           "quality_bands", "step_removal", "time_predicted"]
