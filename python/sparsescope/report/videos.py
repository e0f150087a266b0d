"""Videos of validate --videos as strips of small JPEG frames: dense, sparse, and their difference."""
from __future__ import annotations

import base64
import io

import h5py
import numpy as np

from sparsescope.figures.film_strip import read_clip
from sparsescope.figures.select import spread
from sparsescope.profile import prompts_of

MOST_PROMPTS = 6
MOST_FRAMES = 24
MOST_SIDE = 192  # pixels
QUALITY = 90


def page_videos(path: str) -> tuple[list[dict], list[str]]:
    """-> [{"prompt", "words", "numbers", "height", "width", "dense", "sparse", "difference"}], the last
    three data URLs of strips of the frames `numbers`; and what was left out."""
    with h5py.File(path, "r") as file:
        prompts = prompts_of(file["dense"] if "dense" in file else file.get("dense_latents", ()))
    found = [_strips(path, prompt) for prompt in prompts[:MOST_PROMPTS]]
    notes = [f"videos: {MOST_PROMPTS} of {len(prompts)} prompts."] if len(prompts) > MOST_PROMPTS else []
    if any(video.pop("smaller") for video in found):
        notes.append(f"videos: at most {MOST_FRAMES} frames of {MOST_SIDE} pixels.")
    return found, notes


def _strips(path: str, prompt: int) -> dict:
    clip = read_clip(path, prompt)
    frames, *sides = clip.dense.shape[:3]
    chosen = spread(list(range(frames)), MOST_FRAMES)
    step = -(-max(sides) // MOST_SIDE)  # whole pixels are left out: nothing is blurred or invented
    films = {name: getattr(clip, name)[chosen, ::step, ::step] for name in ("dense", "sparse", "difference")}
    height, width = films["dense"].shape[1:3]
    return {"prompt": prompt, "words": clip.words, "numbers": chosen, "height": height, "width": width,
            "smaller": step > 1 or len(chosen) < frames, **{name: strip(film) for name, film in films.items()}}


def strip(frames: np.ndarray) -> str:
    """[frame, height, width, 3] uint8 -> a data URL of the frames one below the other."""
    from PIL import Image

    buffer = io.BytesIO()
    tall = Image.fromarray(np.ascontiguousarray(frames).reshape(-1, frames.shape[2], 3))
    tall.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
