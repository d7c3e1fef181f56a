"""Pictures for reports, by matplotlib: imported at the first one, never shown on a screen."""

import contextlib
import html
import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxdl.data.preprocess import white

INK, GRID = "#1f2933", "#d9dee4"
COLORS = ("#2563eb", "#d97706", "#059669", "#be185d", "#6d28d9", "#0e7490", "#854d0e", "#475569")

# Ten that are told apart side by side, for classes.
COLORS_OF_CLASSES = (*COLORS, "#dc2626", "#65a30d")


def rgb(color: str) -> tuple[float, ...]:
    """Red, green and blue, in [0, 1], of "#2563eb"."""
    return tuple(int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))


class Picture(NamedTuple):
    """A picture in a file format that browsers show.

    Attributes:
      data: the file's bytes.
      kind: "png" or "svg+xml".
      caption: a sentence below it, or "".
    """

    data: bytes
    kind: str
    caption: str = ""


class Margins(NamedTuple):
    """Room around an axes, in inches."""

    left: float
    right: float
    bottom: float
    top: float


# Lines in a chart whose names find a place between them.
_FEW_LINES = 5

# Of a chart: numbers at the left and below, a title above.
AROUND_CHART = Margins(0.72, 0.15, 0.48, 0.32)

# {label: (x, y)}; NaN leaves a gap.
Lines = Mapping[str, tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray]]


class Chart(NamedTuple):
    """A figure that a run logged, over its steps.

    Attributes:
      name: the figure's.
      lines: {label: (x (points,), y)}, y of shape (points,), or (points, members) in a population;
        NaN where there is no number.
      log: whether y reads best on a logarithmic axis.
    """

    name: str
    lines: Mapping[str, tuple[np.ndarray, np.ndarray]]
    log: bool

    @property
    def title(self) -> str:
        """The name as words."""
        return self.name.replace("_", " ")


def figure(
    width: float, height: float, paint: Callable[[Any], None], *, kind: str = "svg+xml",
    caption: str = "", columns: int = 1, rows: int = 1, margins: Margins | None = None,
) -> Picture:  # fmt: skip
    """One picture in the house's style.

    Args:
      width: inches.
      height: inches.
      paint: is handed the matplotlib axes, an array (rows, columns) of them if there are several.
      kind: "svg+xml" for lines, "png" for many pixels.
      caption: of the result.
      columns: of axes.
      rows: of axes.
      margins: around a single axes. None lets matplotlib find the room that all words need, which
        takes it as long as drawing: the pictures of every run name theirs.
    """
    with styled():
        if margins:
            axes = axes_within(width, height, margins)
            paint(axes)
            return saved(axes.figure, kind, caption)
        figure = _empty(width, height, "constrained")
        paint(figure.subplots(rows, columns))
        return saved(figure, kind, caption)


def styled() -> contextlib.AbstractContextManager[None]:
    """The house's style, for what is made inside."""
    import matplotlib

    return matplotlib.rc_context(
        {
            "font.size": 9, "axes.edgecolor": GRID, "axes.labelcolor": INK, "text.color": INK,
            "xtick.color": INK, "ytick.color": INK, "axes.grid": True, "grid.color": GRID,
            "grid.linewidth": 0.6, "axes.spines.top": False, "axes.spines.right": False,
            "axes.titlesize": 10, "axes.titleweight": "bold", "lines.linewidth": 1.5,
            "legend.frameon": False, "svg.fonttype": "none", "svg.hashsalt": "jaxdl",
            "font.family": ["DejaVu Sans"],
        }
    )  # fmt: skip


def _empty(width: float, height: float, layout: str | None = None) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(made)
    return made


def axes_within(width: float, height: float, margins: Margins) -> Any:
    """matplotlib's axes, alone on a picture of this size; call inside of `styled`."""
    left, right, bottom, top = margins
    size = ((width - left - right) / width, (height - bottom - top) / height)
    return _empty(width, height).add_axes((left / width, bottom / height, *size))


def saved(figure: Any, kind: str, caption: str = "") -> Picture:
    """A matplotlib figure in the file format ``kind``; call inside of `styled`."""
    out = io.BytesIO()
    metadata = {"Date": None} if kind == "svg+xml" else None
    figure.savefig(out, format=kind.removesuffix("+xml"), dpi=130, metadata=metadata)
    return Picture(out.getvalue(), kind, caption)


