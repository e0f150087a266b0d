"""The list of figures: name, the question it answers, what it is drawn from.

A figure is a function f(target, profile, *, ...) -> Drawn. target is one Axes, or a Figure (or SubFigure)
where a figure has panels of its own. What else it needs comes as keywords of these names:

    plan         a plan (dict)                     validations  list of Validation
    sweep        a table of tune --sweep (dict)    benches      results of `bench attention` (list of dict)
    costs        kernel costs (dict)               summary      findings of `summary --json` (dict)
    others       other profiles (list)             videos       what validate --videos wrote (path)

and choices of the caller's, all with defaults: site, fraction, recall, query, branch, tile, ...
It draws, and returns the numbers that it drew and a caption; it reads no global state and saves nothing.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr

SECTIONS = ("maps", "curves", "structure", "queries", "stability", "methods", "error")


@dataclass
class Drawn:
    """What a figure shows. table: one row a mark, or for a map the matrix itself with named index and
    columns; every column is explained in sparsescope.figures.columns. films: name -> [frame, height,
    width, 3] uint8, saved as GIF and MP4."""

    table: pd.DataFrame
    caption: str
    films: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class FigureSpec:
    name: str
    section: str
    question: str
    draw: Callable[..., Drawn]
    needs: tuple[str, ...]  # of sparsescope.sources.NEEDS; "qkv|maps": one of them will do
    panels: bool  # target is a Figure, not an Axes
    columns: int  # of a paper
    height: float | Callable[[xr.Dataset], float]  # inches

    def height_for(self, profile: xr.Dataset) -> float:
        return self.height(profile) if callable(self.height) else self.height


FIGURES: dict[str, FigureSpec] = {}


def figure(name: str, section: str, question: str, *, needs: tuple[str, ...] = (), panels: bool = False,
           columns: int = 1, height: float | Callable[[xr.Dataset], float] = 2.4):
    """Enters a drawing function under the name that `render --figure` takes."""
    assert section in SECTIONS and name not in FIGURES, name

    def enter(draw: Callable[..., Drawn]) -> Callable[..., Drawn]:
        FIGURES[name] = FigureSpec(name, section, question, draw, needs, panels, columns, height)
        return draw

    return enter
