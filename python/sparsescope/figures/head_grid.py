"""Small maps: all heads of one layer; one head over layers and steps."""
from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from sparsescope import profile as files
from sparsescope.figures import style
from sparsescope.figures.captions import caption, step_text
from sparsescope.figures.mass_maps import Cells, cells_of, draw_small_map, panels_in_row, small_maps_page
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import default_site, spread
from sparsescope.grid import tile_grid
from sparsescope.profile import Site, kept_calls

MOST_STEPS = 4
MOST_LAYERS_ALONE = 40  # of one step, over several rows
READING = ("Attention of every query tile (down) on every key tile (across) over what uniform attention "
           "would give, log scale")


def _panel(axes, profile: xr.Dataset, site: Site, cells: Cells):
    """Draws one site's map -> (image, lift)."""
    lift = cells.lift(files.tile_map(profile, site))
    return draw_small_map(axes, cells, lift), lift


@figure("head-grid", "maps", "How different are the heads of a layer?", needs=("maps",), panels=True,
        columns=2)
def head_grid(figure: Figure, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    """The lift of every head's tile masses, one layer, one step."""
    site = site or default_site(profile, kept="maps")
    cells = cells_of(tile_grid(profile))
    heads = profile.sizes["head"]
    page = small_maps_page(figure, heads)
    rows, left_out = [], []
    for head, axes in zip(range(heads), page.flat):
        axes.set_title(f"head {head}")
        image, lift = _panel(axes, profile, site.with_(head=head), cells)
        if np.isnan(lift).all():
            left_out.append(head)
        rows.append(cells.table(lift, head=head))
    style.lift_bar(figure, image, list(page.flat))
    return Drawn(pd.concat(rows, ignore_index=True), caption(
        profile, f"{READING}, for the heads of one layer; lines part the frames of tiles", site=site,
        axes=("head",), notes=(cells.text, f"heads {left_out} were not kept" if left_out else "")))


@figure("layer-grid", "maps", "Do patterns move over layers or steps?", needs=("maps",), panels=True,
        columns=2)
def layer_grid(figure: Figure, profile: xr.Dataset, *, site: Site | None = None) -> Drawn:
    """The lift of one head's tile masses in every layer, a row for each step that maps were kept of."""
    site = site or default_site(profile, kept="maps")
    cells = cells_of(tile_grid(profile))
    kept = [call for call in kept_calls(profile, "maps")
            if (call.prompt, call.branch) == (site.prompt, site.branch)]
    all_steps, all_layers = sorted({call.step for call in kept}), sorted({call.layer for call in kept})
    steps = spread(all_steps, MOST_STEPS)
    in_row = panels_in_row(figure)
    layers = spread(all_layers, MOST_LAYERS_ALONE if len(steps) == 1 else in_row)
    page = small_maps_page(figure, len(layers) * len(steps), columns=min(in_row, len(layers)),
                           titled_rows=None if len(steps) == 1 else 1)
    places = [(step, layer) for step in steps for layer in layers]
    here = {(call.step, call.layer) for call in kept}
    rows = []
    for (step, layer), axes in zip(places, page.flat):
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"layer {layer}" if len(steps) == 1 or step == steps[0] else "")
        if len(steps) > 1 and layer == layers[0]:
            axes.set_ylabel(f"step {step}")
        if (step, layer) in here:
            image, lift = _panel(axes, profile, site.with_(step=step, layer=layer), cells)
            rows.append(cells.table(lift, step=step, layer=layer))
    style.lift_bar(figure, image, list(page.flat))
    chosen = [f"{len(some)} of the {len(every)} {name} kept, evenly chosen"
              for name, some, every in (("steps", steps, all_steps), ("layers", layers, all_layers))
              if len(some) < len(every)]
    noise = "; ".join(step_text(profile, step) for step in steps)
    return Drawn(pd.concat(rows, ignore_index=True), caption(
        profile, f"{READING}, for one head number in the layers (columns) of the model, {noise}; lines part "
        "the frames of tiles", site=site, axes=("layer", "step"), notes=(cells.text, *chosen)))
