"""Where queries look: rows of attention by loops over keys, from raw q and k and from tile masses."""
from __future__ import annotations

import math

import numpy as np
import pytest
from synthetic import Sizes, local_mass, write_profile

from sparsescope import open_profile
from sparsescope.errors import UsageError
from sparsescope.figures import FIGURES, style
from sparsescope.figures.pattern_map import block_similarity, key_blocks, patch_means, query_patches
from sparsescope.figures.query_importance import mass_sums, sampled_places, similarity_sums
from sparsescope.figures.relayout_map import cell_masses, covering_rows, heaviest_share, token_orders
from sparsescope.figures.select import kept_site
from sparsescope.grid import TileGrid
from sparsescope.profile import Site, captured, kept_heads
from sparsescope.query_look import inner_half, look

TILES = TileGrid((3, 5, 4), (2, 2, 2))  # 2 x 3 x 2 tiles
TOKENS, PREFIX, CHANNELS = 60, 3, 8


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    path = tmp_path_factory.mktemp("look") / "run.h5"
    qkv = 1.3 * np.random.default_rng(2).standard_normal((3, 2, PREFIX + TOKENS, CHANNELS))
    video = np.random.default_rng(3).integers(0, 255, (9, 20, 16, 3)).astype(np.uint8)
    maps = np.stack([local_mass(TILES, 1), local_mass(TILES, 2)])
    write_profile(path, TILES, Sizes(layers=2, heads=2), qkv={"p0_b0_s0_l1": qkv}, prefix=PREFIX,
                  videos={0: video}, maps={"p0_b0_s0_l0": maps},
                  partitions=("temporal:1", "spatial:1,2", "spatial:5,2", "st:3,1,2"))
    return open_profile(path)


@pytest.fixture(scope="module")
def head(profile):
    return captured(profile, Site(layer=1, head=1))


def softmax_row(head, token: int) -> list[float]:
    """The row of a video token on all keys, text first."""
    query = head.q[PREFIX + token].astype(float)
    scores = [sum(query[c] * float(key[c]) for c in range(CHANNELS)) / math.sqrt(CHANNELS) for key in head.k]
    top = max(scores)
    weights = [math.exp(score - top) for score in scores]
    return [weight / sum(weights) for weight in weights]


def test_look_of_a_token_is_its_row_of_attention(profile, head):
    seen = look(profile, Site(layer=1, head=1), "qkv", (2, 3, 1))
    row = softmax_row(head, (2 * 5 + 3) * 4 + 1)
    assert seen.exact and seen.query == (2, 3, 1)
    assert seen.mass.ravel() == pytest.approx(row[PREFIX:], rel=1e-5)
    assert seen.text == pytest.approx(sum(row[:PREFIX]), rel=1e-5)
    assert seen.lift == pytest.approx(60 * seen.mass)


def test_the_default_query_is_the_most_concentrated_of_the_inner_middle_frame(profile, head):
    candidates = [(1 * 5 + h) * 4 + w for h in (1, 2, 3) for w in (1, 2)]
    assert inner_half(TILES.grid).tolist() == candidates
    entropies = {token: -sum(p * math.log(p) for p in softmax_row(head, token)) for token in candidates}
    expected = min(entropies, key=entropies.get)
    seen = look(profile, Site(layer=1, head=1), "qkv", None)
    assert seen.query == tuple(np.unravel_index(expected, TILES.grid))


