"""Tables and sentences as the page takes them: values stay numbers, the page rounds and sorts them."""
from __future__ import annotations


def table(title: str, columns: list, rows: list[list], note: str = "", more: str = "") -> dict:
    """columns: names, or (name, digits behind the point), or (name, digits, key of TERMS). more: how many
    rows of the profile are not in it, in words."""
    heads = []
    for column in columns:
        given = (column,) if isinstance(column, str) else column
        heads.append(dict(zip(("name", "digits", "term"), given + ("", 3, "")[len(given):])))
    return {"title": title, "columns": heads, "rows": rows, "note": note, "more": more}


def measured(value: dict | None) -> dict | None:
    """A mean of a summary with its interval -> a cell."""
    if value is None or value.get("mean") is None:
        return None
    return {"value": value["mean"], "low": value.get("low"), "high": value.get("high")}


def place(layer: int, head: int) -> dict:
    """A cell that leads to a head."""
    return {"layer": layer, "head": head}


def words(value: dict, digits: int = 3) -> str:
    """A mean of a summary in a sentence."""
    mean, low, high = (value.get(key) for key in ("mean", "low", "high"))
    if mean is None:
        return "not known"
    text = f"{mean:.{digits}f}"
    return text if low is None or high is None else f"{text} ({low:.{digits}f} to {high:.{digits}f})"


def section(key: str, title: str, sentences: list[str], tables: list[dict]) -> dict:
    return {"key": key, "title": title, "sentences": sentences, "tables": tables}
