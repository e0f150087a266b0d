"""Everything that the page shows, as one object for JSON, within a budget of bytes."""
from __future__ import annotations

import json
import math
import os

import numpy as np
import xarray as xr

from sparsescope.figures import style
from sparsescope.figures.select import default_site
from sparsescope.grid import tile_grid
from sparsescope.profile import BRANCHES, manifest, partitions, recorded
from sparsescope.report.budget import choose_levels, left_out
from sparsescope.report.definitions import terms
from sparsescope.report.fields import TARGETS, extents_of, reduce_field, site_fields, size_of
from sparsescope.report.findings import findings
from sparsescope.report.maps import page_maps
from sparsescope.report.overview import lacking, manifest_lines, profiled
from sparsescope.report.plans import page_plan
from sparsescope.report.validations import page_validation
from sparsescope.report.videos import page_videos
from sparsescope.sources import Sources

MOST_BYTES = 9_000_000  # of JSON: with Plotly's 4.8 MB the page stays under 15 MB
MAPS_SHARE = 0.25


def report_data(sources: Sources, most_bytes: int = MOST_BYTES) -> dict:
    """Numbers are means over prompts with intervals; what does not fit is named in left_out."""
    profile = sources.profile
    content = {
        "axes": axes(sources), "terms": terms(), "colours": colours(), "profiled": profiled(profile),
        "manifest": manifest_lines(profile), "lacking": lacking(sources),
        "findings": findings(sources.summary) if sources.summary else [],
        "not_told": sources.summary["missing"] if sources.summary else [],
        "plans": [page_plan(_stem(path), plan, profile)
                  for path, plan in zip(sources.files.plans, sources.plans)],
        "validations": [page_validation(one) for one in sources.validations],
        "sweep": sources.sweep, "costs": sources.costs,
    }
    notes: list[str] = []
    content["videos"], more = page_videos(sources.videos) if sources.videos else ([], [])
    notes += more
    content["maps"], more = page_maps(profile, int(MAPS_SHARE * most_bytes))
    notes += more
    room = most_bytes - len(json.dumps(content))
    fields = {field.name: field for field in site_fields(profile)}
    levels = choose_levels({
        name: size_of(profile, field)
        for name, field in fields.items()
    }, extents_of(profile), room)
    content["fields"] = {name: reduce_field(profile, fields[name], level)
                         for name, level in levels.items() if level is not None}
    notes += left_out(levels, recorded(profile, "step"), len(recorded(profile, "branch")),
                      len(recorded(profile, "prompt")))
    content["left_out"] = notes
    return content


def start_head(profile: xr.Dataset) -> dict[str, int]:
    """The head that the page opens on: the one that figures show. The first where coverage was not recorded."""
    if "coverage_tile" not in profile:
        return {"layer": 0, "head": 0}
    site = default_site(profile)
    return {"layer": site.layer, "head": site.head}


def axes(sources: Sources) -> dict:
    profile = sources.profile
    tiles, made = tile_grid(profile), manifest(profile)
    prompts = recorded(profile, "prompt")
    texts = made.get("prompts", [])
    return {
        "prompts": [{
            "number": n,
            "words": texts[n] if n < len(texts) else f"prompt {n}"
        } for n in prompts],
        "branches": [{
            "number": n,
            "name": BRANCHES[n]
        } for n in recorded(profile, "branch")],
        "steps": recorded(profile, "step"),
        "start": start_head(profile),
        "layers": profile.sizes["layer"],
        "heads": profile.sizes["head"],
        "layer_names": _texts(profile, "layer_name"),
        "sigma": _numbers(profile, "sigma"),
        "f": _numbers(profile, "f"),
        "kappa": _numbers(profile, "kappa"),
        "tau": _numbers(profile, "tau"),
        "targets": list(TARGETS),
        "partitions": partitions(profile),
        "grid": list(tiles.grid),
        "tile": list(tiles.tile),
        "counts": list(tiles.counts),
        "tile_sizes": tiles.tile_sizes().tolist(),
        "tokens": tiles.tokens,
        "rows": made.get("rows_per_tile", 0),
        "error_tiles": made.get("error_tiles", 0),
    }


def colours() -> dict:
    """Of the printed figures; the page takes its inks from its theme."""
    return {
        "lines": [style.BLUE, style.ORANGE, style.GREEN, style.PURPLE, style.SKY, style.YELLOW],
        "methods": {
            name: {
                "label": label,
                "colour": colour
            }
            for name, (label, colour, _, _) in style.METHODS.items()
        }
    }


def _numbers(profile, name: str) -> list[float | None]:
    """None where it is unknown, as the noise level of captured calls."""
    values = profile[name].values.astype(np.float64).tolist() if name in profile.variables else []
    return [None if math.isnan(value) else value for value in values]


def _texts(profile, name: str) -> list[str]:
    return [str(value) for value in profile[name].values] if name in profile.variables else []


def _stem(path: str) -> str:
    return os.path.basename(path).removesuffix(".json")
