"""Which sites a figure shows where the caller does not say: the one that tells most, chosen by a rule
that its caption can state."""
from __future__ import annotations

import numpy as np
import xarray as xr

from sparsescope.errors import UsageError
from sparsescope.profile import LEADING, Site, kept_calls, kept_heads, recorded, source

REFERENCE_FRACTION = 0.25  # of the tiles, at which heads are called sharp or diffuse


def middle_step(profile: xr.Dataset) -> int:
    steps = recorded(profile, "step")
    return steps[len(steps) // 2]


def spread(items: list, most: int) -> list:
    """At most `most` of the items, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(i)] for i in np.linspace(0, len(items) - 1, most)]


def sharpness(profile: xr.Dataset, site: Site) -> xr.DataArray:
    """[layer, head] mass of a quarter of the tiles at the site's prompt, branch and step."""
    at = profile["coverage_tile"].isel(prompt=site.prompt, branch=site.branch, step=site.step)
    return at.sel(f=REFERENCE_FRACTION).load()


def default_site(profile: xr.Dataset, kept: str = "", diffuse: bool = False, **wanted: int) -> Site:
    """The sharpest head (or the most diffuse one) of the first recorded prompt, conditional branch, middle
    step. kept: "maps" or "qkv", only calls that these were kept of. wanted: axes that are settled."""
    calls = kept_calls(profile, kept) if kept else None
    if calls is not None:
        fitting = [call for call in calls
                   if all(getattr(call, axis) == n for axis, n in wanted.items() if axis != "head")]
        if not fitting:
            places = ", ".join(call.call for call in calls[:6]) or "none"
            raise UsageError(f"{source(profile)}: no kept {kept} at {wanted}; kept: {places}")
        steps = sorted({call.step for call in fitting})
        step = steps[len(steps) // 2]
        first = next(call for call in fitting if call.step == step)
    else:
        first = Site(recorded(profile, "prompt")[0], recorded(profile, "branch")[0], middle_step(profile))
    site = first.with_(**{axis: wanted[axis] for axis in ("prompt", "branch", "step") if axis in wanted})
    sharp = sharpness(profile, site)
    if calls is not None:
        here = np.zeros(sharp.shape, dtype=bool)
        for call in fitting:
            if (call.prompt, call.branch, call.step) == (site.prompt, site.branch, site.step):
                here[call.layer, kept_heads(profile, kept, call)] = True
        sharp = sharp.where(here)
    for axis in ("layer", "head"):
        if axis in wanted:
            sharp = sharp.where(sharp[axis] == wanted[axis])
    values = sharp.values
    if np.isnan(values).all():
        raise UsageError(f"{source(profile)}: no recorded site at {wanted or 'the default place'}")
    layer, head = np.unravel_index(np.nanargmin(values) if diffuse else np.nanargmax(values), values.shape)
    return site.with_(layer=int(layer), head=int(head))


def kept_site(profile: xr.Dataset, kinds: tuple[str, ...], **wanted: int) -> tuple[Site, str]:
    """default_site among the calls that the first of kinds ("qkv", "maps") was kept of which has any at
    `wanted` -> (site, kind)."""
    for kind in kinds[:-1]:
        if any(all(getattr(call, axis) == n for axis, n in wanted.items() if axis != "head")
               for call in kept_calls(profile, kind)):
            return default_site(profile, kept=kind, **wanted), kind
    return default_site(profile, kept=kinds[-1], **wanted), kinds[-1]


def spread_with(items: list[int], most: int, always: int) -> list[int]:
    """spread, where the nearest of the chosen gives way to `always` if that was not chosen."""
    chosen = spread(items, most)
    if always not in chosen:
        chosen[int(np.argmin(np.abs(np.array(chosen) - always)))] = always
    return chosen


def parse_query(text: str) -> tuple[int, int, int] | None:
    """"2,8,8" -> the token at latent frame 2, row 8, column 8; nothing where nothing is asked."""
    if not text:
        return None
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdigit() for part in parts):
        raise UsageError(f"--query: expected T,H,W, three whole numbers, found '{text}'")
    return tuple(int(part) for part in parts)


def parse_site(text: str) -> dict[str, int]:
    """"step=4 layer=3" -> {"step": 4, "layer": 3}."""
    wanted = {}
    for part in text.split():
        axis, _, value = part.partition("=")
        if axis not in LEADING or not value.isdigit():
            raise UsageError(f"--site: expected AXIS=INDEX with an axis of {', '.join(LEADING)}, found '{part}'")
        wanted[axis] = int(value)
    return wanted


def check_site(profile: xr.Dataset, wanted: dict[str, int]) -> None:
    for axis, index in wanted.items():
        if index >= profile.sizes[axis]:
            raise UsageError(f"--site: {axis} {index} does not exist; {source(profile)} has 0 to "
                             f"{profile.sizes[axis] - 1}")


def layer_heads(profile: xr.Dataset, site: Site, kept: str, most: int = 3) -> list[Site]:
    """Heads of the site's layer that "maps" or "qkv" were kept of, from the sharpest to the most diffuse, evenly
    spread in that order."""
    sharp = sharpness(profile, site).values[site.layer]
    held = kept_heads(profile, kept, site)
    order = [int(head) for head in np.argsort(-sharp, kind="stable") if head in held]
    return [site.with_(head=head) for head in spread(order, most)]