class Charts:
    """Charts one after the other, all on the same axes.

    matplotlib takes as long to make axes, and a dozen objects for each of their ticks, as to draw
    them. A chart is to the byte what it is on axes of its own.
    """

    def __init__(self) -> None:
        self._axes: Any = None

    def draw(self, title: str, lines: Lines, *, xlabel: str = "step", log: bool = False) -> Picture:
        """Lines over one axis.

        Args:
          title: above.
          lines: {label: (x, y)}; NaN leaves a gap.
          xlabel: below.
          log: whether y is logarithmic, where it spans a decade.
        """
        with styled():
            axes = self._cleared()
            colors = COLORS_OF_CLASSES * 9
            for (label, (x, y)), color in zip(lines.items(), colors, strict=False):
                axes.plot(x, y, label=label, color=color, marker=marker(x))
            finish(axes, title, xlabel, log)
            if len(lines) > _FEW_LINES:  # there is no place without lines
                axes.legend(fontsize=7, ncols=2, frameon=True, edgecolor="none")
            elif len(lines) > 1:
                axes.legend()
            return saved(axes.figure, "svg+xml")

    def _cleared(self) -> Any:
        """The axes, with all that `draw` does to them undone."""
        if self._axes is None:
            self._axes = axes_within(5.2, 3.0, AROUND_CHART)
            return self._axes
        axes = self._axes
        for line in list(axes.lines):
            line.remove()
        if axes.get_legend() is not None:
            axes.get_legend().remove()
        if axes.get_yscale() != "linear":
            axes.set_yscale("linear")
        axes.relim()
        axes.set(xlim=(0, 1), ylim=(0, 1))  # as they are without data, or with NaN alone
        axes.autoscale(True)
        axes.locator_params(axis="x", integer=False, min_n_ticks=2)
        return axes


def curves(title: str, lines: Lines, *, xlabel: str = "step", log: bool = False) -> Picture:
    """A single one of `Charts`."""
    return Charts().draw(title, lines, xlabel=xlabel, log=log)


def room(names: Sequence[str], points: float) -> float:
    """The inches that the longest of ``names`` needs in letters of so many points."""
    return 0.62 * points / 72 * max(map(len, names), default=0)


def marker(x: Sequence[float]) -> str | None:
    """Of a line over ``x``: points where there are few."""
    return "." if len(x) < 40 else None


def finish(axes: Any, title: str, xlabel: str, log: bool) -> None:
    """What is written around a chart, whose y axis is logarithmic where ``log`` over a decade."""
    axes.set_title(title, loc="left", y=1)
    axes.set_xlabel(xlabel)
    if xlabel == "step":
        axes.locator_params(axis="x", integer=True, min_n_ticks=1)  # there is no step 11.5
    axes.yaxis.get_offset_text().set_x(-0.16)  # beside the title, not across it
    low, high = axes.dataLim.intervaly
    if log and high > 10 * low:
        axes.set_yscale("log")


def beside(axes: Any, **options: Any) -> None:
    """The legend, to the right of the axes."""
    axes.legend(fontsize=7, title_fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), **options)


def heatmap(
    title: str, values: np.ndarray, rows: Sequence[str], x: Sequence[float], *, unit: str
) -> Picture:
    """One coloured row a name, over steps.

    Args:
      title: above.
      values: (rows, len(x)).
      rows: their names, the first on top.
      x: steps.
      unit: of the colour bar.
    """
    points = 7 if len(rows) > 24 else 8
    around = Margins(0.15 + room(rows, points), 1.1, 0.48, 0.32)
    # Room for the colours beside long names, and for what the colour bar says beside few rows.
    width, height = max(8.0, around.left + 5.0), max(1.2 + 0.17 * len(rows), 2.2)
    # On top, where a page of many rows begins.
    bar = min(height - around.bottom - around.top, 3.0)
    place = (1 - 1.0 / width, 1 - (around.top + bar) / height, 0.16 / width, bar / height)

    def paint(axes):
        axes.grid(False)
        image = axes.imshow(
            values, aspect="auto", interpolation="nearest", cmap="viridis",
            extent=(x[0], x[-1] if x[-1] > x[0] else x[0] + 1, len(rows) - 0.5, -0.5),
        )  # fmt: skip
        axes.set_yticks(range(len(rows)), rows, fontsize=points)
        axes.set_xlabel("step")
        axes.set_title(title, loc="left", y=1)
        scale = axes.figure.add_axes(place)
        axes.figure.colorbar(image, cax=scale, label=unit)
        scale.grid(False)

    return figure(width, height, paint, kind="png", margins=around)


