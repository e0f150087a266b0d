"""What was profiled and how, and what a profile lacks."""
from __future__ import annotations

import xarray as xr

from sparsescope.grid import extents_text, tile_grid
from sparsescope.profile import manifest, model_name, recorded
from sparsescope.sources import Sources, need_text


def profiled(profile: xr.Dataset) -> list[list[str]]:
    """[name, text] of the facts that a reader asks for first; all else stands in the manifest."""
    made, tiles = manifest(profile), tile_grid(profile)
    name = model_name(profile) or "captured q, k and v"
    facts = [["model", f"{name} ({made['family']})" if "family" in made else name],
             ["attention", f"{profile.sizes['layer']} layers of {profile.sizes['head']} heads"
              + (f", {made['head_dim']} channels each" if "head_dim" in made else "")],
             ["tokens", f"{extents_text(tiles.grid)} (t, h, w) = {tiles.tokens}"],
             ["tiles", f"{extents_text(tiles.tile)} tokens, {extents_text(tiles.counts)} = {tiles.tiles} tiles"],
             ["recorded", ", ".join(_counted(len(recorded(profile, axis)), profile.sizes[axis], axis)
                                    for axis in ("prompt", "branch", "step", "layer"))]]
    sampling = [f"{made['steps']} steps" if "steps" in made else "", str(made.get("scheduler", "")),
                f"shift {made['shift']:g}" if made.get("shift") is not None else "",
                f"guidance {made['guidance']:g}" if made.get("guidance") is not None else "",
                f"seed {made['seed']}" if "seed" in made else ""]
    facts.append(
        ["sampling", ", ".join(part for part in sampling if part) or "none: q, k and v were captured"])
    rows = made.get("rows_per_tile", 0)
    facts.append(["rows", f"{rows} a tile for statistics that need an order within a row" if rows
                  else "every query row measured"])
    for text in made.get("approximations", []):
        facts.append(["approximation", text])
    facts.append([
        "computed",
        ", ".join(str(made[key]) for key in ("precision", "device", "kernels", "producer") if key in made)
        or "not stated"
    ])
    return facts


def manifest_lines(profile: xr.Dataset) -> list[list[str]]:
    """The manifest's single values, for a reader who wants all of it; lists of numbers and nested objects
    are told in profiled or by the axes."""
    return [[key, str(value)] for key, value in manifest(profile).items()
            if isinstance(value, (str, int, float, bool)) and value != ""]


SHOWN = ("maps", "sensitivity", "errors", "vmoba", "summary", "plan", "validations", "clips", "removal", "videos",
         "sweep", "costs")  # of NEEDS: what the page has a place for


def lacking(sources: Sources) -> list[str]:
    """What the page could also show, and the option that records or hands it over."""
    return [need_text(need) for need in SHOWN if sources.lacks(need)]


def _counted(count: int, of: int, axis: str) -> str:
    plural = {"branch": "branches"}.get(axis, axis + "s")
    noun = axis if count == 1 else plural
    return f"{count} {noun}" if count == of else f"{count} of {of} {plural}"
