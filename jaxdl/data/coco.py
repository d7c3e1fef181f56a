"""Pictures with boxes and outlines in COCO's JSON (cocodataset.org, "Data format")."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from etils import epath

from jaxdl.data import Data, annotated, files, register
from jaxdl.data.annotated import Picture, Thing
from jaxdl.data.layout import PARTS
from jaxdl.errors import UserError, one_line

# Pixels, beyond which nothing is in a picture.
_FAR = 1e9


@register("coco")
def coco(
    path: str = "",
    images: str = "",
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
    """``path/annotations/instances_train2017.json`` …, ``path/train/_annotations.coco.json`` … .

    ``image`` (n, size, size, channels) uint8; ``boxes`` (n, N, 4) float32, x0, y0, x1, y1 in
    pixels, edges; ``classes`` (n, N) int32; ``present`` (n, N) bool, false of padding. Where there
    are crowds, ``crowd`` (n, N) bool says which boxes are theirs; these are not ``present``: they
    are not to be learned, nor wrong where they are found. With masks, ``mask`` (n, size, size)
    uint8: 0 for ground, 1 + the class, 255 for crowds; later ones lie in front. Classes are in the
    order of their categories' ids, which may have gaps, and pictures of theirs.

    What is found is judged as pycocotools judges it by the JSON: by all annotations as they stand
    there, repeated, empty and cut off ones too, in the pictures' own pixels, and by their ``area``;
    by the box's where an annotation has none.

    Args:
      path: the folder, in which each part has its JSON, its name in the file's or in its folder's;
        or one JSON, which is all there is to learn from.
      images: the pictures' folder, in ``path``; "" looks where they usually are.
      image_size: pixels a side of the squares that pictures become; 0 is the first one's longer.
      channels: 1 for grey, 3 for colour.
      fit: "letterbox" keeps a picture's shape in grey margins, "stretch" does not.
      most: boxes of a picture, N; 0 is as many as the fullest has.
      masks: whether masks are drawn.
      split: "random" or "halves", where there is no test part.
      test_fraction: size of the random test part.
      split_seed: of the draw.
      eval_on: "test", or "validation" for the data's own or a share of the training part.
    """
    settings = annotated.Settings(
        image_size, channels, fit, most, masks, split, test_fraction, split_seed, eval_on
    )
    names: tuple[str, ...] = ()
    ids: tuple[int | str, ...] = ()
    found = {}
    for part, file in _parts(path).items():
        found[part], categories = _read(file, epath.Path(path), images)
        own = tuple(categories.values())
        if names and own != names:
            other = sorted(set(own) ^ set(names)) or "their order"
            raise UserError(f"{file}: its categories are others than those of train: {other}")
        names, ids = own, ids or tuple(categories)
    return annotated.data(found, names, settings, class_ids=ids)


def _parts(path: str) -> dict[str, epath.Path]:
    """The JSON of each part."""
    root = epath.Path(path)
    if not path or not root.exists():
        raise UserError(f"data.path={path!r} is no file or folder: name a folder of COCO's form")
    if not root.is_dir():
        return {"train": root}
    there = [*files.entries(root)]
    below = [entry for one in there if one.is_folder for entry in files.entries(one.path)]
    jsons = [
        entry.path
        for entry in (*there, *below)
        if not entry.is_folder and files.of_kind(entry.path, (".json",))
    ]
    found = {}
    for part, called in PARTS.items():
        named = lambda text, called=called: set(called) & set(re.split("[^a-z]+", text.lower()))
        own = [file for file in jsons if named(file.stem)]
        own = own or [file for file in jsons if file.parent != root and named(file.parent.name)]
        # Beside it may be captions and key points of the same pictures.
        own = [file for file in own if file.name.startswith("instances")] or own
        if len(own) > 1:
            both = " and ".join(str(file.relative_to(root)) for file in own)
            raise UserError(f"data.path={path!r} has more than one JSON of {part}: {both}")
        if own:
            found[part] = own[0]
    if not found and len(jsons) == 1:
        return {"train": jsons[0]}
    if "train" not in found:
        named = ", ".join(str(file.relative_to(root)) for file in jsons[:10]) or "none"
        raise UserError(f"data.path={path!r} has no JSON called train; JSON there: {named}")
    return found


class Listed(NamedTuple):
    """What a JSON says of pictures, in the order of their ids, and of classes, in that of theirs.

    Attributes:
      files: of the pictures.
      ids: theirs.
      sizes: width and height, or None where it does not say.
      categories: {id: name}.
    """

    files: list[epath.Path]
    ids: list[int | str]
    sizes: list[tuple[int, int] | None]
    categories: dict[int | str, str]


def listed(file: epath.Path) -> Listed:
    """The pictures and classes of a JSON, with annotations or without.

    Raises:
      UserError: it cannot be read, or has none, or the pictures are not where they usually are.
    """
    content, folder = _content(file), file.resolve().parent
    return _listed(file, content, folder.parent, "", "put them there, or name their folder itself")


def _content(file: epath.Path) -> dict[str, Any]:
    try:
        content = json.loads(files.text(file))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is not JSON, or cut off: {one_line(error)}") from None
    if not isinstance(content, dict):
        raise UserError(f"{file} is no JSON object with images, annotations and categories")
    return content


def _listed(
    file: epath.Path,
    content: Mapping,
    root: epath.Path,
    images: str,
    remedy: str = "name the folder by data.images",
) -> Listed:
    pictures, categories = (_list(content, name, file) for name in ("images", "categories"))
    categories = sorted(categories, key=lambda one: _id(one, f"{file}: a category"))
    _by_id(categories, f"{file}: category")
    names = {one["id"]: _text(one, "name", f"{file}: category {one['id']}") for one in categories}
    if twice := sorted(name for name, n in Counter(names.values()).items() if n > 1):
        raise UserError(f"{file}: two categories are called {twice[0]!r}")
    if not pictures:
        raise UserError(f"{file} has no images")
    _by_id(pictures, f"{file}: image")
    pictures = sorted(pictures, key=lambda one: _id(one, f"{file}: an image"))
    names_of = [_text(one, "file_name", f"{file}: image {one['id']}") for one in pictures]
    if len(set(names_of)) < len(names_of):
        again = next(name for name, n in Counter(names_of).items() if n > 1)
        raise UserError(f"{file}: two images are {again!r}")
    folder = _folder(file, root, images, names_of[0], remedy)
    for one, name in zip(pictures, names_of, strict=True):
        if epath.Path(name).is_absolute() or ".." in epath.Path(name).parts:
            raise UserError(
                f"{file}: image {one['id']}: file_name {name!r} leads out of the folder"
            )
    sides = [(one.get("width"), one.get("height")) for one in pictures]
    sizes = [both if all(type(n) is int and n > 0 for n in both) else None for both in sides]
    return Listed([folder / name for name in names_of], [x["id"] for x in pictures], sizes, names)


def _read(file: epath.Path, root: epath.Path, images: str) -> tuple[list[Picture], dict]:
    """The pictures that a JSON names, and {id: name} of its classes."""
    content = _content(file)
    annotations = _list(content, "annotations", file)
    found = _listed(file, content, root, images)
    place = {one: i for i, one in enumerate(found.ids)}
    numbers = {one: i for i, one in enumerate(found.categories)}
    _by_id(annotations, f"{file}: annotation")
    things: list[list[Thing]] = [[] for _ in found.ids]
    for one in annotations:
        where = f"{file}: annotation {one['id']}"
        for key, table in (("image_id", place), ("category_id", numbers)):
            if not isinstance(one.get(key), int | str) or one[key] not in table:
                raise UserError(f"{where}: there is no {key[:-3]} {one.get(key)!r}")
        things[place[one["image_id"]]].append(_thing(one, numbers[one["category_id"]], where))
    rows = zip(found.files, found.sizes, things, found.ids, strict=True)
    pictures = [Picture(path, size, own, f"{file}: image {i}", own) for path, size, own, i in rows]
    return pictures, found.categories


def _thing(one: Mapping, label: int, where: str) -> Thing:
    crowd, outline = bool(one.get("iscrowd")), one.get("segmentation") or None
    box, area = one.get("bbox"), one.get("area")
    if area is not None and not (_is_number(area) and area >= 0):
        raise UserError(f"{where}: area must be pixels², at least 0, not {str(area)[:60]}")
    how = dict(outline=outline, crowd=crowd, area=area)
    if box is None:
        if outline is None:
            raise UserError(f"{where} has neither bbox nor segmentation")
        return Thing(label, annotated.box_of_outline(outline, where), where, **how)
    four = isinstance(box, Sequence) and len(box) == 4
    if not four or not all(_is_number(x) and abs(x) < _FAR for x in box):
        raise UserError(f"{where}: bbox must be [x, y, width, height], not {str(box)[:60]}")
    x, y, width, height = map(float, box)
    if width < 0 or height < 0:
        raise UserError(f"{where}: bbox {box} is inside out: its width and height are below 0")
    return Thing(label, (x, y, x + width, y + height), where, **how)


def _is_number(x: Any) -> bool:
    """Whether it is one, and of a size that areas and edges may have."""
    return isinstance(x, int | float) and abs(x) < _FAR**2


def _list(content: Mapping, name: str, file: epath.Path) -> list[dict]:
    found = content.get(name)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise UserError(f"{file} must have a list of objects {name!r}")
    return found


def _id(one: Mapping, where: str) -> Any:
    if not isinstance(one.get("id"), int | str) or isinstance(one["id"], bool):
        raise UserError(f"{where} has no id, a whole number")
    return (isinstance(one["id"], str), one["id"])


def _by_id(listed: Sequence[Mapping], where: str) -> dict[Any, int]:
    found: dict[Any, int] = {}
    for i, one in enumerate(listed):
        _id(one, f"{where} number {i + 1}")
        if one["id"] in found:
            raise UserError(f"{where} {one['id']} is there twice: ids must differ")
        found[one["id"]] = i
    return found


def _text(one: Mapping, key: str, where: str) -> str:
    if not isinstance(one.get(key), str) or not one[key]:
        raise UserError(f"{where} has no {key}")
    return one[key]


def _folder(file: epath.Path, root: epath.Path, images: str, first: str, remedy: str) -> epath.Path:
    """Where the pictures of a JSON lie, by the first of them."""
    root = root if root.is_dir() else root.parent
    if images:
        return root / images
    word = file.stem.removeprefix("instances_")  # train2017
    inside = ("", "images", "data", word, f"images/{word}")
    usual = [base / name for base in (file.parent, root) for name in inside]
    parts = [base / x for base in (root, root / "images")
             for names in PARTS.values() for x in names]  # fmt: skip
    for folder in (*usual, *parts):
        if (folder / first).is_file():
            return folder
    raise UserError(
        f"{file}: its first picture, {first!r}, is not in {file.parent}, {root / 'images'} or "
        f"{root / word}: {remedy}"
    )
