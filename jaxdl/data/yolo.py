"""Pictures with boxes in text files beside them, and a data.yaml, as Ultralytics' YOLO has them.

A label's line is ``class x y width height``, of the centre and the sides, in shares of the picture
from 0 to 1; or ``class x0 y0 x1 y1 x2 y2 …``, an outline. ``images`` in a picture's path is
``labels`` in that of its text (docs.ultralytics.com, "Object detection datasets overview").
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from jaxdl.data import Data, annotated, files, letterbox, pictures, register
from jaxdl.data.annotated import Picture, Thing
from jaxdl.errors import UserError, one_line

# How far numbers may lie outside 0 to 1, as Ultralytics has it.
_OVER = 0.01


@register("yolo")
def yolo(
    path: str = "",
    image_size: int = 0,
    channels: int = 3,
    fit: str = "letterbox",
    most: int = 0,
    masks: bool = False,
    split: str = "random",
    test_fraction: float = 0.2,
    split_seed: int = 0,
    eval_on: str = "test",
) -> Data:
    """``path/data.yaml`` names the classes, and folders such as ``images/train`` of each part.

    Arrays and settings are those of `jaxdl.data.coco.coco`; there are no crowds. Masks take
    outlines.

    Args:
      path: the data.yaml, or the folder that it lies in.
      image_size: pixels a side of the squares that pictures become; 0 is the first one's longer.
      channels: 1 for grey, 3 for colour.
      fit: "letterbox" or "stretch".
      most: boxes of a picture; 0 is as many as the fullest has.
      masks: whether masks are drawn.
      split: "random" or "halves", where there is no test part.
      test_fraction: size of the random test part.
      split_seed: of the draw.
      eval_on: "test" or "validation".
    """
    settings = annotated.Settings(
        image_size, channels, fit, most, masks, split, test_fraction, split_seed, eval_on
    )
    file = _yaml(path)
    content = _read(file)
    names = _names(content, file)
    root, notes, found = _root(content, file), [], {}
    for part, key in (("train", "train"), ("validation", "val"), ("test", "test")):
        if content.get(key):
            shown = _pictures(content[key], root, f"{file}: {key}")
            found[part] = [_picture(one, names) for one in shown]
            without = sum(not _label(one).is_file() for one in shown)
            if without == len(shown):
                raise UserError(
                    f"{file}: {key}: no picture has its labels: {_label(shown[0])} and so on"
                )
            if without:
                notes.append(f"{without} of {len(shown)} pictures of {part} have no labels' file")
    if "train" not in found:
        raise UserError(f"{file} has no train: a folder of pictures")
    return annotated.data(found, names, settings, notes)


def _yaml(path: str) -> epath.Path:
    root = epath.Path(path)
    if not path or not root.exists():
        raise UserError(f"data.path={path!r} is no file or folder: name a data.yaml")
    if not root.is_dir():
        return root
    there = [x.path for x in files.entries(root) if files.of_kind(x.path, (".yaml", ".yml"))]
    named = [file for file in there if file.stem.lower() in ("data", "dataset")]
    there = named if len(named) == 1 else there
    if len(there) != 1:
        shown = " and ".join(file.name for file in there) or "none"
        raise UserError(f"data.path={path!r} must hold one data.yaml; there: {shown}")
    return there[0]


def _read(file: epath.Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(files.text(file))
    except (yaml.YAMLError, RecursionError) as error:
        raise UserError(f"{file} is not YAML: {one_line(error)}") from None
    except ValueError as error:  # a date that is none
        raise UserError(f"{file} is not YAML: {one_line(error)}") from None
    if not isinstance(content, dict):
        raise UserError(f"{file} must have the keys train, val and names")
    return content


def _names(content: Mapping, file: epath.Path) -> tuple[str, ...]:
    names = content.get("names")
    if isinstance(names, dict):
        if set(names) != set(range(len(names))):
            raise UserError(f"{file}: names must be numbered from 0 to {len(names) - 1}")
        names = [names[i] for i in range(len(names))]
    if not isinstance(names, list) or not names or any(isinstance(x, dict | list) for x in names):
        raise UserError(f"{file}: names must list the classes")
    names = tuple(map(str, names))
    if len(set(names)) < len(names):
        again = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{file}: names has {again!r} twice")
    if content.get("nc", len(names)) != len(names):
        raise UserError(f"{file}: nc is {content['nc']}, but there are {len(names)} names")
    return names


def _root(content: Mapping, file: epath.Path) -> epath.Path:
    """What the parts' folders are relative to."""
    given = content.get("path") or ""
    if not isinstance(given, str):
        raise UserError(f"{file}: path must be a folder, not {given!r}")
    # A data.yaml is as often beside the folder that it names as in it.
    usual = [file.parent / given, file.parent.parent / given, file.parent]
    first = content.get("train")
    first = first[0] if isinstance(first, list) and first else first
    if isinstance(first, str):
        for root in usual:
            if _place(root, first).exists():
                return root
    return usual[0]


