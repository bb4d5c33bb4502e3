"""Tables as data: the browser draws them (`assets/grid.js`), in milliseconds and with textContent.

A Dash component a cell costs the renderer about 5 ms each: a table of 80 rows would hold the page for seconds at every push.
Cells are written with the same small components as everywhere (`parts`) and turned into plain lists here.
"""

import json
from typing import Any, Final

from .ui import Component, html, read_text

_TAGS: Final = {"Span": "span", "B": "b", "Link": "a", "Button": "button"}


def table(heads: list[str], rows: list[list[Component]], name: str, widths: list[str] | None = None) -> Component:
    """A dense table with an accessible name. `widths`: one CSS width a column."""
    data = {"name": name, "heads": heads, "widths": widths or [], "rows": [[plain(cell) for cell in row] for row in rows]}
    return html.Div(className="scroll", **{"data-grid": json.dumps(data, ensure_ascii=False, separators=(",", ":"))})


def plain(node: Component) -> Any:
    """A cell as the browser gets it: text, a list, or [tag, class, title, href, act, children]; TypeError for what it cannot draw."""
    if node is None or isinstance(node, str | int | float):
        return "" if node is None else read_text(str(node))
    if isinstance(node, list):
        return [plain(child) for child in node]
    tag = _TAGS.get(type(node).__name__)
    if tag is None:
        raise TypeError(f"a table draws {', '.join(_TAGS)} and text, not {type(node).__name__}")
    props = node.to_plotly_json()["props"]
    children = plain(props.get("children"))
    known = [props.get(key, "") for key in ("className", "title", "href", "data-act")]
    return {"n": [tag, *known], "k": children if isinstance(children, list) else [children]}
