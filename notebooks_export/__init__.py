"""Notebooks that redraw every figure from the profile: templates, filled and executed."""
