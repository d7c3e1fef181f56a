"""Pictures for reports, by matplotlib: imported at the first one, never shown on a screen."""

import html
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

INK, GRID = "#1f2933", "#d9dee4"
COLORS = ("#2563eb", "#d97706", "#059669", "#be185d", "#6d28d9", "#0e7490", "#854d0e", "#475569")

# Ten that are told apart side by side, for classes.
COLORS_OF_CLASSES = (*COLORS, "#dc2626", "#65a30d")


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
    caption: str = "", columns: int = 1, rows: int = 1,
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
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style = {
        "font.size": 9, "axes.edgecolor": GRID, "axes.labelcolor": INK, "text.color": INK,
        "xtick.color": INK, "ytick.color": INK, "axes.grid": True, "grid.color": GRID,
        "grid.linewidth": 0.6, "axes.spines.top": False, "axes.spines.right": False,
        "axes.titlesize": 10, "axes.titleweight": "bold", "lines.linewidth": 1.5,
        "legend.frameon": False, "svg.fonttype": "none", "svg.hashsalt": "jaxdl",
        "font.family": ["DejaVu Sans"],
    }  # fmt: skip
    with matplotlib.rc_context(style):
        fig = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(fig)
        paint(fig.subplots(rows, columns))
        out = io.BytesIO()
        metadata = {"Date": None} if kind == "svg+xml" else None
        fig.savefig(out, format=kind.removesuffix("+xml"), dpi=130, metadata=metadata)
    return Picture(out.getvalue(), kind, caption)


def curves(
    title: str,
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    xlabel: str = "step",
    log: bool = False,
) -> Picture:
    """Lines over one axis: {label: (x, y)}; NaN leaves a gap."""

    def paint(axes):
        for (label, (x, y)), color in zip(lines.items(), COLORS * 9, strict=False):
            axes.plot(x, y, label=label, color=color, marker=_marker(x))
        _finish(axes, title, xlabel, log)
        if len(lines) > 1:
            axes.legend()

    return figure(5.2, 3.0, paint)


# The outer band, the inner band and the line of `bands`.
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)


def quantiles(values: np.ndarray, shares: Sequence[float] = SHARES) -> np.ndarray:
    """Quantiles over the last axis, by linear interpolation, of what is not NaN.

    Args:
      values: (…, members).
      shares: in [0, 1].

    Returns:
      (len(shares), …); NaN where all members are.
    """
    values = np.asarray(values, np.float64)
    nobody = np.isnan(values).all(axis=-1)
    found = np.nanquantile(np.where(nobody[..., None], 0.0, values), shares, axis=-1)
    return np.where(nobody, np.nan, found)


def bands(
    title: str,
    lines: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    xlabel: str = "step",
    log: bool = False,
    caption: str = "",
) -> Picture:
    """Medians over one axis, on bands that hold half and four fifths of the members.

    Args:
      title: above.
      lines: {label: (x (points,), y (points, members))}; NaN leaves a member out.
      xlabel: below.
      log: whether the y axis is logarithmic.
      caption: of the picture.
    """

    def paint(axes):
        for (label, (x, y)), color in zip(lines.items(), COLORS * 9, strict=False):
            lowest, low, median, high, highest = quantiles(y)
            axes.fill_between(x, lowest, highest, color=color, alpha=0.12, linewidth=0)
            axes.fill_between(x, low, high, color=color, alpha=0.25, linewidth=0)
            axes.plot(x, median, label=label, color=color, marker=_marker(x))
        _finish(axes, title, xlabel, log)
        if len(lines) > 1:
            axes.legend()

    return figure(5.2, 3.0, paint, caption=caption)


def families(
    title: str,
    lines: Mapping[str, tuple[np.ndarray, np.ndarray]],
    names: Sequence[str],
    *,
    unit: str,
    ordered: bool,
    log: bool = False,
    caption: str = "",
) -> Picture:
    """One line a setting, coloured by it.

    Args:
      title: above.
      lines: {label: (x (points,), y (points, settings))}; the last label's are solid, those of the
        others pale and dashed, and left out where there are more than ten settings.
      names: of the settings.
      unit: what the names are values of.
      ordered: whether the colours go from dark to light with the names, or only tell them apart.
      log: whether the y axis is logarithmic.
      caption: of the picture, before what solid and dashed are.
    """
    few, last = len(names) <= 10, list(lines)[-1]
    if len(lines) > 1 and few:
        caption = f"{caption} Solid {last}, dashed {', '.join(x for x in lines if x != last)}."
    elif len(lines) > 1:
        lines, caption = {last: lines[last]}, f"{caption} Of {last} alone."

    def paint(axes):
        colors = _colors(len(names), ordered)
        for label, (x, y) in lines.items():
            style = {} if label == last else {"linestyle": "--", "linewidth": 0.8, "alpha": 0.6}
            marker = _marker(x) if label == last else None
            for name, color, values in zip(names, colors, y.T, strict=True):
                shown = name if label == last else None
                axes.plot(x, values, label=shown, color=color, marker=marker, **style)
        _finish(axes, title, "step", log)
        if few:
            _beside(axes, title=unit)
        else:
            _colour_bar(axes, colors, names, unit)

    return figure(6.6, 3.0, paint, caption=caption.strip())


