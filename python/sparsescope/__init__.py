"""Figures, notebooks and reports from profiles of the attention of video diffusion transformers."""
from sparsescope.profile import (Captured, Site, captured, kept_calls, kept_videos, manifest, open_profile,
                                 partitions, recorded, tile_map, video, vmoba)

__version__ = "0.1.0"
__all__ = ["Captured", "Site", "captured", "kept_calls", "kept_videos", "manifest", "open_profile", "partitions",
           "recorded", "tile_map", "video", "vmoba"]