def confusion(counts: np.ndarray, names: Sequence[str]) -> Picture:
    """A confusion matrix: rows are true classes, columns answers, shaded by share of the row."""
    upright, words = max(map(len, names)) > 3, 0.45 + room(names, 9)
    around = Margins(words, 0.1, words if upright else 0.55, 0.1)

    def paint(axes):
        axes.grid(False)
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(names)), names, rotation=90 if upright else 0)
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("answer")
        axes.set_ylabel("true class")
        if len(names) <= 20:
            for (i, j), n in np.ndenumerate(counts):
                if n:
                    color = "white" if share[i, j] > 0.5 else INK
                    axes.text(j, i, str(n), ha="center", va="center", color=color, fontsize=8)

    side = 0.9 + 0.32 * min(len(names), 30)
    size = (side + around.left + around.right, side + around.bottom + around.top)
    caption = "Rows are true classes, columns answers."
    return figure(*size, paint, caption=caption, margins=around)


def image_grid(
    images: np.ndarray,
    captions: Sequence[str],
    caption: str = "",
    columns: int = 8,
    *,
    inch: float = 1.05,
    over: Callable[[Any, int, int, int], None] | None = None,
) -> Picture:
    """Small images with a line under each.

    Args:
      images: (n, h, w, c), uint8 or floating in [0, 1]; c other than 1 or 3 shows the first alone.
      captions: n lines.
      caption: of the whole.
      columns: images a row.
      inch: inches that each image takes from left to right, its gap included.
      over: (axes, i, y, x) paints over image i, whose upper left pixel's centre is there.
    """
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height, width = images.shape[1:3]
    gap = max(1, round(0.08 * width))
    line = -(-0.17 * (width + gap) // inch) if any(captions) else gap
    down, right = height + int(line), width + gap
    # All on one page: an axes an image takes matplotlib four times as long.
    page = np.ones((rows * down + gap, columns * right + gap, 3), np.float32)
    corners = [
        (i // columns * down + int(line), i % columns * right + gap) for i in range(len(images))
    ]
    for image, (y, x) in zip(images, corners, strict=True):
        page[y : y + height, x : x + width] = ink(image)

    def paint(axes):
        axes.axis("off")
        axes.imshow(page, interpolation="nearest")
        for (y, x), text in zip(corners, captions, strict=True):
            axes.text(x + width / 2 - 0.5, y - 0.7, text, fontsize=7, ha="center", va="bottom")
        for i, (y, x) in enumerate(corners if over else ()):
            over(axes, i, y, x)

    size = (inch * columns, inch * columns * page.shape[0] / page.shape[1])
    return figure(*size, paint, kind="png", caption=caption, margins=Margins(0, 0, 0, 0))


def ink(image: np.ndarray) -> np.ndarray:
    """(…, c), uint8 or in [0, 1], in [0, 1]: 3 channels as they are, else the first, inverted."""
    scaled = np.clip(np.nan_to_num(image / white(image.dtype)), 0, 1)
    return scaled if image.shape[-1] == 3 else 1 - scaled[..., :1]


# Of `coloured_text`: a letter of 12 pixels in most monospaced fonts, and a line of them.
LETTER, LINE = 7.22, 18


def coloured_text(
    lines: Sequence[tuple[str, Sequence[tuple[str, float]]]], caption: str = ""
) -> Picture:
    """Lines of text, each piece of them on a ground that is the darker the higher its value.

    Args:
      lines: (label, ((piece, value), …)) each; a value of 0 is white, the highest darkest.
      caption: of the picture.
    """
    # By hand: a browser has the letters of all scripts, matplotlib's fonts do not.
    cell, height = LETTER, LINE
    shift = 1 + max(len(label) for label, _ in lines)
    top = max((value for _, pieces in lines for _, value in pieces), default=0) or 1
    body, columns = [], 0
    for row, (label, pieces) in enumerate(lines):
        y = row * height
        letters = [(_visible(c), value) for piece, value in pieces for c in piece]
        columns = max(columns, shift + len(letters))
        dark = [f"{max(value, 0) / top:.2f}" for _, value in letters]
        for opacity, run in itertools.groupby(range(len(dark)), dark.__getitem__):
            first, *others = run
            if opacity != "0.00":
                body.append(
                    f'<rect x="{(shift + first) * cell:g}" y="{y}" height="{height}" '
                    f'width="{(1 + len(others)) * cell:g}" '
                    f'fill="{COLORS[1]}" fill-opacity="{opacity}"/>'
                )
        places = " ".join(f"{(shift + i) * cell:g}" for i in range(len(letters)))
        text = html.escape("".join(letter for letter, _ in letters))
        body += [
            f'<text x="0" y="{y + 13}" opacity=".6">{html.escape(label)}</text>',
            f'<text x="{places}" y="{y + 13}">{text}</text>',
        ]
    width, high = f"{columns * cell:g}", len(lines) * height
    drawn = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{high}" '
        f'viewBox="0 0 {width} {high}">'
        f'<g font-family="monospace" font-size="12" fill="{INK}">{"".join(body)}</g></svg>'
    )
    return Picture(drawn.encode(), "svg+xml", caption)


def _visible(letter: str) -> str:
    """What stands for a letter that takes no place, or none of its own."""
    if letter in "\n\t ":
        return {"\n": "\u21b5", "\t": "\u21e5", " ": "\u00a0"}[letter]
    return letter if letter.isprintable() else "\u00b7"


def scatter(
    points: np.ndarray,
    classes: np.ndarray,
    names: Sequence[str],
    caption: str = "",
    axes_names: tuple[str, str] = ("", ""),
) -> Picture:
    """Points in the plane, coloured by class; twenty classes or fewer are named beside it.

    Args:
      points: (n, 2).
      classes: (n,) indices of ``names``.
      names: of the classes.
      caption: of the picture.
      axes_names: below and left.
    """

    def paint(axes):
        for i, name in enumerate(names):
            x, y = points[classes == i].T
            color = COLORS_OF_CLASSES[i % len(COLORS_OF_CLASSES)]
            axes.scatter(x, y, 9, color=color, label=name)
        axes.set_xlabel(axes_names[0])
        axes.set_ylabel(axes_names[1])
        if len(names) <= 20:
            beside(axes)

    return figure(6.0, 4.6, paint, kind="png", caption=caption)


def graph(
    positions: np.ndarray,
    edges: np.ndarray,
    classes: np.ndarray,
    names: Sequence[str],
    *,
    squares: np.ndarray,
    rings: np.ndarray,
    caption: str = "",
) -> Picture:
    """A graph, its nodes coloured by class.

    Args:
      positions: (nodes, 2).
      edges: (edges, 2) node indices.
      classes: (nodes,) indices of ``names``.
      names: of the classes.
      squares: (nodes,) bool, nodes that are squares.
      rings: (nodes,) bool, nodes with a ring around them.
      caption: of the picture.
    """
    few = len(positions) <= 100
    size = 60 if few else 9

    def paint(axes):
        from matplotlib.collections import LineCollection

        axes.axis("off")
        lines = LineCollection(positions[edges], colors=GRID, linewidths=1 if few else 0.3)
        axes.add_collection(lines)
        for i, name in enumerate(names):
            for marker, which in (("o", ~squares), ("s", squares)):
                x, y = positions[(classes == i) & which].T
                color = COLORS_OF_CLASSES[i % len(COLORS_OF_CLASSES)]
                label = name if marker == "o" else None
                axes.scatter(x, y, size, color=color, marker=marker, label=label, zorder=2)
        x, y = positions[rings].T
        axes.scatter(x, y, 3 * size, facecolors="none", edgecolors=INK, zorder=3)
        beside(axes)

    return figure(7.0, 5.0, paint, kind="png", caption=caption)


def policy(values: np.ndarray, glyphs: np.ndarray, marks: np.ndarray) -> Picture:
    """A grid world: what each place is worth, and what is done there.

    Args:
      values: (rows, columns), the colour.
      glyphs: (rows, columns) texts, an arrow or a word; not shown at holes, cliffs and goals.
      marks: (rows, columns) letters of places, " " for none; "HCG" are holes, cliffs and goals.
    """
    rows, columns = values.shape
    ends = np.isin(marks, list("HCG"))

    def paint(axes):
        axes.grid(False)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.imshow(np.where(ends, np.nan, values), cmap="Blues")
        middle = (np.nanmin(values) + np.nanmax(values)) / 2
        for i, j in np.ndindex(rows, columns):
            color = "white" if values[i, j] > middle and not ends[i, j] else INK
            text = marks[i, j] if ends[i, j] else glyphs[i, j]
            axes.text(j, i, text, ha="center", va="center", color=color, fontsize=13)
            if not ends[i, j]:
                axes.text(j - 0.42, i - 0.4, marks[i, j], va="top", color=color, fontsize=7)

    caption = "Darker is worth more; H hole, C cliff, G goal, S start."
    return figure(0.55 * columns + 0.4, 0.55 * rows + 0.4, paint, kind="png", caption=caption)