def _marker(x: Sequence[float]) -> str | None:
    return "." if len(x) < 40 else None


def _finish(axes: Any, title: str, xlabel: str, log: bool) -> None:
    axes.set_title(title, loc="left")
    axes.set_xlabel(xlabel)
    if log:
        axes.set_yscale("log")


def _beside(axes: Any, **options: Any) -> None:
    """The legend, to the right of the axes."""
    axes.legend(fontsize=7, title_fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), **options)


def _colors(count: int, ordered: bool) -> list[Any]:
    import matplotlib

    if ordered:  # the end of the map is too light for lines
        return list(matplotlib.colormaps["viridis"](np.linspace(0, 0.9, count)))
    return [COLORS_OF_CLASSES[i % len(COLORS_OF_CLASSES)] for i in range(count)]


def _colour_bar(axes: Any, colors: Sequence[Any], names: Sequence[str], unit: str) -> None:
    """A bar with a patch a name, of which it writes a few."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    shown = np.unique(np.linspace(0, len(names) - 1, 8).round().astype(int))
    scale = ScalarMappable(Normalize(-0.5, len(names) - 0.5), ListedColormap(colors))
    bar = axes.figure.colorbar(scale, ax=axes, label=unit, ticks=shown)
    bar.ax.set_yticklabels([names[i] for i in shown], fontsize=7)


def against(
    title: str,
    x: np.ndarray,
    y: np.ndarray,
    ended: np.ndarray,
    *,
    xlabel: str,
    logs: tuple[bool, bool] = (False, False),
    names: Sequence[str] | None = None,
    caption: str = "",
) -> Picture:
    """A figure against the setting that it comes of: a point a member, a line through medians.

    Args:
      title: above.
      x: (members,) the setting's value.
      y: (members,) the figure; NaN is not drawn.
      ended: (members,) bool, those that are crosses.
      xlabel: below.
      logs: whether x and y are logarithmic.
      names: of x = 0, 1, …, where it stands for texts; no line is drawn then.
      caption: of the picture.
    """

    def paint(axes):
        places = np.unique(x)
        medians = [quantiles(y[x == place], (0.5,))[0] for place in places]
        line = {"color": COLORS[0], "marker": "_", "markersize": 14}
        axes.plot(places, medians, label="median", linestyle="-" if names is None else "", **line)
        axes.scatter(x[~ended], y[~ended], 16, color=COLORS[1], alpha=0.7, linewidths=0, zorder=3)
        axes.scatter(x[ended], y[ended], 24, color=COLORS[3], marker="x", zorder=3)
        if logs[0]:
            axes.set_xscale("log")
        if names is not None:
            axes.set_xticks(range(len(names)), names)
        _finish(axes, title, xlabel, logs[1])
        axes.legend()

    return figure(6.0, 3.4, paint, caption=caption)


def grid(
    title: str,
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    labels: tuple[str, str],
    log: bool = False,
    starred: np.ndarray | None = None,
    caption: str = "",
) -> Picture:
    """A figure over two settings: a cell for each pair of values, its number in it if they are few.

    Args:
      title: above.
      values: (rows, columns); NaN is an empty cell.
      rows: values of the setting at the left, the first at the bottom.
      columns: values of the setting below.
      labels: of the columns and of the rows.
      log: whether the colour is logarithmic.
      starred: (rows, columns) bool, cells with a star behind their number.
      caption: of the picture.
    """
    few = values.size <= 144

    def paint(axes):
        from matplotlib.colors import LogNorm

        axes.grid(False)
        axes.set_facecolor(GRID)
        norm = LogNorm() if log else None
        image = axes.imshow(values, aspect="auto", origin="lower", cmap="viridis", norm=norm)
        axes.set_xticks(range(len(columns)), columns, rotation=90 if len(columns) > 9 else 0)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        axes.set_title(title, loc="left")
        axes.figure.colorbar(image, shrink=0.8)
        for (i, j), value in np.ndenumerate(values):
            star = "*" if starred is not None and starred[i, j] else ""
            shown = "–" if np.isnan(value) else f"{value:.3g}"
            light = not np.isnan(value) and image.norm(value) < 0.6
            color = "white" if light else INK
            text = f"{shown}{star}" if few else star
            axes.text(j, i, text, ha="center", va="center", color=color, fontsize=8)

    size = (2.6 + 0.55 * min(len(columns), 16), 1.5 + 0.34 * min(len(rows), 24))
    return figure(*size, paint, kind="png", caption=caption)


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

    def paint(axes):
        axes.grid(False)
        image = axes.imshow(
            values, aspect="auto", interpolation="nearest", cmap="viridis",
            extent=(x[0], x[-1] if x[-1] > x[0] else x[0] + 1, len(rows) - 0.5, -0.5),
        )  # fmt: skip
        axes.set_yticks(range(len(rows)), rows, fontsize=6 if len(rows) > 24 else 8)
        axes.set_xlabel("step")
        axes.set_title(title, loc="left")
        axes.figure.colorbar(image, label=unit, shrink=0.8)

    return figure(8.0, 1.2 + 0.17 * len(rows), paint, kind="png")


def confusion(counts: np.ndarray, names: Sequence[str]) -> Picture:
    """A confusion matrix: rows are true classes, columns answers, shaded by share of the row."""

    def paint(axes):
        axes.grid(False)
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(names)), names, rotation=90 if max(map(len, names)) > 3 else 0)
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("answer")
        axes.set_ylabel("true class")
        if len(names) <= 20:
            for (i, j), n in np.ndenumerate(counts):
                if n:
                    color = "white" if share[i, j] > 0.5 else INK
                    axes.text(j, i, str(n), ha="center", va="center", color=color, fontsize=8)

    side = 1.6 + 0.32 * min(len(names), 30)
    return figure(side, side, paint, caption="Rows are true classes, columns answers.")


def image_grid(
    images: np.ndarray, captions: Sequence[str], caption: str = "", columns: int = 8
) -> Picture:
    """Small images with a line under each.

    Args:
      images: (n, h, w, c), uint8 or floating in [0, 1]; c other than 1 or 3 shows the first alone.
      captions: n lines.
      caption: of the whole.
      columns: images a row.
    """
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    (height, width), inch = images.shape[1:3], 1.05  # of a column
    gap = max(1, round(0.08 * width))
    line = -(-0.17 * (width + gap) // inch) if any(captions) else gap
    down, right = height + int(line), width + gap
    # All on one page: an axes an image takes matplotlib four times as long.
    page = np.ones((rows * down + gap, columns * right + gap, 3), np.float32)
    corners = [
        (i // columns * down + int(line), i % columns * right + gap) for i in range(len(images))
    ]
    for image, (y, x) in zip(images, corners, strict=True):
        page[y : y + height, x : x + width] = _ink(image)

    def paint(axes):
        axes.axis("off")
        axes.imshow(page, interpolation="nearest")
        for (y, x), text in zip(corners, captions, strict=True):
            axes.text(x + width / 2 - 0.5, y - 0.7, text, fontsize=7, ha="center", va="bottom")

    size = (inch * columns, inch * columns * page.shape[0] / page.shape[1])
    return figure(*size, paint, kind="png", caption=caption)


def _ink(image: np.ndarray) -> np.ndarray:
    """(h, w, c), uint8 or in [0, 1], as (h, w, 3) in [0, 1]; a single channel is black on white."""
    scaled = np.clip(np.nan_to_num(image / 255 if image.dtype == np.uint8 else image), 0, 1)
    return scaled if image.shape[-1] == 3 else 1 - scaled[..., :1]


def coloured_text(
    lines: Sequence[tuple[str, Sequence[tuple[str, float]]]], caption: str = ""
) -> Picture:
    """Lines of text, each piece of them on a ground that is the darker the higher its value.

    Args:
      lines: (label, ((piece, value), …)) each; a value of 0 is white, the highest darkest.
      caption: of the picture.
    """
    # By hand: a browser has the letters of all scripts, matplotlib's fonts do not.
    cell, height = 7.22, 18  # a letter of 12 pixels in most monospaced fonts
    shift = 1 + max(len(label) for label, _ in lines)
    top = max((value for _, pieces in lines for _, value in pieces), default=0) or 1
    body, columns = [], 0
    for row, (label, pieces) in enumerate(lines):
        y = row * height
        letters = [(_visible(c), value) for piece, value in pieces for c in piece]
        columns = max(columns, shift + len(letters))
        body += [
            f"<rect x='{(shift + i) * cell:g}' y='{y}' width='{cell}' height='{height}' "
            f"fill='{COLORS[1]}' fill-opacity='{max(value, 0) / top:.2f}'/>"
            for i, (_, value) in enumerate(letters)
        ]
        places = " ".join(f"{(shift + i) * cell:g}" for i in range(len(letters)))
        text = html.escape("".join(letter for letter, _ in letters))
        body += [
            f"<text x='0' y='{y + 13}' opacity='.6'>{html.escape(label)}</text>",
            f"<text x='{places}' y='{y + 13}'>{text}</text>",
        ]
    size = f"width='{columns * cell:g}' height='{len(lines) * height}'"
    drawn = (
        f"<svg xmlns='http://www.w3.org/2000/svg' {size} font-family='monospace' font-size='12' "
        f"fill='{INK}'>{''.join(body)}</svg>"
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
            _beside(axes)

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
        _beside(axes)

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
