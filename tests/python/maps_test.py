"""The numbers of the maps against loops that follow the definitions, on profiles made of chosen numbers."""
from __future__ import annotations

import os

import numpy as np
import pytest
from synthetic import Sizes, local_mass, write_profile

from sparsescope import figures, open_profile
from sparsescope.errors import UsageError
from sparsescope.figures import FIGURES, style
from sparsescope.figures.frame_map import frame_limit
from sparsescope.figures.mass_maps import cells_of
from sparsescope.figures.select import kept_site, parse_query, spread_with
from sparsescope.figures.tile_map import own_frame_mass
from sparsescope.grid import TileGrid, partition_blocks
from sparsescope.profile import Site
from sparsescope.render import RenderOptions, csv_text, draw, render_one
from sparsescope.sources import SourceFiles, open_sources

RAGGED = TileGrid((3, 5, 7), (2, 2, 3))  # 2 x 3 x 3 tiles, many of them clipped


def drawn(name: str, profile, columns: int = 2, **keywords):
    with style.context(columns):
        paper = style.new_figure(columns, 3.0)
        target = paper if FIGURES[name].panels else paper.subplots()
        return FIGURES[name].draw(target, profile, **keywords)


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    """Two prompts, three steps, two layers, three heads; frame mass and text share drawn at random."""
    path = tmp_path_factory.mktemp("maps") / "run.h5"
    sizes = Sizes(prompts=2, steps=3, layers=2, heads=3)
    rng = np.random.default_rng(0)
    text = rng.uniform(0, 0.4, sizes.head)
    frame_mass = rng.random(sizes.head + (3, 3))
    frame_mass *= ((1 - text) / frame_mass.sum(axis=-1).mean(axis=-1))[..., None, None]
    maps = {f"p0_b0_s{step}_l{layer}": np.stack([local_mass(RAGGED, 1 + head, head + layer)
                                                 for head in range(3)])
            for step in (0, 2) for layer in (0, 1)}
    write_profile(path, RAGGED, sizes, maps=maps, statistics={"frame_mass": frame_mass, "prefix_mass": text})
    return open_profile(path)


def test_cells_are_exact_means_of_rows_and_sums_of_keys():
    mass = np.random.default_rng(0).random((18, 18)).astype(np.float32)
    cells = cells_of(RAGGED, most=6)
    assert cells.length == 3
    assert cells.starts.tolist() == [0, 3, 6, 9, 12, 15] and cells.borders.tolist() == [3]
    sizes = RAGGED.tile_sizes()
    lift = cells.lift(mass)
    for query in range(6):
        for key in range(6):
            of_query, of_key = range(3 * query, 3 * query + 3), range(3 * key, 3 * key + 3)
            received = sum(sizes[i] * float(mass[i, j]) for i in of_query for j in of_key)
            mean = received / sum(sizes[i] for i in of_query)
            assert lift[query, key] == pytest.approx(mean * RAGGED.tokens / sum(sizes[j] for j in of_key))


def test_uniform_attention_has_lift_one_in_every_cell():
    sizes = RAGGED.tile_sizes()
    uniform = np.broadcast_to(sizes / sizes.sum(), (18, 18))
    for most in (18, 6, 2, 1):
        assert cells_of(RAGGED, most).lift(uniform) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize(("grid", "most", "length"), [
    ((24, 45, 80), 144, 10), ((24, 45, 80), 6, 240), ((24, 45, 80), 3, 480), ((4, 4, 4), 144, 1),
    ((84, 8, 8), 5, 20)])
def test_cells_never_straddle_frames_of_tiles(grid, most, length):
    tiles = TileGrid(grid, (4, 4, 4))
    cells = cells_of(tiles, most)
    inside = tiles.counts[1] * tiles.counts[2]
    assert cells.length == length and len(cells.starts) <= most
    assert length % inside == 0 or inside % length == 0


