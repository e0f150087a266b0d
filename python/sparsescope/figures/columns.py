"""What the columns of the figures' CSV files mean. A column that is not listed here fails a test."""

# name -> (unit, meaning)
COLUMNS: dict[str, tuple[str, str]] = {
    "query_tile": ("index", "query tile; tiles are numbered t, h, w with w fastest"),
    "key_tile": ("index", "key tile, numbered alike; in a map the cell is the mean probability of the query tile's "
                          "rows on it"),
    "head": ("index", "attention head"),
    "curve": ("", "name of the statistic or of the line"),
    "f": ("fraction", "kept fraction of the tiles"),
    "mass": ("probability", "attention mass"),
    "low": ("as the value", "lower end of the interval over prompts"),
    "high": ("as the value", "upper end of the interval over prompts"),
}
