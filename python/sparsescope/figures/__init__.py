"""Figures of a profile, one function each: f(axes_or_figure, profile, ...) -> Drawn.

    from sparsescope import figures, open_profile
    profile = open_profile("run.h5")
    with figures.style.context(columns=1):
        paper = figures.style.new_figure(columns=1, height=2.4)
        drawn = figures.coverage(paper, profile)
        paper.savefig("coverage.pdf")
    print(drawn.caption)

`figures.FIGURES` lists them all; `sparsescope.render.render` draws any of them into files.
"""
from sparsescope.figures import style
from sparsescope.figures.registry import FIGURES, SECTIONS, Drawn, FigureSpec
# maps
from sparsescope.figures.frame_map import frame_map
from sparsescope.figures.head_grid import head_grid, layer_grid
from sparsescope.figures.pattern_map import pattern_map
from sparsescope.figures.query_importance import query_importance
from sparsescope.figures.query_view import query_view
from sparsescope.figures.relayout_map import relayout_map
from sparsescope.figures.segment_mass import segment_mass
from sparsescope.figures.tile_map import tile_map, tile_map_linear
# curves
from sparsescope.figures.concentration import concentration
from sparsescope.figures.coverage import (
    coverage, coverage_all, coverage_heads, coverage_layers, coverage_steps)
from sparsescope.figures.coverage_methods import coverage_methods
from sparsescope.figures.density import density_grid, density_heads
from sparsescope.figures.key_fraction import key_fraction
from sparsescope.figures.selector_gap import selector_gap
from sparsescope.figures.tile_size import tile_size
# structure
from sparsescope.figures.distance import distance
from sparsescope.figures.entropy import entropy
from sparsescope.figures.frame_key_mass import frame_key_mass
from sparsescope.figures.head_class import class_steps, head_class
from sparsescope.figures.sinks import sinks
# queries
from sparsescope.figures.ideal_sets import ideal_sets
from sparsescope.figures.mass_vs_redundancy import mass_vs_redundancy
from sparsescope.figures.prune_error import prune_error
from sparsescope.figures.query_cosine import query_cosine
from sparsescope.figures.row_overlap import row_overlap
# stability
from sparsescope.figures.reuse_decay import reuse_decay
from sparsescope.figures.set_steps import set_prompts, set_steps
from sparsescope.figures.spread_prompts import spread_prompts
from sparsescope.figures.transfer import transfer
# methods and plans
from sparsescope.figures.bsa_cutoff import bsa_cutoff
from sparsescope.figures.plan import plan
from sparsescope.figures.routing_steps import routing_steps
from sparsescope.figures.score_normal import score_normal
from sparsescope.figures.skip_fit import skip_fit
from sparsescope.figures.vmoba_choice import vmoba_choice
from sparsescope.figures.vmoba_curves import vmoba_curves
from sparsescope.figures.vsa_k import vsa_k
# error, quality and time
from sparsescope.figures.error_density import error_density
from sparsescope.figures.film_strip import film_strip
from sparsescope.figures.kernel_times import kernel_efficiency, overhead
from sparsescope.figures.mass_vs_error import mass_vs_error
from sparsescope.figures.pareto import pareto
from sparsescope.figures.quality_bands import quality_bands
from sparsescope.figures.removal import layer_removal, step_removal
from sparsescope.figures.time_predicted import time_predicted

__all__ = ["FIGURES", "SECTIONS", "Drawn", "FigureSpec", "style", *(spec.draw.__name__ for spec in FIGURES.values())]