def test_look_of_a_tile_spreads_each_tile_s_mass(profile):
    seen = look(profile, Site(layer=0, head=1), "maps", (2, 4, 0))
    mass = local_mass(TILES, 2)
    tile = (1 * 3 + 2) * 2 + 0
    assert not seen.exact and seen.first == (2, 4, 0) and seen.extent == (1, 1, 2)
    sizes = TILES.tile_sizes()
    for t, h, w in ((0, 0, 0), (1, 3, 2), (2, 4, 3)):
        key = (t // 2 * 3 + h // 2) * 2 + w // 2
        assert seen.lift[t, h, w] == pytest.approx(mass[tile, key] * TOKENS / sizes[key], rel=1e-5)
    assert seen.mass.sum() == pytest.approx(1, rel=1e-6)


def test_sites_are_chosen_among_the_heads_that_were_kept(tmp_path):
    """q, k, v of head 2 of layer 1 alone, maps of head 1 of layer 0: the rest is NaN in the file."""
    qkv = np.full((3, 3, TOKENS, CHANNELS), np.nan)
    qkv[:, 2] = np.random.default_rng(5).standard_normal((3, TOKENS, CHANNELS))
    maps = np.full((3, TILES.tiles, TILES.tiles), np.nan)
    maps[1] = local_mass(TILES, 1)
    write_profile(tmp_path / "run.h5", TILES, Sizes(layers=2, heads=3), qkv={"p0_b0_s0_l1": qkv},
                  maps={"p0_b0_s0_l0": maps})
    profile = open_profile(tmp_path / "run.h5")
    assert kept_site(profile, ("qkv", "maps")) == (Site(layer=1, head=2), "qkv")
    assert kept_site(profile, ("qkv", "maps"), layer=0) == (Site(layer=0, head=1), "maps")
    assert kept_heads(profile, "qkv", Site(layer=1)) == [2] and kept_heads(profile, "maps", Site()) == [1]
    with pytest.raises(UsageError, match="not kept of head 1"):
        captured(profile, Site(layer=1, head=1))


def test_a_query_outside_the_grid_is_refused(profile):
    with pytest.raises(UsageError, match=r"inside \(3, 5, 4\)"):
        look(profile, Site(layer=1), "qkv", (3, 0, 0))


def test_query_view_draws_the_look(profile):
    site, query = Site(layer=1, head=1), (0, 1, 2)
    with style.context(2):
        drawn = FIGURES["query-view"].draw(style.new_figure(2, 3.0), profile, site=site, query=query)
    seen = look(profile, site, "qkv", query)
    table = drawn.table
    assert len(table) == TOKENS
    place = (table["key_frame"], table["key_row"], table["key_column"])
    assert table["lift"].to_numpy() == pytest.approx(seen.lift[place])
    assert f"{100 * seen.text:.1f} %" in drawn.caption and "decoded video" in drawn.caption


def test_similarity_of_blocks_by_loops(head):
    blocks = key_blocks((8, 6, 4))
    assert blocks.counts == (4, 2, 2) and blocks.tile == (2, 3, 2)
    blocks = key_blocks(TILES.grid)
    similarity = block_similarity(head, blocks)
    members = [np.flatnonzero(blocks.tile_of_token() == block) for block in range(blocks.tiles)]
    raw = [[sum(float(head.q[PREFIX + token] @ head.k[PREFIX + key]) for key in keys) / len(keys)
            for token in range(TOKENS)] for keys in members]
    low, high = np.min(raw), np.max(raw)
    assert similarity == pytest.approx((np.array(raw) - low) / (high - low), abs=1e-5)
    patches = TileGrid(TILES.grid, (1, 2, 2))
    corner = [(0, 2, 2), (0, 2, 3), (0, 3, 2), (0, 3, 3)]  # patch (0, 1, 1), number 3 of 3 x 2 a frame
    mean = np.mean([similarity[:, (t * 5 + h) * 4 + w] for t, h, w in corner], axis=0)
    assert patch_means(similarity, patches)[:, 3] == pytest.approx(mean)


def test_patches_are_tokens_where_they_fit():
    assert query_patches((8, 16, 16)).tile == (1, 1, 1)
    large = query_patches((21, 45, 80))
    assert large.tile == (1, 7, 7) and large.tiles == 21 * 7 * 12


def test_importance_by_loops(head):
    kept = 3
    members = [np.flatnonzero(TILES.tile_of_token() == tile) for tile in range(TILES.tiles)]
    q, k = head.q[PREFIX:].astype(float), head.k[PREFIX:].astype(float)
    raw = np.array([[q[token] @ k[keys].mean(axis=0) for keys in members] for token in range(TOKENS)])
    low, high = raw.min(), raw.max()
    queries = np.array([0, 7, 19])
    for token, similarity, mass in zip(queries, similarity_sums(head, TILES, queries, kept),
                                       mass_sums(head, TILES, queries, kept)):
        assert similarity == pytest.approx(sum(sorted((raw[token] - low) / (high - low))[-kept:]), abs=1e-6)
        row = softmax_row(head, token)[PREFIX:]
        of_tiles = sorted(sum(row[key] for key in keys) for keys in members)
        assert mass == pytest.approx(sum(of_tiles[-kept:]), rel=1e-5)


def test_large_frames_are_sampled_by_rows_and_columns():
    rows, columns, every = sampled_places((21, 45, 80))
    assert every == 2 and len(rows) * len(columns) <= 1024 and rows[1] == columns[1] == 2
    assert sampled_places((8, 16, 16))[2] == 1


def test_orders_cut_runs_of_64_tokens():
    tiles = TileGrid((8, 16, 16), (4, 4, 4))
    orders = {order.name: order for order in token_orders(tiles, ["temporal:2", "spatial:8,8", "spatial:4,4",
                                                                  "st:4,4,4", "st:4,8,8"])}
    assert list(orders) == ["raster (temporal)", "tiles", "spatial:4,4", "st:4,8,8"]
    assert all(order.sizes.tolist() == [64] * 32 for order in orders.values())
    assert orders["st:4,8,8"].borders.tolist() == [4, 8, 12, 16, 20, 24, 28]
    large = token_orders(TileGrid((21, 45, 80), (4, 4, 4)), [])
    assert [int(order.sizes[0]) for order in large] == [320, 320] and len(large[0].starts) <= 256


def test_cells_of_every_order_by_loops(head):
    orders = token_orders(TILES, ["temporal:1", "spatial:1,2", "spatial:5,2", "st:3,1,2"])
    assert [order.name for order in orders][2:] == ["spatial:1,2", "st:3,1,2"]
    rows = np.arange(TOKENS)
    probabilities = np.array([softmax_row(head, token)[PREFIX:] for token in rows])
    for order, mass in zip(orders, cell_masses(head, orders, rows)):
        cells = [order.order[start:start + size] for start, size in zip(order.starts, order.sizes)]
        assert sorted(np.concatenate(cells)) == list(range(TOKENS))
        expected = [[probabilities[np.ix_(queries, keys)].sum() / len(queries) for keys in cells]
                    for queries in cells]
        assert mass == pytest.approx(np.array(expected), rel=1e-5)


def test_sampled_rows_reach_every_cell():
    orders = token_orders(TileGrid((21, 45, 80), (4, 4, 4)), ["spatial:5,8"])
    rows = covering_rows(orders, np.arange(0, 75600, 3000))
    for order in orders:
        assert np.bincount(order.cell_of_token()[rows], minlength=len(order.starts)).min() >= 1


def test_heaviest_share_weighs_cells_by_their_tokens():
    order = token_orders(TileGrid((1, 1, 96), (1, 1, 96)), [])[0]  # runs of 64 and 32 tokens
    assert order.sizes.tolist() == [64, 32]
    mass = np.array([[0.9, 0.1], [0.3, 0.7]])
    assert heaviest_share(mass, order) == pytest.approx((64 * 0.9 + 32 * 0.7) / 96)
