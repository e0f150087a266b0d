"""What larger tiles cost: captured mass against the volume of a tile."""
from __future__ import annotations

from math import prod

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from sparsescope.attention import row_probabilities, spread_tile_rows, tile_means, tile_sums
from sparsescope.figures import style
from sparsescope.figures.captions import caption, text_note
from sparsescope.figures.curve_panels import colour_handles, head_names, sharp_and_diffuse
from sparsescope.figures.registry import Drawn, figure
from sparsescope.grid import TileGrid, extents_text, tile_grid
from sparsescope.profile import Captured, Site, captured, manifest
from sparsescope.sources import other_tiles
from sparsescope.statistics import kept_tiles, mean_recorded

SHAPES = ((1, 4, 4), (4, 4, 4), (4, 4, 8), (4, 8, 8))  # 16, 64, 128 and 256 tokens, each inside the next
MOST_CUBES = 8  # of the largest shape: the query rows that are looked at, 2,048 of them


def mass_of_order(mass: np.ndarray, sizes: np.ndarray, order: np.ndarray,
                  fraction: float) -> tuple[float, float]:
    """Mass of one query tile's key tiles taken in an order: of the first K(f), and of exactly the share f
    of the keys, the last tile in part. mass, sizes [key tile]."""
    held = np.cumsum(mass[order])
    keys = np.cumsum(sizes[order]) / sizes.sum()
    kept = int(kept_tiles(fraction, len(mass)))
    return held[kept - 1], float(np.interp(fraction, np.append(0, keys), np.append(0, held)))


def captured_by_shapes(head: Captured, grid: tuple[int, int, int], shapes=SHAPES, fraction: float = 0.25,
                       most_cubes: int = MOST_CUBES) -> list[dict]:
    """For each shape of tiles the mass that the best tiles of a query tile and those of its pooled scores
    hold, mean over the query rows of evenly spread cubes of the largest shape. Every shape divides the next:
    masses are summed on the smallest once, and on the others from those."""
    fine, largest = TileGrid(grid, shapes[0]), TileGrid(grid, shapes[-1])
    rows = spread_tile_rows(largest, most_cubes)
    fine_of = fine.tile_of_token()
    queries = np.unique(fine_of[rows])
    sums = np.zeros((len(queries), fine.tiles))  # [fine query tile, fine key tile], over the rows
    for batch, probabilities in row_probabilities(head, rows):
        np.add.at(sums, np.searchsorted(queries, fine_of[batch]),
                  tile_sums(probabilities[:, head.video], fine))
    found = []
    for tiles in (TileGrid(grid, shape) for shape in shapes):
        inside = np.empty(fine.tiles, dtype=int)  # [fine tile] -> tile
        inside[fine_of] = tiles.tile_of_token()
        wanted = np.unique(inside[queries])
        total = np.zeros((len(wanted), tiles.tiles))
        np.add.at(total, (np.searchsorted(wanted, inside[queries])[:, None], inside), sums)
        pooled = tile_means(head.q[head.video], tiles)[wanted] @ tile_means(head.k[head.video], tiles).T
        for name, ranks in (("coverage_tile", total), ("coverage_pooled", pooled)):
            orders = np.argsort(-ranks, axis=1, kind="stable")
            held = [mass_of_order(mass, tiles.tile_sizes(), order, fraction)
                    for mass, order in zip(total, orders)]
            fixed, equal = np.sum(held, axis=0) / len(rows)
            found.append({"tile_shape": "x".join(map(str, tiles.tile)), "volume": prod(tiles.tile),
                          "curve": name,
                          "fixed_f": fixed, "equal_pairs": equal})
    return found


def stored_by_tiles(profiles: list[xr.Dataset], site: Site, fraction: float) -> list[dict]:
    """The same from profiles of other tiles; between measured K linear in K / N, from 0 at 0."""
    found = []
    for profile in sorted(profiles, key=lambda one: prod(tile_grid(one).tile)):
        tiles, fractions = tile_grid(profile), profile["f"].values
        for name in ("coverage_tile", "coverage_pooled"):
            at = profile[name].isel(branch=site.branch, step=site.step, layer=site.layer, head=site.head)
            curve = mean_recorded(at.isel(prompt=_common_prompts(profile, profiles)).values, 0)
            kept = kept_tiles(fractions, tiles.tiles) / tiles.tiles
            found.append({"tile_shape": "x".join(map(str, tiles.tile)), "volume": prod(tiles.tile),
                          "curve": name,
                          "fixed_f": float(np.interp(fraction, fractions, curve)),
                          "equal_pairs": float(np.interp(fraction, np.append(0, kept), np.append(0, curve)))})
    return found


