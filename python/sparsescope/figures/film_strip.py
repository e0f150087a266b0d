"""The dense and the sparse video of one prompt, side by side, and where they differ."""
from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property

import h5py
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from sparsescope.errors import DataError
from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.select import spread
from sparsescope.metrics import mean_square_error, printed_psnr, psnr, ssim, unit_range
from sparsescope.profile import prompts_of

MOST_FRAMES, MOST_WIDE_FRAMES, MOST_NARROW = 8, 6, 4  # of landscapes, and in one column
GAIN = 4  # of the difference
FILM_HEIGHT = 256  # larger films are shrunk by whole pixels
GAP = 4  # pixels between the films side by side


@dataclass(frozen=True)
class Clip:
    """Both videos of one prompt. dense, sparse: [frame, height, width, 3] uint8 to look at. latents: what
    metrics compare where there are no pixels, [channel, frame, height, width]. value_range: R of psnr and
    ssim."""

    prompt: int
    words: str
    dense: np.ndarray
    sparse: np.ndarray
    latents: tuple[np.ndarray, np.ndarray] | None
    value_range: float

    def planes(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """What metrics compare of one frame, dense and sparse: [plane, height, width] fp64."""
        if self.latents:
            return tuple(latent[:, frame].astype(np.float64) for latent in self.latents)
        return tuple(np.moveaxis(unit_range(film[frame]), -1, 0) for film in (self.dense, self.sparse))

    @cached_property
    def difference(self) -> np.ndarray:
        apart = np.abs(self.dense.astype(np.int16) - self.sparse)
        return np.minimum(GAIN * apart, 255).astype(np.uint8)


@figure("film-strip", "error", "What does the sparse video look like beside the dense one?",
        needs=("videos",), panels=True, columns=2)
def film_strip(figure: Figure, profile: xr.Dataset, *, videos: str, clip: int | None = None) -> Drawn:
    """Frames of the dense and the sparse video and their difference. clip: the number of a prompt in the
    file; the first one where none is given."""
    shown = read_clip(videos, clip)
    height, width = shown.dense.shape[1:3]
    most = MOST_WIDE_FRAMES if width > 1.3 * height else MOST_FRAMES
    frames = spread(list(range(len(shown.dense))), MOST_NARROW if style.is_narrow(figure) else most)
    panel = (style.width_of(figure) - 0.4) / max(len(frames), 4)
    style.fit_height(figure, 3 * ((panel - 0.085) * height / width + 0.085) + 0.5)
    if isinstance(figure, Figure):
        figure.set_layout_engine("compressed")
    page = figure.subplots(3, len(frames), squeeze=False)
    rows = []
    for column, frame in zip(page.T, frames):
        quality = frame_quality(shown, frame)
        rows.append({"prompt": shown.prompt, "frame": frame, **quality})
        for axes, film in zip(column, (shown.dense, shown.sparse, shown.difference)):
            axes.imshow(film[frame], interpolation="none", rasterized=True)
            axes.set(xticks=[], yticks=[])
            axes.grid(False)
            for spine in axes.spines.values():
                spine.set_visible(False)
        column[0].set_title(f"frame {frame}", loc="center")
        column[-1].set_xlabel(f"{printed_psnr(quality['psnr']):.1f} dB\nSSIM {quality['ssim']:.3f}",
                              fontsize="small")
    for axes, name in zip(page[:, 0], ("dense", "sparse", f"diff. x {GAIN}")):
        axes.set_ylabel(name)
    films = {name: shrunk(getattr(shown, name)) for name in ("dense", "sparse", "difference")}
    films["side-by-side"] = side_by_side(list(films.values()))
    text = caption(profile, _shown_text(shown), notes=_notes(shown, frames), rows=False)
    return Drawn(pd.DataFrame(rows), text, films)


def read_clip(path: str, clip: int | None) -> Clip:
    """The decoded videos where the file holds them; otherwise latents, coloured by their leading
    components."""
    with h5py.File(path, "r") as file:
        groups = next((pair for pair in (("dense", "sparse"), ("dense_latents", "sparse_latents"))
                       if all(name in file and len(file[name]) for name in pair)), None)
        if groups is None:
            raise DataError(f"{path}: expected /dense and /sparse, or /dense_latents and /sparse_latents; "
                            f"found {', '.join(file) or 'nothing'}")
        kept = prompts_of(file[groups[0]])
        prompt = kept[0] if clip is None else clip
        name = f"p{prompt}"
        if any(name not in file[group] for group in groups):
            raise DataError(f"{path}: expected /{groups[0]}/{name} and /{groups[1]}/{name}; "
                            f"kept prompts: {kept}")
        dense, sparse = (file[group][name][:] for group in groups)
        prompts = json.loads(file.attrs.get("prompts", "[]"))
    if dense.shape != sparse.shape:
        raise DataError(f"{path}: prompt {prompt}: expected videos of one shape, found {dense.shape} and "
                        f"{sparse.shape}")
    words = prompts[prompt] if prompt < len(prompts) else ""
    if groups[0] == "dense":
        return Clip(prompt, words, dense, sparse, None, 1.0)
    value_range = float(dense.max() - dense.min())
    return Clip(prompt, words, *latent_colours(dense, sparse), (dense, sparse), value_range)


def latent_colours(dense: np.ndarray, sparse: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Latents [channel, frame, h, w] as RGB [frame, h, w, 3] uint8: the three leading principal components
    of the dense latents, each stretched over their range there; the sparse ones by the same map."""
    channels = len(dense)
    flat = dense.reshape(channels, -1).astype(np.float64)
    centre = flat.mean(axis=1, keepdims=True)
    _, axes = np.linalg.eigh(np.cov(flat))
    leading = axes[:, ::-1][:, :3]
    leading = leading * np.sign(leading[np.abs(leading).argmax(axis=0), np.arange(leading.shape[1])])
    low, high = (edge(leading.T @ (flat - centre), axis=1)[:, None] for edge in (np.min, np.max))

    def colours(latent: np.ndarray) -> np.ndarray:
        parts = (leading.T @ (latent.reshape(channels, -1) - centre) - low) / (high - low)
        levels = np.round(255 * parts.clip(0, 1)).astype(np.uint8)
        return np.moveaxis(levels.reshape(3, *latent.shape[1:]), 0, -1)

    return colours(dense), colours(sparse)


def frame_quality(clip: Clip, frame: int) -> dict[str, float]:
    planes = clip.planes(frame)
    error = mean_square_error(*planes)
    return {"psnr": psnr(error, clip.value_range), "ssim": ssim(*planes, clip.value_range)}


def clip_psnr(clip: Clip) -> float:
    """Over all frames, which are equally large."""
    errors = [mean_square_error(*clip.planes(frame)) for frame in range(len(clip.dense))]
    return psnr(float(np.mean(errors)), clip.value_range)


def shrunk(film: np.ndarray) -> np.ndarray:
    """Means over squares of pixels, as few as leave at most FILM_HEIGHT rows."""
    times = -(-film.shape[1] // FILM_HEIGHT)
    height, width = (extent // times for extent in film.shape[1:3])
    squares = film[:, :height * times, :width * times].reshape(len(film), height, times, width, times, 3)
    return np.round(squares.mean(axis=(2, 4))).astype(np.uint8) if times > 1 else film


def side_by_side(films: list[np.ndarray]) -> np.ndarray:
    gap = np.full((*films[0].shape[:2], GAP, 3), 255, dtype=np.uint8)
    return np.concatenate([part for film in films for part in (film, gap)][:-1], axis=2)


def _shown_text(clip: Clip) -> str:
    words = f" (“{clip.words}”)" if clip.words else ""
    what = "the latents (colours: three leading principal components of the dense ones, no picture)" \
        if clip.latents else "the videos"
    return f"Prompt {clip.prompt}{words} sampled densely and with the plan from the same noise: frames of " \
        f"{what}, and their absolute difference times {GAIN}, cut off at white"


def _notes(clip: Clip, frames: list[int]) -> tuple[str, ...]:
    peak = "a range of 1" if not clip.latents else f"the dense latents' range, {clip.value_range:.3g}"
    every = len(clip.dense)
    some = f"{len(frames)} of {every} frames, evenly chosen" if len(frames) < every else ""
    return (f"under each frame its PSNR for {peak} and its SSIM (11 x 11 windows)",
            f"PSNR of the whole clip {printed_psnr(clip_psnr(clip)):.1f} dB",
            some)
