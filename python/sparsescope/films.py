"""Short films of [frame, height, width, 3] uint8 frames as GIF and MP4."""
from __future__ import annotations

import numpy as np

FRAMES_PER_SECOND = 8
SMALLEST_SIDE = 256  # about: smaller frames are enlarged by whole pixels, so that players do not blur them


def enlarge(frames: np.ndarray) -> np.ndarray:
    times = max(1, round(SMALLEST_SIDE / min(frames.shape[1:3])))
    return frames.repeat(times, axis=1).repeat(times, axis=2)


def write_gif(path: str, frames: np.ndarray) -> None:
    from PIL import Image

    images = [Image.fromarray(frame) for frame in enlarge(frames)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=1000 // FRAMES_PER_SECOND, loop=0)


def write_mp4(path: str, frames: np.ndarray) -> None:
    import imageio_ffmpeg

    frames = enlarge(frames)
    frames = frames[:, : frames.shape[1] // 2 * 2, : frames.shape[2] // 2 * 2]  # H.264 halves the colours
    height, width = frames.shape[1:3]
    writer = imageio_ffmpeg.write_frames(path, (width, height), fps=FRAMES_PER_SECOND, codec="libx264",
                                         quality=8, macro_block_size=2, ffmpeg_log_level="error")
    writer.send(None)
    for frame in frames:
        writer.send(np.ascontiguousarray(frame))
    writer.close()