def _holds(profile: xr.Dataset, site: Site) -> bool:
    """Whether a profile recorded the site for any prompt."""
    index = {axis: at for axis, at in site.index.items() if axis not in ("prompt", "head")}
    return (all(at < profile.sizes[axis] for axis, at in index.items())
            and bool(profile["recorded"].isel(index).any()))


def _common_prompts(profile: xr.Dataset, profiles: list[xr.Dataset]) -> list[int]:
    """Indices of a profile's prompts that all profiles hold, by their words; all prompts where there are none."""
    words = [manifest(one).get("prompts", []) for one in profiles]
    common = set(words[0]).intersection(*words[1:])
    return [i for i, prompt in enumerate(manifest(profile).get("prompts", [])) if prompt in common] \
        or list(range(profile.sizes["prompt"]))


@figure("tile-size", "curves", "What does a larger tile cost?", needs=("tiles",), panels=True, height=2.6)
def tile_size(figure: Figure, profile: xr.Dataset, *, site: Site | None = None, fraction: float = 0.25,
              others: list[xr.Dataset] = ()) -> Drawn:
    """Mass at a kept fraction against the tile's volume, K(f) tiles (left) and exactly that share of the
    pairs (right). From profiles with other tiles, else from raw q, k, v."""
    heads = sharp_and_diffuse(profile, site)
    stored = [other for other in other_tiles(profile, others) if _holds(other, heads[0])]
    if stored:
        rows = [{"head": head.head, **row} for head in heads
                for row in stored_by_tiles([profile, *stored], head, fraction)]
        told = "From profiles recorded with each tile, mean over the prompts that they share"
    else:
        heads = sharp_and_diffuse(profile, site, kept="qkv")
        rows = [{"head": head.head, **row} for head in heads
                for row in captured_by_shapes(captured(profile, head), tile_grid(profile).grid,
                                              fraction=fraction)]
        told = (f"From raw q, k, v; query rows of at most {MOST_CUBES} evenly spread cubes of "
                f"{extents_text(SHAPES[-1])} tokens")
    table = pd.DataFrame(rows)
    panels = figure.subplots(1, 2, sharey=True)
    for panel, (column, title) in zip(panels, (("fixed_f", "K(f) tiles"), ("equal_pairs", "equal pairs"))):
        for head, colour, marker in zip(heads, (style.ORANGE, style.BLUE), style.MARKERS):
            for name, dash in (("coverage_tile", "--"), ("coverage_pooled", "-")):
                here = table[(table["head"] == head.head) & (table["curve"] == name)]
                panel.plot(here["volume"], here[column], color=colour, linestyle=dash, marker=marker)
        panel.set_title(title)
        panel.axhline(fraction, color=style.QUIET, linewidth=0.8)
        panel.set_xscale("log", base=2)
        panel.xaxis.set_major_locator(FixedLocator(sorted(set(table["volume"]))))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(FuncFormatter(lambda volume, _: f"{volume:g}"))
        panel.set_xlabel("tokens in a tile")
    panels[0].set_ylim(0, 1.02)
    panels[0].set_ylabel("attention mass kept")
    style.legend_above(figure, 2, handles=[
        *colour_handles(head_names(heads)), Line2D([], [], color=style.INK, label="picked by pooled scores"),
        Line2D([], [], color=style.INK, linestyle="--", label="best of each query tile")])
    shapes = ", ".join(dict.fromkeys(table.sort_values("volume")["tile_shape"].str.replace("x", " x ")))
    return Drawn(table, caption(
        profile, f"Attention mass that {fraction:g} of the key tiles hold, against the size of a tile ({shapes}): "
        "best tiles of each query tile, and picked by pooled scores; left K(f) = ⌈f N⌉ tiles, right "
        "exactly that share of the query-key pairs, the last tile in part", site=heads[0],
        axes=("head", *(("prompt",) if stored else ())),
        notes=(told, text_note(profile))))
