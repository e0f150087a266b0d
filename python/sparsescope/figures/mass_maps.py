"""What the figures of tile masses share: the matrix as a table, lines between frames, and pages of small
maps, which show exact means over cells of tiles where a panel has fewer dots than the matrix has tiles."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from sparsescope.figures import style
from sparsescope.grid import TileGrid, lift

SMALL_CELLS = 144  # along each side of a small map
PANELS_IN_ROW, PANELS_IN_NARROW_ROW = 8, 4
LARGEST_PANEL, GAP, TITLE, LABELS = 2.0, 0.085, 0.16, 0.25  # inches


def map_table(mass: np.ndarray) -> pd.DataFrame:
    """The matrix M as a table: a row a query tile, a column a key tile."""
    return pd.DataFrame(mass, index=pd.RangeIndex(len(mass), name="query_tile"),
                        columns=pd.RangeIndex(mass.shape[1], name="key_tile"))


def frame_lines(axes: Axes, borders: np.ndarray, width: float = 0.4) -> None:
    """Thin lines on both axes before the cells of index `borders`."""
    for border in borders:
        axes.axhline(border - 0.5, color="white", linewidth=width, alpha=0.6)
        axes.axvline(border - 0.5, color="white", linewidth=width, alpha=0.6)


@dataclass(frozen=True)
class Cells:
    """Runs of `length` neighbouring tiles, so few that a small panel can show them all."""

    tiles: TileGrid
    length: int

    @property
    def starts(self) -> np.ndarray:
        return np.arange(0, self.tiles.tiles, self.length)

    @property
    def borders(self) -> np.ndarray:
        """The cells that begin a frame of tiles, but the first; none where a cell joins frames."""
        inside = self.tiles.counts[1] * self.tiles.counts[2]
        return np.flatnonzero(self.starts % inside == 0)[1:] if self.length <= inside else np.array([], int)

    @property
    def text(self) -> str:
        """What a cell is, for a caption."""
        return f"each cell is the mean over {self.length} x {self.length} tiles" if self.length > 1 else ""

    def lift(self, mass: np.ndarray) -> np.ndarray:
        """Mean over a cell's rows of the probability on all tiles of a cell, over what uniform attention
        gives. mass [N, N] -> [C, C] fp64."""
        tokens = self.tiles.tile_sizes()
        cell_tokens = np.add.reduceat(tokens, self.starts)
        by_key = np.add.reduceat(mass, self.starts, axis=1, dtype=np.float64)
        by_cell = np.add.reduceat(by_key * tokens[:, None], self.starts, axis=0)
        return lift(by_cell / cell_tokens[:, None], cell_tokens)

    def table(self, lift: np.ndarray, **where: int) -> pd.DataFrame:
        """A row a cell: its first query and key tile and its lift, and where the map stands."""
        query, key = np.meshgrid(self.starts, self.starts, indexing="ij")
        return pd.DataFrame({**where, "query_tile": query.ravel(), "key_tile": key.ravel(),
                             "lift": lift.ravel()})


def cells_of(tiles: TileGrid, most: int = SMALL_CELLS) -> Cells:
    """The finest of at most `most` cells a side that are parts of a row of tiles or whole rows of one frame
    of tiles, so that no cell straddles frames; where there are more frames of tiles, cells of some frames."""
    along_t, along_h, along_w = tiles.counts
    inside = along_h * along_w
    for length in range(1, inside + 1):
        fits = inside % length == 0 and (along_w % length == 0 or length % along_w == 0)
        if fits and tiles.tiles // length <= most:
            return Cells(tiles, length)
    return Cells(tiles, inside * -(-along_t // most))


def draw_small_map(axes: Axes, cells: Cells, lift: np.ndarray) -> AxesImage:
    """Without ticks: one of many."""
    image = axes.imshow(lift, cmap=style.RAMP, norm=style.lift_norm(), interpolation="antialiased",
                        interpolation_stage="data", rasterized=True)
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    frame_lines(axes, cells.borders, width=0.25)
    return image


def panels_in_row(figure: Figure) -> int:
    return PANELS_IN_NARROW_ROW if style.is_narrow(figure) else PANELS_IN_ROW


def small_maps_page(figure: Figure, panels: int, columns: int | None = None,
                    titled_rows: int | None = None) -> np.ndarray:
    """Square axes for that many panels, `columns` in a row, as many as fit where none is given -> [row,
    column]. titled_rows: how many rows have titles, all where none is given. Empty places show nothing."""
    columns = columns or min(panels, panels_in_row(figure))
    rows = -(-panels // columns)
    side = min((style.width_of(figure) - 1.0) / columns - GAP, LARGEST_PANEL)
    titles = TITLE * (rows if titled_rows is None else titled_rows)
    style.fit_height(figure, rows * (side + GAP) + titles + LABELS)
    if isinstance(figure, Figure):
        figure.set_layout_engine("compressed")
    page = figure.subplots(rows, columns, squeeze=False)
    for axes in page.flat[panels:]:
        axes.set_axis_off()
    figure.supxlabel("key tile", fontsize="medium")
    figure.supylabel("query tile", fontsize="medium")
    return page