def _place(root: epath.Path, given: str) -> epath.Path:
    """A part's folder; Roboflow writes ``../train/images`` for ``train/images``."""
    own = root / given
    return root / given[3:] if not own.exists() and given.startswith("../") else own


def _pictures(given: Any, root: epath.Path, where: str) -> list[epath.Path]:
    """Of a folder, of a list in a text file, or of several of these."""
    if isinstance(given, list):
        found = [one for each in given for one in _pictures(each, root, where)]
    elif not isinstance(given, str):
        raise UserError(f"{where} must be a folder, or a text file that lists pictures")
    else:
        place = _place(root, given)
        if place.is_dir():
            found = [one for one in files.below(place) if files.of_kind(one, pictures.SUFFIXES)]
        elif place.is_file() and place.suffix == ".txt":
            lines = [line.strip() for line in files.text(place).splitlines()]
            found = [place.parent / line for line in lines if line]
        else:
            raise UserError(f"{where}: {place} is no folder, and no list of pictures")
    if not found:
        raise UserError(f"{where}: {given} holds no pictures ({', '.join(pictures.SUFFIXES)})")
    if len({str(one) for one in found}) < len(found):
        raise UserError(f"{where}: a picture is there twice")
    return found


def _label(picture: epath.Path) -> epath.Path:
    """The text that goes with a picture: the last ``images`` of its path is ``labels`` there."""
    folders = list(picture.parent.parts)
    for i in reversed(range(len(folders))):
        if folders[i] == "images":
            folders[i] = "labels"
            break
    return epath.Path(*folders) / f"{picture.stem}.txt"


def _picture(picture: epath.Path, names: Sequence[str]) -> Picture:
    label = _label(picture)
    if not label.is_file() or not picture.is_file():
        return Picture(picture, None, (), str(label))
    rows = [(n, line.split()) for n, line in enumerate(files.text(label).splitlines(), 1)]
    rows = [(f"{label}, line {n}", row) for n, row in rows if row]
    size = letterbox.upright_size(picture) if rows else None
    things = [_thing(row, size, names, where) for where, row in rows]
    return Picture(picture, size, things, str(label))


def _thing(row: Sequence[str], size: tuple[int, int], names: Sequence[str], where: str) -> Thing:
    try:
        number, *given = map(float, row)
    except ValueError:
        raise UserError(f"{where}: must be numbers, not {' '.join(row)[:60]!r}") from None
    if not math.isfinite(number) or number != int(number):
        raise UserError(f"{where}: the class must be a whole number, not {row[0]}")
    if not 0 <= number < len(names):
        raise UserError(
            f"{where}: class {row[0]}: there are {len(names)} names, numbered from 0 to "
            f"{len(names) - 1}"
        )
    if len(given) != 4 and (len(given) < 6 or len(given) % 2):
        raise UserError(
            f"{where}: {len(row)} numbers: a class and x, y, width and height are needed, or a "
            "class and x and y of three points or more"
        )
    wrong = [x for x in given if not -_OVER <= x <= 1 + _OVER]
    if wrong:
        raise UserError(
            f"{where}: {wrong[0]:g} must be a share of the picture, from 0 to 1, not pixels"
        )
    scale = np.array(size, np.float64)
    if len(given) > 4:
        points = np.clip(given, 0, 1).reshape(-1, 2) * scale
        box = (*points.min(0).tolist(), *points.max(0).tolist())
        return Thing(int(number), box, where, [points.ravel().tolist()])
    centre, sides = np.array(given[:2]) * scale, np.array(given[2:]) * scale
    if (sides < 0).any():
        raise UserError(f"{where}: width and height must not be below 0")
    box = (*(centre - sides / 2).tolist(), *(centre + sides / 2).tolist())
    return Thing(int(number), box, where)
