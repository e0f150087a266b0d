"""The numbers of every head that the page shows, and how they are reduced over prompts.

A field is a statistic of the profile or a number derived from one, [branch, step, layer, head, ...]: its
mean over prompts, the interval, and each prompt's own values, as far as the budget allows.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from sparsescope.grid import tile_grid
from sparsescope.profile import LEADING, partitions, recorded
from sparsescope.report.budget import Extents, Level, Size, spread_steps
from sparsescope.report.encode import finite, pack
from sparsescope.statistics import fraction_for, mean_recorded, site_band

TARGETS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)  # recalls that can be asked for
SHARPEST = 0.01  # of the tiles, whose mass is the sink share
QUARTER = 0.25
HEAD_QUANTILES = (0.05, 0.5, 0.95)
BYTES_AT_ONCE = 64 << 20


@dataclass(frozen=True)
class Field:
    name: str
    source: str  # statistic of the profile
    compute: Callable[[np.ndarray], np.ndarray] | None = None  # [.., axes of the source] -> [.., tail]
    tail: tuple[int, ...] | None = None  # extents of what compute gives; None: the source's own
    weight: float = 1.0
    interval: bool = True
    with_text: bool = False  # text keys are always kept: their mass counts
    over_heads: bool = False  # quantiles over heads in place of the heads: [.., tail, quantile]


def site_fields(profile: xr.Dataset) -> list[Field]:
    """All fields that the profile can give."""
    numbers = _numbers(profile)
    found = numbers + [replace(field, name=f"{field.name}/heads", weight=8.0, interval=False, over_heads=True)
                       for field in numbers]
    found += [Field(name, name, weight=2.0) for name in ("coverage_row", "coverage_tile", "coverage_pooled")]
    found += [
        Field(name, name) for name in ("mass_dt", "mass_dh", "mass_dw", "bsa_density", "bsa_recall",
                                       "bsa_error", "bsa_error_unpruned", "error_pooled", "effect_pooled",
                                       "bsa_effect", "bsa_effect_unpruned")
    ]
    found += [Field(name, name, interval=False) for name in ("frame_mass", "query_cosine", "key_mass")]
    for partition in partitions(profile):
        prefix = f"vmoba/{partition}/"
        found += [Field(prefix + name, prefix + name, interval=False, weight=0.25)
                  for name in ("density_topk", "recall_topk", "error_topk")]
        found += [
            Field(prefix + name, prefix + name, _query_head_pool, profile[prefix + name].shape[-1:], 0.2,
                  False) for name in ("density_tau", "recall_tau", "error_tau") if prefix + name in profile
        ]
    return [field for field in found if field.source in profile]


def _query_head_pool(values: np.ndarray) -> np.ndarray:
    return values[..., 0, :]  # pools are ordered query_head, head_global, block, overall


def _numbers(profile: xr.Dataset) -> list[Field]:
    """One number a head and step, or one for each recall: what the heat maps show."""
    def needed(curve: np.ndarray) -> np.ndarray:
        return np.stack([fraction_for(curve, profile["f"].values, target) for target in TARGETS], axis=-1)

    def quarter(curve: np.ndarray) -> np.ndarray:
        return curve[..., int(np.abs(profile["f"].values - QUARTER).argmin())]

    bins = (np.arange(64) + 0.5) / 32 - 1  # centres of query_cosine's bins

    def mean_cosine(counts: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return counts @ bins / counts.sum(axis=-1)

    def sink_share(mass: np.ndarray) -> np.ndarray:
        count = -(-mass.shape[-1] // round(1 / SHARPEST))
        return np.sort(mass, axis=-1)[..., -count:].sum(axis=-1)

    def own_frame(mass: np.ndarray) -> np.ndarray:
        return np.einsum("...aa->...", mass) / mass.shape[-1]

    uniform = np.log(tile_grid(profile).tokens)
    found = [Field(f"needed_{kind}", f"coverage_{kind}", needed, (len(TARGETS),), 4.0, with_text=True)
             for kind in ("tile", "pooled", "row")]
    found += [
        Field("entropy", "entropy", weight=4.0),
        Field("entropy_share", "entropy", lambda values: values / uniform, (), 4.0),
        Field("row_overlap", "row_overlap", weight=4.0),
        Field("query_cosine_mean", "query_cosine", mean_cosine, (), 4.0),
        Field("own_frame", "frame_mass", own_frame, (), 4.0),
        Field("sink_share", "key_mass", sink_share, (), 4.0),
        Field("error_quarter", "error_pooled", quarter, (), 4.0),
        Field("sensitivity", "sensitivity", weight=4.0),
        Field("skewness", "score_moments", lambda moments: moments[..., 2], (), 4.0),
        Field("kurtosis", "score_moments", lambda moments: moments[..., 3], (), 4.0),
        Field("prefix_mass", "prefix_mass", weight=4.0),
    ]
    return found


def size_of(profile: xr.Dataset, field: Field) -> Size:
    tail = profile[field.source].shape[len(LEADING):] if field.tail is None else field.tail
    values = int(np.prod(tail)) * (len(HEAD_QUANTILES) if field.over_heads else 1)
    return Size(values, field.weight, field.interval, field.over_heads)


def extents_of(profile: xr.Dataset) -> Extents:
    return Extents(len(recorded(profile, "prompt")), len(recorded(profile, "branch")),
                   len(recorded(profile, "step")), profile.sizes["layer"], profile.sizes["head"])


def read_steps(profile: xr.Dataset, field: Field, branches: list[int],
               steps: list[int]) -> Iterator[np.ndarray]:
    """The field's values of recorded prompts, some steps at a time: fp64 [prompt, branch, step, layer,
    head, ..]."""
    source = profile[field.source].isel(prompt=recorded(profile, "prompt"), branch=branches)
    axes = LEADING + tuple(axis for axis in source.dims if axis not in LEADING)
    at_once = max(1, BYTES_AT_ONCE // (8 * source.size // source.sizes["step"]))
    for start in range(0, len(steps), at_once):
        part = source.isel(step=steps[start:start + at_once]).transpose(*axes)
        values = part.values.astype(np.float64)
        if field.with_text and "prefix_mass" in profile:
            text = profile["prefix_mass"].isel(prompt=recorded(profile, "prompt"), branch=branches,
                                               step=steps[start:start + at_once])
            values = values + text.transpose(*LEADING).values[..., None]
        yield values if field.compute is None else field.compute(values)


def reduce_field(profile: xr.Dataset, field: Field, level: Level) -> dict:
    """-> what the page holds of the field: the steps and branches kept, packed arrays, the range of the
    means."""
    steps = spread_steps(recorded(profile, "step"), level.steps)
    branches = recorded(profile, "branch")
    branches = branches if level.both_branches else branches[:1]
    parts = [_reduce_heads(values, field, level) for values in read_steps(profile, field, branches, steps)]
    with_prompts = len(recorded(profile, "prompt")) > 1
    bands = [
        site_band(values) if level.interval and field.interval and with_prompts else None
        for values in parts
    ]
    means = [band.mean if band else mean_recorded(values, 0) for band, values in zip(bands, parts)]
    mean = np.concatenate(means, axis=1)
    known = mean[np.isfinite(mean)]
    entry = {
        "steps": steps,
        "branches": branches,
        "heads": level.heads and not field.over_heads,
        "mean": pack(mean),
        "range": [finite(known.min()), finite(known.max())] if known.size else None
    }
    if bands[0] is not None:
        entry["low"] = pack(np.concatenate([band.low for band in bands], axis=1))
        entry["high"] = pack(np.concatenate([band.high for band in bands], axis=1))
    if level.prompts and with_prompts:
        entry["prompts"] = pack(np.concatenate(parts, axis=2))
    return entry


def _reduce_heads(values: np.ndarray, field: Field, level: Level) -> np.ndarray:
    """values [prompt, branch, step, layer, head, ..]"""
    if field.over_heads:  # a place where no head was recorded stays NaN
        quantiles = _quantiles_of_known(np.moveaxis(values, 4, 0))
        return np.moveaxis(quantiles, 0, -1)
    return values if level.heads else mean_recorded(values, 4)[:, :, :, :, None]


def _quantiles_of_known(values: np.ndarray) -> np.ndarray:
    """Along the first axis, of what is not NaN: linear between order statistics. -> [quantile, ..]"""
    ranked = np.sort(values, axis=0)  # NaN last
    count = (~np.isnan(values)).sum(axis=0)
    found = []
    for share in HEAD_QUANTILES:
        place = share * np.maximum(count - 1, 0)
        below = np.floor(place).astype(int)
        low, high = (np.take_along_axis(ranked, np.minimum(at, len(values) - 1)[None], axis=0)[0]
                     for at in (below, np.ceil(place).astype(int)))
        found.append(low + (place - below) * (high - low))
    return np.stack(found)
