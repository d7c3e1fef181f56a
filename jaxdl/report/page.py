"""What the pages of runs are made of: headings, cards, tables, texts and pictures, as HTML."""

import base64
import html
import re
from collections.abc import Sequence
from typing import Any

from jaxdl.report import draw
from jaxdl.report.sound import Sound

_STYLE = """
:root{color-scheme:light dark;--ink:#1f2933;--pale:#64707d;--line:#d9dee4;--ground:#fff;
--raised:#f1f4f7}
@media(prefers-color-scheme:dark){:root{--ink:#e3e8ee;--pale:#9aa6b2;--line:#39434e;
--ground:#15191e;--raised:#222930}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground);max-width:1080px;
margin:2rem auto;padding:0 1rem}
h1{margin:0 0 .2rem;font-size:1.7rem;overflow-wrap:anywhere} h2{margin:2.4rem 0 .6rem;
font-size:1.2rem}
.sub{color:var(--pale);margin:.5rem 0 1.2rem} pre{background:var(--raised);padding:.6em 1em;
border-radius:6px;white-space:pre-wrap;overflow-wrap:anywhere}
.cards{display:flex;flex-wrap:wrap;gap:.8rem} .card{border:1px solid var(--line);border-radius:8px;
padding:.6rem 1rem;min-width:6rem} .card b{display:block;font-size:1.35rem}
.card span{color:var(--pale)}
.row{display:flex;flex-wrap:wrap;gap:1rem;align-items:flex-start} figure{margin:0;max-width:100%;
overflow-x:auto} figure img{display:block;max-width:100%;height:auto;background:#fff;
border-radius:6px} figcaption{color:var(--pale);font-size:.87rem;margin-top:.3rem}
table{border-collapse:collapse;font-size:.87rem} td,th{padding:.15rem .8rem .15rem 0;
text-align:left;border-bottom:1px solid var(--line)} td:last-child{overflow-wrap:anywhere}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;
overflow-wrap:normal}
details{margin:.4rem 0;overflow-x:auto} summary{cursor:pointer;font-weight:600}
.row>*{min-width:0;max-width:100%}
"""

# Of its own width, the least that a picture is shown in: words in it stay legible, and a narrower
# page shows a part of it and the rest by a swipe.
_LEAST = 2 / 3

_WIDTH = re.compile(rb"<svg[^>]*?\swidth=['\"]([\d.]+)(pt)?['\"]")


def document(title: str, parts: Sequence[str]) -> str:
    """A whole page, which needs no other file; ``parts`` are HTML, ``title`` is text."""
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>{''.join(parts)}</html>\n"
    )


def title(text: str, below: str) -> str:
    """The heading of a page, and a line below it."""
    broken = re.sub("([/:])", r"\1<wbr>", html.escape(text))  # a name is broken there first
    return f"<h1>{broken}</h1><p class=sub>{html.escape(below)}</p>"


def section(heading: str, *parts: str) -> str:
    """A heading, and parts of HTML side by side as far as they fit."""
    return f"<h2>{html.escape(heading)}</h2><div class=row>{''.join(parts)}</div>"


def cards(pairs: Sequence[tuple[str, Any]]) -> str:
    """A box for each (name, value)."""
    shown = "".join(
        f"<div class=card><b>{html.escape(number(value))}</b><span>{html.escape(name)}</span></div>"
        for name, value in pairs
    )
    return f"<div class=cards>{shown}</div>"


def number(value: Any) -> str:
    """A number for people, as text; other values as they are."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def image(picture: draw.Picture) -> str:
    """A picture and its caption."""
    data = base64.b64encode(picture.data).decode()
    caption = f"<figcaption>{html.escape(picture.caption)}</figcaption>" if picture.caption else ""
    least = f"style='min-width:{_LEAST * width(picture):.0f}px'"
    return (
        f"<figure><img alt='' {least} src='data:image/{picture.kind};base64,{data}'>{caption}"
        "</figure>"
    )


def width(picture: draw.Picture) -> float:
    """The pixels of a browser that a picture takes from left to right."""
    if picture.kind == "png":
        return int.from_bytes(picture.data[16:20], "big")  # of its header
    number, points = _WIDTH.search(picture.data).groups()
    return float(number) * (4 / 3 if points else 1)


def played(sound: Sound) -> str:
    """A sound with a button that plays it, and its caption."""
    data = base64.b64encode(sound.data).decode()
    caption = f"<figcaption>{html.escape(sound.caption)}</figcaption>" if sound.caption else ""
    return (
        f"<figure><audio controls preload=none src='data:audio/wav;base64,{data}'></audio>"
        f"{caption}</figure>"
    )


def show(item: draw.Picture | Sound | str) -> str:
    """A picture, a sound, or a text in its own lines."""
    if isinstance(item, Sound):
        return played(item)
    return image(item) if isinstance(item, draw.Picture) else f"<pre>{html.escape(item)}</pre>"


def note(text: str) -> str:
    """A small grey paragraph."""
    return f"<p class=sub>{html.escape(text)}</p>"


def folded(heading: str, inside: str, *, open: bool) -> str:
    """HTML that a click on its heading shows and hides."""
    return (
        f"<details{' open' if open else ''}><summary>{html.escape(heading)}</summary>"
        f"{inside}</details>"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], numeric: Sequence[int] = ()) -> str:
    """A table of texts; the columns ``numeric`` are flush right."""

    def cells(tag: str, values: Sequence[Any]) -> str:
        classes = (" class=n" if i in numeric else "" for i in range(len(values)))
        return "".join(
            f"<{tag}{c}>{html.escape(str(v))}</{tag}>" for c, v in zip(classes, values, strict=True)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><tr>{cells('th', head)}</tr>{body}</table>"
