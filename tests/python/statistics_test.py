"""Intervals, sets and curves against values worked out by hand."""
from __future__ import annotations

import numpy as np
import pytest

from sparsescope.attention import pooled_scores, row_probabilities, spread_rows, tile_sums
from sparsescope.grid import TileGrid
from sparsescope.profile import Captured
from sparsescope.statistics import above_chance, chance_jaccard, fraction_for, heaviest, kept_tiles, prompt_band


def test_prompts_that_were_not_recorded_are_left_out():
    band = prompt_band(np.array([[1.0, 4.0], [np.nan, np.nan], [3.0, 8.0]]))
    np.testing.assert_array_equal([band.mean, band.low, band.high], [[2, 6], [1, 4], [3, 8]])
    assert band.prompts == 2 and "span the 2 prompts" in band.meaning


def test_one_prompt_has_no_interval():
    band = prompt_band(np.array([[5.0], [np.nan]]))
    assert band.mean == 5 and np.isnan(band.low) and np.isnan(band.high)


def test_bootstrap_interval_of_normal_means():
    values = np.random.default_rng(1).normal(size=400)
    band = prompt_band(values)
    half = 1.96 * values.std() / np.sqrt(400)
    assert band.low == pytest.approx(values.mean() - half, abs=0.015)
    assert band.high == pytest.approx(values.mean() + half, abs=0.015)
    assert prompt_band(values).low == band.low  # drawn alike each time


def test_kept_tiles_rounds_up_and_stays_in_range():
    np.testing.assert_array_equal(kept_tiles(np.array([1 / 64, 1 / 32, 0.3, 1.0]), 32), [1, 1, 10, 32])


def test_fraction_for_is_linear_in_log_f():
    fractions = np.array([0.25, 0.5, 1.0])
    assert fraction_for(np.array([0.5, 0.7, 1.0]), fractions, 0.6) == pytest.approx(np.sqrt(0.125))
    assert fraction_for(np.array([0.5, 0.7, 1.0]), fractions, 0.2) == 0.25
    assert np.isnan(fraction_for(np.array([np.nan, 0.7, 1.0]), fractions, 0.6))


def test_chance_floor_is_what_random_sets_have():
    assert chance_jaccard(8, 32) == pytest.approx(0.25 / 1.75)
    draws = np.random.default_rng(0).random((2, 2000, 32))
    first, second = (heaviest(draw, 8) for draw in draws)
    expected_overlap = (first & second).sum() / 2000
    assert expected_overlap == pytest.approx(64 / 32, abs=0.06)  # K^2 / N
    assert above_chance(np.array(chance_jaccard(8, 32)), chance_jaccard(8, 32)) == 0
    assert above_chance(np.array(1.0), 0.2) == 1


def test_heaviest_takes_the_lower_index_among_equals():
    np.testing.assert_array_equal(heaviest(np.array([1.0, 3.0, 3.0, 3.0]), 2), [False, True, True, False])


def random_head(tokens: int, prefix: int) -> Captured:
    q, k, v = np.random.default_rng(3).normal(size=(3, tokens, 8)).astype(np.float32)
    return Captured(q, k, v, prefix, 0, 8 ** -0.5)


def test_row_probabilities_are_the_softmax_over_all_keys():
    head = random_head(14, prefix=2)
    (rows, found), = row_probabilities(head, np.array([0, 11]))
    for row, probabilities in zip(rows, found):
        scores = [float(head.q[2 + row] @ key) * 8 ** -0.5 for key in head.k]
        total = sum(np.exp(score) for score in scores)
        np.testing.assert_allclose(probabilities, [np.exp(score) / total for score in scores], rtol=1e-5)


def test_tile_sums_and_pooled_scores_by_loops():
    tiles = TileGrid((1, 3, 4), (1, 2, 3))
    head = random_head(12, prefix=0)
    members = [[token for token in range(12) if tiles.tile_of_token()[token] == tile] for tile in range(tiles.tiles)]
    values = np.arange(12.0)
    np.testing.assert_array_equal(tile_sums(values, tiles), [sum(values[m]) for m in members])
    expected = [[np.mean([head.q[a] for a in i], axis=0) @ np.mean([head.k[b] for b in j], axis=0) * 8 ** -0.5
                 for j in members] for i in members]
    np.testing.assert_allclose(pooled_scores(head, tiles), expected, rtol=1e-5)


def test_spread_rows_are_even_and_distinct():
    np.testing.assert_array_equal(spread_rows(3, 8), [0, 1, 2])
    np.testing.assert_array_equal(spread_rows(100, 4), [0, 40, 55, 96])  # one in each quarter, at shifting places
    np.testing.assert_array_equal(spread_rows(6, 4), [0, 2, 3, 5])  # runs of one or two rows: none twice
