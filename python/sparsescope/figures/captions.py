"""Captions from a figure's own parameters: what is shown, of which model and site, measured how."""
from __future__ import annotations

import math

import xarray as xr

from sparsescope.grid import extents_text
from sparsescope.profile import BRANCHES, Site, manifest, model_name, recorded


def caption(profile: xr.Dataset, shown: str, *, site: Site | None = None, axes: tuple[str, ...] = (),
            averaged: str = "", notes: tuple[str, ...] = (), rows: bool = True, lead: str = "") -> str:
    """shown: a sentence on what is drawn. site: where, without the axes that the figure itself spans.
    averaged: what values are means over. notes: further sentences (thresholds, bands, samples). rows: whether
    statistics of the profile are drawn, of which the rows must be named. lead: what the profile has to do
    with the figure, where it is not drawn from it."""
    sentences = [shown]
    if site is not None:
        sentences.append(site_text(profile, site, skip=axes))
    if averaged:
        sentences.append(f"Means over {averaged}")
    sentences += [note for note in notes if note]
    sentences += [f"{lead} {model_text(profile)}".strip(), rows_text(profile) if rows else ""]
    return " ".join(sentence[0].upper() + sentence[1:].rstrip(".") + "." for sentence in sentences if sentence)


def model_text(profile: xr.Dataset) -> str:
    made = manifest(profile)
    model = model_name(profile)
    name = f"model {model}" if model else "captured q, k and v"
    sampling = made.get("sampling", {})
    steps = profile.sizes.get("step", 0)
    parts = [f"{name}, {extents_text(profile.attrs['grid'])} tokens, tiles of {extents_text(profile.attrs['tile'])}",
             f"{steps} step{'s' if steps != 1 else ''}"]
    if sampling.get("guidance", 1) != 1:
        parts.append(f"guidance {sampling['guidance']:g}")
    return ", ".join(parts)


def rows_text(profile: xr.Dataset) -> str:
    """Tile sums use every row; statistics that need an order within a row may be sampled."""
    rows = manifest(profile).get("rows_per_tile", 0)
    return f"Row statistics sampled on {rows} rows a tile" if rows else "Every query row measured"


def site_text(profile: xr.Dataset, site: Site, skip: tuple[str, ...] = ()) -> str:
    parts = []
    if "prompt" not in skip:
        prompts = manifest(profile).get("prompts", [])
        words = f" (“{prompts[site.prompt]}”)" if site.prompt < len(prompts) else ""
        parts.append(f"prompt {site.prompt}{words}")
    if "branch" not in skip and profile.sizes.get("branch", 1) > 1:
        parts.append(f"{BRANCHES[site.branch]} branch")
    if "step" not in skip:
        parts.append(step_text(profile, site.step))
    if "layer" not in skip:
        parts.append(f"layer {site.layer}")
    if "head" not in skip:
        parts.append(f"head {site.head}")
    return ", ".join(parts)


def step_text(profile: xr.Dataset, step: int) -> str:
    noise = float(profile["sigma"][step]) if "sigma" in profile else math.nan
    return f"step {step}" if math.isnan(noise) else f"step {step} (noise level {noise:.3g})"


def expert_text(profile: xr.Dataset) -> str:
    """What the line of style.step_axis is; empty where one model runs all steps."""
    experts = profile["expert"].values if "expert" in profile else ()
    if len(set(experts)) < 2:
        return ""
    return "Dashed line: the low-noise expert takes over from the high-noise one"


def text_note(profile: xr.Dataset) -> str:
    """What masses and shares leave out where the model attends to text keys; empty where there are none."""
    if "prefix_mass" not in profile or not float(profile["prefix_mass"].max()) > 0:
        return ""
    return "Mass on text keys, which every method keeps, is not counted"


def prompts_text(profile: xr.Dataset) -> str:
    """"4 prompts" that were recorded, for `averaged`."""
    count = len(recorded(profile, "prompt"))
    return f"{count} prompt{'s' if count != 1 else ''}"
