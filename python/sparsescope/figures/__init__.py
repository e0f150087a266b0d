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

__all__ = ["FIGURES", "SECTIONS", "Drawn", "FigureSpec", "style", "coverage", "tile_map"]
