"""The sets of key tiles that query tiles would keep, from kept maps: how far do they agree between steps or
between prompts, and how much of one map's mass do another's tiles hold?

A set is the K(f) heaviest key tiles of a row of M. Where sets are compared, a query tile's own tile is left
out: selectors force it (VMoBA) or choose it nearly always, so that it would agree by itself.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from sparsescope import profile as files
from sparsescope.attention import spread_rows
from sparsescope.grid import tile_grid
from sparsescope.profile import Site
from sparsescope.statistics import chance_jaccard, heaviest, kept_tiles

MOST_QUERY_TILES = 256  # compared of each map, evenly spread
MOST_VALUES = 2 ** 26  # read in all: 32 maps of 1,440 x 1,440 tiles, a few seconds


def jaccard(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """|A and B| / |A or B| of sets marked along the last axis. [.., N] bool -> [..]."""
    union = (first | second).sum(axis=-1)
    return (first & second).sum(axis=-1) / np.maximum(union, 1)


def heaviest_others(mass: np.ndarray, own: np.ndarray, kept: int) -> np.ndarray:
    """Marks the `kept` heaviest key tiles of each row but its own. mass [.., row, N], own [row]."""
    others = np.array(mass, dtype=np.float64)
    others[..., np.arange(len(own)), own] = -np.inf
    return heaviest(others, kept)


@dataclass(frozen=True)
class SetAgreement:
    """Of every pair of maps along one axis, in each place (a head of one call apart from that axis)."""

    along: list[int]  # the steps or prompts compared
    places: list[Site]
    jaccard: np.ndarray  # [place, a, b], mean over query tiles weighted by n_i; NaN where a map is missing
    recall: np.ndarray  # [place, a, b]: mass of b's map on the K(f) heaviest tiles of a's, own tile included
    kept: int  # K(f)
    tiles: int  # N
    query_tiles: int  # compared of each map
    heads: int  # (layer, head) with maps, of which places show some or all

    @property
    def chance(self) -> float:
        """The Jaccard index of independent sets among the other tiles."""
        others = max(self.tiles - 1, 1)
        return chance_jaccard(min(self.kept, others), others)

    def sample_text(self) -> str:
        """What was compared, where it is not everything."""
        shown = len({(place.layer, place.head) for place in self.places})
        parts = [f"{shown} of {self.heads} heads with maps"] if shown < self.heads else []
        if self.query_tiles < self.tiles:
            parts.append(f"{self.query_tiles} of {self.tiles} query tiles a map")
        return f"Drawn from a sample, evenly spread: {' and '.join(parts)}" if parts else ""


def set_agreement(profile: xr.Dataset, axis: str, calls: Iterable[Site], fraction: float) -> SetAgreement:
    """axis: "step" or "prompt". calls: those with kept maps that are compared, of one branch."""
    calls = list(calls)
    along = sorted({getattr(call, axis) for call in calls})
    tiles = tile_grid(profile)
    rows = np.unique(spread_rows(tiles.tiles, MOST_QUERY_TILES))
    weights = tiles.tile_sizes()[rows] / tiles.tile_sizes()[rows].sum()
    kept = int(kept_tiles(fraction, tiles.tiles))
    by_layer: dict[int, dict[int, dict[int, Site]]] = {}  # layer -> the other axis -> along -> call
    other = "prompt" if axis == "step" else "step"
    for call in calls:
        by_layer.setdefault(call.layer, {}).setdefault(getattr(call, other), {})[getattr(call, axis)] = call
    heads = [(layer, head) for layer in sorted(by_layer) for head in range(profile.sizes["head"])]
    maps_of_head = max(1, len(calls) // len(by_layer))
    most = max(1, MOST_VALUES // (maps_of_head * tiles.tiles ** 2))
    places, agreement, recall = [], [], []
    for layer, head in (heads[i] for i in np.unique(spread_rows(len(heads), most))):
        for at in by_layer[layer].values():
            places.append(next(iter(at.values())).with_(head=head))
            found = _compare(profile, [at.get(index) for index in along], head, rows, weights, kept)
            agreement.append(found[0])
            recall.append(found[1])
    return SetAgreement(along, places, np.array(agreement), np.array(recall), kept, tiles.tiles, len(rows),
                        len(heads))


def _compare(profile: xr.Dataset, calls: list[Site | None], head: int, rows: np.ndarray, weights: np.ndarray,
             kept: int) -> tuple[np.ndarray, np.ndarray]:
    """Jaccard and recall [a, b] of one head's maps."""
    maps = [None if call is None else files.tile_map(profile, call.with_(head=head))[rows] for call in calls]
    there = [i for i, mass in enumerate(maps) if mass is not None and not np.isnan(mass).any()]
    agreement = np.full((len(calls), len(calls)), np.nan)
    recall = agreement.copy()
    if not there:
        return agreement, recall
    mass = np.stack([maps[i] for i in there])  # [map, row, N]
    cut = min(kept, mass.shape[-1] - 1)
    sets = heaviest_others(mass, rows, cut).transpose(1, 0, 2).astype(np.float32)  # [row, map, N]
    common = sets @ sets.transpose(0, 2, 1)  # exact: counts below 2^24
    place = np.ix_(there, there)
    agreement[place] = np.tensordot(weights, common / np.maximum(2 * cut - common, 1), axes=1)
    whole = heaviest(mass, kept).transpose(1, 0, 2).astype(np.float64)
    recall[place] = np.tensordot(weights, whole @ mass.transpose(1, 2, 0).astype(np.float64), axes=1)
    return agreement, recall
