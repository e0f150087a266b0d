"""Figures, notebooks and reports from profiles of the attention of video diffusion transformers."""
import importlib

__version__ = "0.1.0"
_OF_PROFILE = ("Captured", "Site", "captured", "kept_calls", "kept_videos", "manifest", "open_profile", "partitions",
               "recorded", "tile_map", "video", "vmoba")
__all__ = list(_OF_PROFILE)


def __getattr__(name: str):
    # On first use: the command line must be able to say which of the packages below is missing.
    if name in _OF_PROFILE:
        return getattr(importlib.import_module("sparsescope.profile"), name)
    raise AttributeError(f"module 'sparsescope' has no attribute '{name}'")
