"""One picture of a run: a curve, and beside it what the trained system does.

Both are taken out of the run's own report.html, so that the gallery shows what users see.
"""

import base64
import html
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from jaxdl.report.draw import COLORS_OF_CLASSES, INK, LETTER, LINE, Picture

# Points: of the whole, of the curve and of what is beside it, and between them.
_HEIGHT, _ROOM, _GAP = 240, (340, 510), 12
_LETTER, _LINE = 6.1, 13
_ROWS, _COLUMNS = 16, 66
# The end of a heading under which pictures follow each other, the latest last.
_IN_TIME = "over the run"
_MOST_BYTES = 40_000
_COLORS = 8 * len(COLORS_OF_CLASSES)


class _Report(HTMLParser):
    """Collects {heading: [picture or text]} of a report."""

    def __init__(self):
        super().__init__()
        self.found: dict[str, list[Picture | str]] = {}
        self._inside = self._heading = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        if tag == "h2":
            self._heading = ""
        elif tag == "img":
            kind, data = dict(attrs)["src"].removeprefix("data:image/").split(";base64,")
            self._add(Picture(base64.b64decode(data), kind))
        elif tag == "pre":
            self._add("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "h2":
            self._heading += data
        elif self._inside == "pre":
            self.found[self._heading][-1] += data

    def _add(self, item: Picture | str) -> None:
        self.found.setdefault(self._heading, []).append(item)


def of_report(file: Path) -> dict[str, list[Picture | str]]:
    """{heading: its pictures and texts, from the top} of a report.html."""
    reader = _Report()
    reader.feed(file.read_text())
    return reader.found


def titled(charts: list[Picture], title: str) -> Picture:
    """The chart whose title is ``title``.

    Raises:
      KeyError: there is none.
    """
    for chart in charts:
        if f">{html.escape(title)}</text>" in chart.data.decode():
            return chart
    raise KeyError(title)


def beside(curve: Picture, item: Picture | str) -> bytes:
    """An SVG of a curve, and right of it a picture or the first lines of a text, on white."""
    drawn, left, heights = [], 0.0, []
    for number, one in enumerate((curve, item)):
        inside, width, height = _text(one) if isinstance(one, str) else _picture(one)
        scale = min(_ROOM[number] / width, _HEIGHT / height)
        wide, high = scale * width, scale * height
        drawn.append(
            f'<svg x="{left:.1f}" width="{wide:.1f}" height="{high:.1f}" '
            f'viewBox="0 0 {width:.1f} {height:.1f}">{_renamed(inside, number)}</svg>'
        )
        left += wide + _GAP
        heights.append(high)
    size = f"{left - _GAP:.0f} {max(heights):.0f}"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        'width="{}" height="{}" '.format(*size.split())
        + f'viewBox="0 0 {size}">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(drawn)}</svg>\n'
    ).encode()


def _picture(picture: Picture) -> tuple[str, float, float]:
    """(SVG, width, height)."""
    if picture.kind == "svg+xml":
        inside, width, height = _vectors(picture.data.decode())
        if 'font-family="monospace"' in inside:  # a text of which the first lines are enough
            width, height = min(width, _COLUMNS * LETTER), min(height, _ROWS * LINE)
        return inside, width, height
    from PIL import Image

    image = Image.open(io.BytesIO(picture.data)).convert("RGB")
    high = min(2 * _HEIGHT, image.height)  # twice what is seen, for fine screens
    image = image.resize((round(image.width * high / image.height), high), Image.Resampling.LANCZOS)
    flat = image.quantize(_COLORS, dither=Image.Dither.NONE)
    files = {"png": _file(flat, "png", optimize=True)}
    if len(files["png"]) > _MOST_BYTES:  # a photograph
        files["jpeg"] = _file(image, "jpeg", quality=85)
    kind = min(files, key=lambda kind: len(files[kind]))
    data = base64.b64encode(files[kind]).decode()
    size = f'width="{image.width}" height="{image.height}"'
    return f'<image {size} href="data:image/{kind};base64,{data}"/>', image.width, image.height


def _file(image: Any, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format=kind, **options)
    return out.getvalue()


def _vectors(text: str) -> tuple[str, float, float]:
    """What is inside of an SVG file, without its description and what breaks lines."""
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"[^>]*>(.*)</svg>', text, re.S)
    width, height, inside = float(found[1]), float(found[2]), found[3]
    inside = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", inside, flags=re.S)
    # Of places on the page tenths of a point are enough.
    shorter = lambda found: re.sub(r"(\.\d)\d+", r"\1", found[0])
    inside = re.sub(r'\b(d|x|y|transform)="[^"]*"', shorter, inside)
    return re.sub(r"\s*\n\s*", " ", inside), width, height


def _renamed(inside: str, number: int) -> str:
    """With ids of its own: two files in one must not share any."""
    return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{'abc'[number]}", inside)


def _text(text: str) -> tuple[str, float, float]:
    lines = [line for line in text.strip("\n").splitlines() if line.strip()]
    shown = [
        line if len(line) <= _COLUMNS else f"{line[: _COLUMNS - 1]}…" for line in lines[:_ROWS]
    ]
    rows = "".join(
        f'<text x="4" y="{(i + 1) * _LINE}" xml:space="preserve">'
        f"{html.escape(_visible(line))}</text>"
        for i, line in enumerate(shown)
    )
    width = _LETTER * max(40, max(map(len, shown), default=0)) + 8
    inside = f'<g font-family="DejaVu Sans Mono, monospace" font-size="10" fill="{INK}">{rows}</g>'
    return inside, width, _LINE * (max(len(shown), _ROWS) + 1)


def _visible(line: str) -> str:
    """Without what XML does not allow."""
    return "".join(c if c.isprintable() else "·" for c in line.expandtabs(4))


def of_run(folder: Path, curve: str, headings: tuple[str, ...]) -> bytes:
    """The SVG of a run.

    Args:
      folder: the run's, with report.html.
      curve: the title of the chart to show.
      headings: of report sections; under the first that is there stands what is shown.

    Raises:
      KeyError: the report has no such chart, or none of the sections.
    """
    found: dict[str, Any] = of_report(folder / "report.html")
    curve_of = titled(found["Curves"], curve)
    for heading in headings:
        if heading in found:
            return beside(curve_of, found[heading][-1 if heading.endswith(_IN_TIME) else 0])
    raise KeyError(f"{headings}: {sorted(found)}")
