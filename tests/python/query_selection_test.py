"""Which queries BSA prunes and where they get their output: the published micro-case, naive loops, laws."""
from __future__ import annotations

import numpy as np
import pytest

from sparsescope.attention import tile_rows
from sparsescope.figures.prune_error import prune_errors
from sparsescope.grid import TileGrid
from sparsescope.profile import Captured
from sparsescope.query_selection import (RESTORES, TileSlots, cosines, kept_from, restore_sources, tile_slots)

HALF = 4  # eighths


def golden_queries() -> np.ndarray:
    """q of the micro-case: f(25, 4, 4) / 8 on the grid 2 x 2 x 8, three channels. [token, channel]"""
    i, d = np.meshgrid(np.arange(32), np.arange(3), indexing="ij")
    return ((25 * i + 4 * d + 4) % 37 - 18) / 8


def test_micro_case_keeps_and_restores_as_published():
    tiles = TileGrid((2, 2, 8), (2, 2, 2))
    members = tile_rows(tiles, np.arange(4))
    assert list(members[1]) == [2, 3, 10, 11, 18, 19, 26, 27]
    kept_slots, similar, nearest = [], [], []
    for tile, rows in enumerate(members):
        alike, slots = cosines(golden_queries()[rows]), tile_slots(tiles, tile)
        assert slots.centre == 7
        kept = np.flatnonzero(kept_from(alike, slots) <= HALF)
        kept_slots.append("".join(map(str, kept)))
        similar.append("".join(map(str, restore_sources(alike, kept, 7, "similar"))))
        nearest.append("".join(map(str, restore_sources(alike, kept, 7, "nearest"))))
    assert kept_slots == ["1257", "2567", "2367", "1257"]
    assert similar == ["71271577", "67267567", "37237267", "71271527"]
    assert nearest == ["11225557", "22225567", "22233667", "11225557"]


@pytest.mark.parametrize("extents, centre", [
    ((4, 4, 4), 42), ((3, 4, 4), 26), ((4, 2, 4), 22), ((2, 2, 4), 14),
    ((1, 4, 4), 10), ((1, 2, 4), 6), ((1, 1, 2), 1), ((1, 1, 1), 0)])
def test_centre_of_clipped_tiles(extents, centre):
    assert TileSlots(extents, (2, 2, 2)).centre == centre


def test_windows_of_a_full_tile():
    windows = TileSlots((4, 4, 4), (2, 2, 2)).window_of_slot()
    assert list(np.flatnonzero(windows == 0)) == [0, 1, 4, 5, 16, 17, 20, 21]
    assert list(np.flatnonzero(windows == 6)) == [40, 41, 44, 45, 56, 57, 60, 61]
    assert windows[42] == 7  # the centre's


@pytest.mark.parametrize("eighths, quotas", [(8, (8, 4, 2, 1)), (7, (7, 4, 2, 1)), (6, (6, 3, 2, 1)),
                                             (5, (5, 3, 2, 1)), (4, (4, 2, 1, 1))])
def test_quota_of_windows_of_8_4_2_1(eighths, quotas):
    queries = np.random.default_rng(eighths).standard_normal((8, 5))
    for extents, quota in zip(((2, 2, 2), (1, 2, 2), (1, 1, 2), (1, 1, 1)), quotas):
        slots = TileSlots(extents, (2, 2, 2))
        least = kept_from(cosines(queries[:np.prod(extents)]), slots)
        assert (least <= eighths).sum() == quota
        assert least[slots.centre] == 1  # never pruned


def test_equal_queries_go_from_the_highest_slot():
    slots = TileSlots((2, 2, 2), (2, 2, 2))
    least = kept_from(np.ones((8, 8)), slots)
    assert list(np.flatnonzero(least <= HALF)) == [0, 1, 2, 7]


