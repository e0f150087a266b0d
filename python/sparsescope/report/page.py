"""One file from the page's parts: nothing is loaded from elsewhere."""
from __future__ import annotations

import json
from importlib import resources
from string import Template

# In this order: each may use what stands above it.
SCRIPTS = ("data.js", "state.js", "theme.js", "plots.js", "tables.js", "help.js", "navigator_maps.js",
           "navigator.js", "overview.js", "head.js", "head_methods.js", "layer.js", "plan.js",
           "validation.js", "sweep.js", "videos.js", "search.js", "keys.js", "main.js")


def html_page(content: dict, title: str) -> str:
    """content: of report_data. title: plain text."""
    web = resources.files("sparsescope.report") / "web"
    script = "\n".join((web / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return Template((web / "page.html").read_text(encoding="utf-8")).substitute(
        title=_escaped(title),
        style=(web / "page.css").read_text(encoding="utf-8"),
        data=json_in_html(content),
        plotly=_in_script(plotly_script()),
        script=_in_script(f"(() => {{\n{script}\n}})();"))


def json_in_html(content: dict) -> str:
    """JSON that no prompt or file name can leave: "<" and ">" stand as escapes."""
    text = json.dumps(content, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def plotly_script() -> str:
    return (resources.files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def _in_script(script: str) -> str:
    return script.replace("</script", "<\\/script")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
