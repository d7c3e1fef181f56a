"""Pictures of populations: what many runs have in common, and what their settings do."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl.report import draw
from jaxdl.report.draw import Picture

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
        for (label, (x, y)), color in zip(lines.items(), draw.COLORS * 9, strict=False):
            lowest, low, median, high, highest = quantiles(y)
            axes.fill_between(x, lowest, highest, color=color, alpha=0.12, linewidth=0)
            axes.fill_between(x, low, high, color=color, alpha=0.25, linewidth=0)
            axes.plot(x, median, label=label, color=color, marker=draw.marker(x))
        draw.finish(axes, title, xlabel, log)
        if len(lines) > 1:
            axes.legend()

    return draw.figure(5.2, 3.0, paint, caption=caption, margins=draw.AROUND_CHART)


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
            marker = draw.marker(x) if label == last else None
            for name, color, values in zip(names, colors, y.T, strict=True):
                shown = name if label == last else None
                axes.plot(x, values, label=shown, color=color, marker=marker, **style)
        draw.finish(axes, title, "step", log)
        if few:
            draw.beside(axes, title=unit)
        else:
            _colour_bar(axes, colors, names, unit)

    return draw.figure(6.6, 3.0, paint, caption=caption.strip())


def _colors(count: int, ordered: bool) -> list[Any]:
    import matplotlib

    if ordered:  # the end of the map is too light for lines
        return list(matplotlib.colormaps["viridis"](np.linspace(0, 0.9, count)))
    return [draw.COLORS_OF_CLASSES[i % len(draw.COLORS_OF_CLASSES)] for i in range(count)]


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
        line = {"color": draw.COLORS[0], "marker": "_", "markersize": 14}
        axes.plot(places, medians, label="median", linestyle="-" if names is None else "", **line)
        axes.scatter(
            x[~ended], y[~ended], 16, color=draw.COLORS[1], alpha=0.7, linewidths=0, zorder=3
        )
        axes.scatter(x[ended], y[ended], 24, color=draw.COLORS[3], marker="x", zorder=3)
        if logs[0]:
            axes.set_xscale("log")
        if names is not None:
            axes.set_xticks(range(len(names)), names)
        draw.finish(axes, title, xlabel, logs[1])
        axes.legend()

    return draw.figure(6.0, 3.4, paint, caption=caption, margins=draw.AROUND_CHART)


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
        axes.set_facecolor(draw.GRID)
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
            color = "white" if light else draw.INK
            text = f"{shown}{star}" if few else star
            axes.text(j, i, text, ha="center", va="center", color=color, fontsize=8)

    size = (2.6 + 0.55 * min(len(columns), 16), 1.5 + 0.34 * min(len(rows), 24))
    return draw.figure(*size, paint, kind="png", caption=caption)