def test_own_frame_mass_by_loops():
    mass = local_mass(RAGGED, 1.5)
    expected = [sum(mass[i, j] for j in range(18) if j // 9 == i // 9) for i in range(18)]
    assert own_frame_mass(mass, RAGGED) == pytest.approx(expected)


def test_tile_map_holds_the_file_s_numbers(profile):
    site = Site(step=2, layer=1, head=1)
    table = drawn("tile-map", profile, 1, site=site).table
    assert np.array_equal(table.to_numpy(), local_mass(RAGGED, 2, 2).astype(np.float32))
    assert drawn("tile-map", profile, 1, site=site, scale="linear").table.equals(table)
    with pytest.raises(UsageError, match="log or linear"):
        drawn("tile-map", profile, 1, site=site, scale="square")


def test_grids_show_every_head_and_every_kept_call(profile):
    heads = drawn("head-grid", profile, site=Site(step=2, layer=1)).table
    lift = local_mass(RAGGED, 3, 3) * RAGGED.tokens / RAGGED.tile_sizes()
    assert heads[heads["head"] == 2]["lift"].to_numpy() == pytest.approx(lift.ravel(), rel=1e-5)
    layers = drawn("layer-grid", profile, site=Site(step=2, layer=1, head=2))
    assert layers.table.groupby(["step", "layer"]).size().to_dict() == {
        (step, layer): 18 * 18 for step in (0, 2) for layer in (0, 1)}


def test_frame_map_is_the_mean_over_prompts(profile):
    site = Site(step=1, layer=1, head=2)
    table = drawn("frame-map", profile, 1, site=site).table
    raw = profile["frame_mass"].values.astype(np.float64)
    for row in table.itertuples():
        mean = sum(raw[p, 0, 1, 1, 2, row.query_frame, row.key_frame] for p in range(2)) / 2
        assert row.mass == pytest.approx(mean) and row.lift == pytest.approx(3 * mean)
        given = sum(raw[p, 0, 1, 1, 2, row.query_frame].sum() for p in range(2)) / 2
        assert row.text == pytest.approx(max(0, 1 - given), abs=1e-9)


def test_frame_map_s_ramp_holds_every_pair():
    assert frame_limit(np.array([[0.5, 2.9]])) == 3
    assert frame_limit(np.array([[0.2, 1.0]])) == 10
    assert frame_limit(np.array([[0.001, 1.0]])) == 100
    assert frame_limit(np.array([[0.0, 1.0]])) == 3  # no colour for nothing: it is clipped at any limit


def test_segments_sum_to_all_attention(profile):
    site = Site(step=1)
    table = drawn("segment-mass", profile, 1, site=site).table
    raw, text = (profile[name].values.astype(np.float64)[:, 0, 1] for name in ("frame_mass", "prefix_mass"))
    for layer in range(2):
        part = table[table["layer"] == layer].set_index("segment")
        assert part["mass"].sum() == pytest.approx(1, abs=1e-6)
        own = [raw[p, layer, h, a, a] for p in range(2) for h in range(3) for a in range(3)]
        assert part["mass"]["own_frame"] == pytest.approx(np.mean(own))
        by_prompt = [np.mean(text[p, layer]) for p in range(2)]
        assert part["mass"]["text"] == pytest.approx(np.mean(by_prompt))
        assert (part["low"]["text"], part["high"]["text"]) == pytest.approx((min(by_prompt), max(by_prompt)))
        own_of_head = [np.mean([raw[p, layer, h].diagonal() for p in range(2)]) for h in range(3)]
        assert part["heads_high"]["own_frame"] == pytest.approx(np.percentile(own_of_head, 95))


def test_partitions_number_blocks_and_tokens_as_specified():
    """(t, h, w), raster -> (block, slot) of spatial:3,2 and st:2,3,2 on a grid of 4 x 6 x 4."""
    grid = (4, 6, 4)
    expected = {43: ((3, 9), (3, 9)), 57: ((0, 17), (4, 5)), 95: ((3, 23), (7, 11))}
    for partition, column in (("spatial:3,2", 0), ("st:2,3,2", 1)):
        blocks = partition_blocks(partition, grid)
        place = np.argsort(blocks.tile_order())  # raster -> place in the new order
        inside = int(np.prod(blocks.tile))
        for raster, answers in expected.items():
            assert divmod(int(place[raster]), inside) == answers[column]
    assert partition_blocks("temporal:3", grid).tile_order().tolist() == list(range(96))
    assert partition_blocks("temporal:3", grid).tile_sizes().tolist() == [72, 24]


def test_choices_of_frames_and_queries():
    assert spread_with(list(range(21)), 4, 9) == [0, 9, 13, 20]
    assert spread_with([0, 1, 2], 16, 1) == [0, 1, 2]
    assert parse_query("2,8,10") == (2, 8, 10) and parse_query("") is None
    for text in ("2,8", "2,8,x", "1,2,3,4", "-1,0,0"):
        with pytest.raises(UsageError, match="--query"):
            parse_query(text)


def test_kept_site_prefers_the_first_kind(profile):
    site, kind = kept_site(profile, ("qkv", "maps"), layer=1)
    assert kind == "maps" and site.layer == 1 and site.step == 2
    with pytest.raises(UsageError, match="no kept maps"):
        kept_site(profile, ("qkv", "maps"), step=1)


def test_csv_of_numbers_is_what_pandas_writes():
    import pandas as pd

    table = pd.DataFrame({"head": [0, 12], "mass": [0.123456789, np.nan],
                          "f": np.array([1e-9, 3], np.float32)})
    assert csv_text(table) == table.to_csv(index=False, float_format="%.7g", lineterminator="\n")
    words = table.assign(order=["a,b", "c"])
    assert csv_text(words) == words.to_csv(index=False, float_format="%.7g", lineterminator="\n")


def test_a_map_of_1440_tiles_stays_small(tmp_path):
    tiles = TileGrid((24, 45, 80), (4, 4, 4))
    assert tiles.tiles == 1440
    write_profile(tmp_path / "run.h5", tiles, Sizes(), maps={"p0_b0_s0_l0": local_mass(tiles, 3)[None]})
    sources = open_sources(SourceFiles(str(tmp_path / "run.h5")))
    files = render_one(FIGURES["tile-map"], sources, str(tmp_path), RenderOptions()).files
    endings = {file.rsplit(".", 1)[1]: os.path.getsize(file) for file in files}
    assert all(endings[ending] < 3e6 for ending in ("svg", "pdf", "png"))
    with open(tmp_path / "tile-map.csv", encoding="utf-8") as file:
        assert len(file.readline().split(",")) == 1441 and sum(1 for _ in file) == 1440


def test_a_query_reaches_the_figures_that_take_one(profile, monkeypatch):
    sources = open_sources(SourceFiles(profile.encoding["source"]))
    _, seen = draw(FIGURES["query-view"], sources, RenderOptions(query=(2, 4, 6)))
    assert "(2, 4, 6)" in seen.caption
    assert figures.query_view is FIGURES["query-view"].draw