def naive_error(head: Captured, tiles: TileGrid, eighths: int, rule: str) -> tuple[float, float]:
    """Everything row by row, as the definition reads."""
    queries = head.q[head.video].astype(float)
    outputs = []
    for query in queries:
        scores = np.array([query @ key for key in head.k.astype(float)]) * head.scale
        weights = np.exp(scores - scores.max())
        outputs.append(weights / weights.sum() @ head.v.astype(float))
    outputs = np.array(outputs)
    final, pruned = outputs.copy(), 0
    t_total, h_total, w_total = tiles.grid
    for t0 in range(0, t_total, tiles.tile[0]):
        for h0 in range(0, h_total, tiles.tile[1]):
            for w0 in range(0, w_total, tiles.tile[2]):
                slots = [(t, h, w) for t in range(t0, min(t0 + tiles.tile[0], t_total))
                         for h in range(h0, min(h0 + tiles.tile[1], h_total))
                         for w in range(w0, min(w0 + tiles.tile[2], w_total))]
                token = [(t * h_total + h) * w_total + w for t, h, w in slots]
                extents = [1 + slots[-1][axis] - slots[0][axis] for axis in range(3)]
                middle = slots.index((t0 + extents[0] // 2, h0 + extents[1] // 2, w0 + extents[2] // 2))

                def alike(a, b):
                    a, b = queries[token[a]], queries[token[b]]
                    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))

                kept = []
                for window in sorted({((t - t0) // 2, (h - h0) // 2, (w - w0) // 2) for t, h, w in slots}):
                    inside = [i for i, (t, h, w) in enumerate(slots)
                              if ((t - t0) // 2, (h - h0) // 2, (w - w0) // 2) == window]
                    order = sorted(inside, key=lambda i: (-2 if i == middle else alike(i, middle), i))
                    kept += order[:int(np.ceil(len(inside) * eighths / 8))]
                kept.sort()
                for slot in set(range(len(slots))) - set(kept):
                    pruned += 1
                    source = {"zero": None, "centre": middle,
                              "nearest": min(kept, key=lambda i: (abs(i - slot), i)),
                              "similar": max(kept, key=lambda i: (alike(i, slot), -i))}[rule]
                    final[token[slot]] = 0 if source is None else outputs[token[source]]
    return pruned / len(queries), np.linalg.norm(final - outputs) / np.linalg.norm(outputs)


@pytest.mark.parametrize("grid", [(3, 4, 5), (4, 4, 4)])
def test_errors_equal_a_naive_computation(grid):
    rng = np.random.default_rng(1)
    tiles = TileGrid(grid, (4, 4, 4))
    tokens = tiles.tokens + 3  # text before
    q, k, v = rng.standard_normal((3, tokens, 6)).astype(np.float32) * 1.5
    head = Captured(q, k, v, prefix=3, suffix=0, scale=6 ** -0.5)
    pruned, errors = prune_errors(head, tiles, np.arange(tiles.tiles))
    assert pruned[0] == 0 and not errors[:, 0].any()
    for eighths in (7, 4, 1):
        for i, rule in enumerate(RESTORES):
            expected = naive_error(head, tiles, eighths, rule)
            assert (pruned[8 - eighths], errors[i, 8 - eighths]) == pytest.approx(expected, rel=1e-12)


def test_restoring_alike_queries_costs_nothing():
    """Where all queries of a tile are equal every restore rule but zero is exact."""
    tiles = TileGrid((2, 4, 4), (2, 4, 4))
    rng = np.random.default_rng(2)
    q = np.tile(rng.standard_normal(4), (32, 1)).astype(np.float32)
    k, v = rng.standard_normal((2, 32, 4)).astype(np.float32)
    pruned, errors = prune_errors(Captured(q, k, v, 0, 0, 0.5), tiles, np.array([0]))
    assert errors[RESTORES.index("zero")] == pytest.approx(np.sqrt(pruned))
    for rule in ("nearest", "centre", "similar"):
        assert errors[RESTORES.index(rule)] == pytest.approx(0, abs=1e-12)
