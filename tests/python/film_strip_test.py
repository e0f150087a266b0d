"""Film strips on clips whose difference is known, and the films that they leave."""
from __future__ import annotations

import json
import subprocess

import h5py
import numpy as np
import pytest
from synthetic import Sizes, write_profile

from sparsescope import open_profile
from sparsescope.errors import DataError
from sparsescope.figures import film_strip, style
from sparsescope.figures.film_strip import latent_colours, read_clip, shrunk, side_by_side
from sparsescope.figures.registry import Drawn
from sparsescope.grid import TileGrid
from sparsescope.metrics import ssim
from sparsescope.render import write_films


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "run.h5"
    write_profile(path, TileGrid((2, 4, 4), (2, 2, 2)), Sizes())
    return open_profile(path)


def write_clips(path, dense, sparse, latents=False):
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": "sparsescope-videos", "version": 1,
                           "prompts": json.dumps(["a disc", "a ring"])})
        ending = "_latents" if latents else ""
        file[f"dense{ending}/p1"], file[f"sparse{ending}/p1"] = dense, sparse
        file[f"dense{ending}/frame"] = np.arange(len(dense))  # scales may stand beside the clips
    return str(path)


def strip(profile, path) -> Drawn:
    with style.context(2):
        return film_strip(style.new_figure(2, 3.0), profile, videos=path)


def pixels(frames=5, height=24, width=20, seed=0):
    return np.random.default_rng(seed).integers(20, 235, (frames, height, width, 3)).astype(np.uint8)


def test_every_frame_has_its_own_psnr_and_ssim(profile, tmp_path):
    """Frame t differs by t levels everywhere: PSNR = 20 log10(255 / t)."""
    dense = pixels()
    sparse = dense + np.arange(5, dtype=np.uint8)[:, None, None, None]
    drawn = strip(profile, write_clips(tmp_path / "v.h5", dense, sparse))
    assert drawn.table["frame"].tolist() == [0, 1, 2, 3, 4]
    assert drawn.table["prompt"].unique().tolist() == [1]
    assert drawn.table["psnr"][0] == np.inf
    assert drawn.table["psnr"][1:].tolist() == pytest.approx([20 * np.log10(255 / t) for t in (1, 2, 3, 4)])
    third = [np.moveaxis(film[3] / 255, -1, 0) for film in (dense, sparse)]
    assert drawn.table["ssim"][3] == pytest.approx(ssim(*third, 1.0), abs=1e-12)
    clip = 10 * np.log10(255**2 / np.mean([0, 1, 4, 9, 16]))
    assert f"{clip:.1f} dB" in drawn.caption and "a ring" in drawn.caption


def test_films_show_what_was_sampled(profile, tmp_path):
    dense, sparse = pixels(seed=1), pixels(seed=2)
    films = strip(profile, write_clips(tmp_path / "v.h5", dense, sparse)).films
    assert np.array_equal(films["dense"], dense) and np.array_equal(films["sparse"], sparse)
    apart = 4 * np.abs(dense.astype(int) - sparse.astype(int))
    assert np.array_equal(films["difference"], apart.clip(0, 255))
    assert films["side-by-side"].shape == (5, 24, 3 * 20 + 2 * 4, 3)
    assert np.array_equal(films["side-by-side"][:, :, -20:], films["difference"])


def test_long_clips_show_frames_evenly(profile, tmp_path):
    dense = pixels(frames=29)
    table = strip(profile, write_clips(tmp_path / "v.h5", dense, dense)).table
    assert table["frame"].tolist() == [0, 4, 8, 12, 16, 20, 24, 28]


def test_latents_are_measured_in_their_own_range(profile, tmp_path):
    """All channels count, not the three components that colour them."""
    dense = np.random.default_rng(0).standard_normal((6, 3, 12, 12)).astype(np.float32)
    sparse = dense + np.float32(0.25)
    drawn = strip(profile, write_clips(tmp_path / "v.h5", dense, sparse, latents=True))
    value_range = float(dense.max() - dense.min())
    assert drawn.table["psnr"].tolist() == pytest.approx([20 * np.log10(value_range / 0.25)] * 3, abs=1e-4)
    assert "principal components" in drawn.caption and f"{value_range:.3g}" in drawn.caption


def test_latent_colours_are_the_leading_components():
    """Three channels of unlike spread and two silent ones: these are the components, most spread first."""
    rng = np.random.default_rng(1)
    latent = np.zeros((5, 2, 40, 40))
    for channel, spread in ((3, 9.0), (0, 4.0), (4, 1.0)):
        latent[channel] = spread * rng.uniform(-1, 1, (2, 40, 40))
    dense, sparse = latent_colours(latent, 0.5 * latent)
    for colour, channel in enumerate((3, 0, 4)):
        values = latent[channel]
        levels = 255 * (values - values.min()) / (values.max() - values.min())
        assert np.corrcoef(dense[..., colour].ravel(), levels.ravel())[0, 1] > 0.999
        assert sparse[..., colour].std() == pytest.approx(0.5 * dense[..., colour].std(), rel=0.02)


def test_large_films_shrink_by_exact_means():
    film = pixels(frames=2, height=600, width=30)
    small = shrunk(film)
    assert small.shape == (2, 200, 10, 3)
    assert small[1, 7, 4].tolist() == np.round(film[1, 21:24, 12:15].astype(float).mean(axis=(0, 1))).tolist()
    assert shrunk(small) is small


def test_a_file_without_clips_is_refused(tmp_path):
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file.create_group("dense")
    with pytest.raises(DataError, match="expected /dense and /sparse"):
        read_clip(str(tmp_path / "v.h5"), None)
    path = write_clips(tmp_path / "w.h5", pixels(), pixels()[:3])
    with pytest.raises(DataError, match="one shape"):
        read_clip(path, None)
    with pytest.raises(DataError, match=r"/dense/p0 and /sparse/p0; kept prompts: \[1\]"):
        read_clip(path, 0)


def test_films_open_and_hold_every_frame(tmp_path):
    """As a player sees them: pictures of 24 x 20 pixels are enlarged by whole pixels."""
    films = {"side-by-side": side_by_side([pixels(), pixels(seed=1)])}
    files = write_films("film-strip", Drawn(None, "", films), str(tmp_path))
    assert [file.rsplit(".", 1)[1] for file in files] == ["gif", "mp4"]
    for file in files:
        seen = subprocess.run(
            ["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0", "-show_entries",
             "stream=width,height,nb_read_frames", "-of", "csv=p=0", file],
            check=True, capture_output=True, text=True)
        assert seen.stdout.strip().split(",") == ["484", "264", "5"]
