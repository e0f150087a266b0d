"""open_profile against the file itself, read with h5py alone."""
from __future__ import annotations

import h5py
import numpy as np
import pytest

import sparsescope
from sparsescope.errors import DataError, UsageError
from sparsescope.grid import TileGrid, tile_grid


def test_every_statistic_is_there_under_its_name_with_its_axes(data, profile):
    with h5py.File(data / "run.h5") as file:
        for name, dataset in file["stats"].items():
            assert name in profile
            axes = [dataset.dims[i][0].name.lstrip("/") for i in range(dataset.ndim)]
            assert list(profile[name].dims) == axes
            np.testing.assert_array_equal(profile[name].values, dataset[:])
        np.testing.assert_array_equal(profile["f"].values, file["f"][:])
        assert sorted(sparsescope.partitions(profile)) == sorted(file["vmoba"])


def test_each_partition_has_its_own_k(data, profile):
    with h5py.File(data / "run.h5") as file:
        for partition in sparsescope.partitions(profile):
            curves = sparsescope.vmoba(profile, partition)
            np.testing.assert_array_equal(curves["k"].values, file[f"vmoba/{partition}/k"][:])
            np.testing.assert_array_equal(curves["recall_topk"].values, file[f"vmoba/{partition}/recall_topk"][:])
            assert curves["recall_tau"].dims[-2:] == ("pool", "tau")


def test_values_are_not_read_before_they_are_used(data):
    opened = sparsescope.open_profile(data / "run.h5")
    assert not opened["key_mass"].variable._in_memory


def test_maps_and_captured_attention_agree(data, profile):
    """The tile map that the program kept, from the raw q and k that it kept, by a naive softmax in fp64."""
    call = sparsescope.kept_calls(profile, "qkv")[0]
    site = call.with_(head=1)
    head = sparsescope.captured(profile, site)
    tiles = tile_grid(profile)
    scores = head.q.astype(np.float64) @ head.k.astype(np.float64).T * head.scale
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    member = np.eye(tiles.tiles)[tiles.tile_of_token()]  # [token, tile]
    expected = member.T @ weights @ member / member.sum(axis=0)[:, None]
    np.testing.assert_allclose(sparsescope.tile_map(profile, site), expected, atol=2e-6)


def test_video_is_the_size_that_the_grid_says(profile):
    frames = sparsescope.video(profile, 0)
    assert frames.shape == (8, 128, 128, 3) and frames.dtype == np.uint8 and frames.std() > 10


def test_what_was_not_kept_is_named(profile):
    with pytest.raises(UsageError, match="--keep-qkv"):
        sparsescope.captured(profile, sparsescope.Site(layer=7))
    with pytest.raises(UsageError, match="recorded: temporal"):
        sparsescope.vmoba(profile, "st:1,1,1")


def test_a_profile_of_another_version_is_refused(data, tmp_path):
    with h5py.File(tmp_path / "new.h5", "w") as file:
        file.attrs["format"], file.attrs["version"] = "sparsescope-profile", 2
    with pytest.raises(DataError, match="expected 1, found 2"):
        sparsescope.open_profile(tmp_path / "new.h5")


def test_tiles_of_a_ragged_grid_are_numbered_with_w_fastest():
    tiles = TileGrid((3, 2, 5), (2, 2, 2))
    assert tiles.counts == (2, 1, 3) and tiles.tiles == 6
    # Frame 0: columns 0,1 tile 0; 2,3 tile 1; 4 tile 2. Frame 2 lies in the second layer of tiles.
    np.testing.assert_array_equal(tiles.tile_of_token()[:5], [0, 0, 1, 1, 2])
    np.testing.assert_array_equal(tiles.tile_of_token()[-5:], [3, 3, 4, 4, 5])
    np.testing.assert_array_equal(tiles.tile_sizes(), [8, 8, 4, 4, 4, 2])
    assert tiles.coordinates(5) == (1, 0, 2)
    np.testing.assert_array_equal(tiles.tile_order()[:8], [0, 1, 5, 6, 10, 11, 15, 16])
