"""Pictures with boxes in Pascal VOC's XML (Everingham et al., 2010), a file a picture.

Its pixels are counted from 1, and a box holds its last ones.
"""

from collections.abc import Sequence
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from etils import epath

from jaxdl.data import Data, annotated, files, pictures, register
from jaxdl.data.annotated import Picture, Thing
from jaxdl.data.layout import PARTS, parts_or_whole
from jaxdl.errors import UserError, nearest, one_line

# Where pictures lie: beside their XML, or in one of these beside its folder.
_FOLDERS = ("JPEGImages", "images", "Images", "imgs")

# Deeper is no annotation.
_DEPTH = 32


@register("voc")
def voc(
    path: str = "",
    one_based: bool = True,
    image_size: int = 0,
    channels: int = 3,
    fit: str = "letterbox",
    most: int = 0,
    split: str = "random",
    test_fraction: float = 0.2,
    split_seed: int = 0,
    eval_on: str = "test",
) -> Data:
    """``path/Annotations/*.xml``, ``path/JPEGImages`` and ``path/ImageSets/Main/train.txt`` ….

    Without lists, ``path/train/…`` and the parts beside it, or all files there are. Arrays and
    settings are those of `jaxdl.data.coco.coco`, but for crowds and masks: where there are
    objects that are difficult, ``difficult`` (n, N) bool says which; these are not ``present``.
    Classes are in the order of their names. Masks in folders are read by data.name=masks.

    Args:
      path: the folder, such as VOCdevkit/VOC2007.
      one_based: whether pixels are counted from 1, and boxes hold their last, as VOC's own do;
        else they are edges from 0 on.
      image_size: pixels a side of the squares that pictures become; 0 is the first one's longer.
      channels: 1 for grey, 3 for colour.
      fit: "letterbox" or "stretch".
      most: boxes of a picture; 0 is as many as the fullest has.
      split: "random" or "halves", where there is no test part.
      test_fraction: size of the random test part.
      split_seed: of the draw.
      eval_on: "test" or "validation".
    """
    settings = annotated.Settings(
        image_size, channels, fit, most, False, split, test_fraction, split_seed, eval_on
    )
    root = epath.Path(path)
    if not path or not root.is_dir():
        raise UserError(f"data.path={path!r} is no folder: name one of Pascal VOC's form")
    read = {part: [_read(file) for file in found] for part, found in _parts(root).items()}
    names = sorted({name for one in read["train"] for name, _ in one.objects})
    found = {
        part: [_picture(one, names, one_based, part) for one in ones] for part, ones in read.items()
    }
    return annotated.data(found, names, settings)


class _Annotation:
    """What an XML says: its file, its picture, the size, and (name, element) of each object."""

    def __init__(self, file: epath.Path, tree: Element):
        self.file = file
        self.picture = _find(file, (tree.findtext("filename") or "").strip())
        sides = [tree.findtext(f"size/{name}") or "" for name in ("width", "height")]
        sides = [int(side) if side.strip().isdecimal() else 0 for side in sides]
        self.size = tuple(sides) if all(sides) else None
        self.objects = [((x.findtext("name") or "").strip(), x) for x in tree.findall("object")]
        for i, (name, _) in enumerate(self.objects):
            if not name:
                raise UserError(f"{file}: object {i + 1} has no name")


def _parts(root: epath.Path) -> dict[str, list[epath.Path]]:
    """The XML files of each part."""
    inner = files.folders(root)
    if not (root / "Annotations").is_dir() and inner:
        years = [one for one in inner if (one / "Annotations").is_dir()]
        if len(years) > 1:
            raise UserError(
                f"data.path={str(root)!r} holds {' and '.join(one.name for one in years)}: name one"
            )
        root = years[0] if years else root
    lists = root / "ImageSets" / "Main"
    if lists.is_dir():
        found = {}
        for part, names in PARTS.items():
            names = (*names, "trainval") if part == "train" else names
            there = [lists / f"{x}.txt" for x in names if (lists / f"{x}.txt").is_file()]
            if there:
                found[part] = _listed(there[0], root / "Annotations")
        if "train" not in found:
            raise UserError(f"{lists} has no train.txt or trainval.txt")
        return found
    folders = parts_or_whole(root)
    found = {part: _xml(folder) for part, folder in folders.items()}
    for part, folder in folders.items():
        if not found[part]:
            raise UserError(f"{folder} holds no annotations (.xml)")
    return found


def _xml(folder: epath.Path) -> list[epath.Path]:
    return [file for file in files.below(folder) if files.of_kind(file, (".xml",))]


def _listed(file: epath.Path, folder: epath.Path) -> list[epath.Path]:
    """The annotations of a list: a name a line, behind which others may stand."""
    names = [line.split()[0] for line in files.text(file).splitlines() if line.strip()]
    if not names:
        raise UserError(f"{file} lists no pictures")
    found = [folder / f"{name}.xml" for name in names]
    for path in found:
        if not path.is_file():
            raise UserError(f"{file}: there is no {path}")
    if len(set(names)) < len(names):
        again = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{file}: {again!r} is there twice")
    return found


def _read(file: epath.Path) -> _Annotation:
    try:
        tree = tree_of(file.read_bytes())
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from None
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise UserError(f"{file} is not XML that can be read: {one_line(error)}") from None
    if tree.tag != "annotation":
        raise UserError(f"{file} is no annotation, but <{tree.tag}>")
    return _Annotation(file, tree)


def tree_of(content: bytes) -> Element:
    """The elements of an XML; nothing in it is expanded or looked up.

    Raises:
      expat.ExpatError: it is broken.
      ValueError: it declares a document type, of which entities are part, or is too deep.
    """
    parser, builder, depth = expat.ParserCreate(), TreeBuilder(), 0

    def start(tag: str, attributes: dict) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEPTH:
            raise ValueError(f"its elements lie more than {_DEPTH} deep")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def document_type(*_) -> None:
        raise ValueError("it declares a document type (<!DOCTYPE>), which no annotation needs")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = document_type
    parser.Parse(content, True)
    return builder.close()


def _find(file: epath.Path, name: str) -> epath.Path:
    """The picture of an annotation: what it names, or what is called as it is itself."""
    name = name.replace("\\", "/").rpartition("/")[2]
    places = [file.parent, *(file.parent.parent / x for x in _FOLDERS)]
    usual = [f"{file.stem}{ending}" for ending in (".jpg", ".jpeg", ".png", *pictures.SUFFIXES)]
    for called in (*((name,) if name else ()), *usual):
        for place in places:
            if (place / called).is_file():
                return place / called
    return places[1] / (name or usual[0])


def _picture(one: _Annotation, names: Sequence[str], one_based: bool, part: str) -> Picture:
    things = []
    for i, (name, found) in enumerate(one.objects):
        where = f"{one.file}: object {i + 1}"
        if name not in names:
            raise UserError(
                f"{where}: there is no {name!r} in the training part: {nearest(name, names)}"
            )
        ends = [_number(found, f"bndbox/{x}", where) for x in ("xmin", "ymin", "xmax", "ymax")]
        if one_based:
            ends[0], ends[1] = ends[0] - 1, ends[1] - 1
        difficult = (found.findtext("difficult") or "").strip() == "1"
        things.append(Thing(names.index(name), tuple(ends), where, difficult=difficult))
    return Picture(one.picture, one.size, things, str(one.file))


def _number(found: Element, key: str, where: str) -> float:
    text = found.findtext(key)
    try:
        return float(text)
    except (TypeError, ValueError):
        raise UserError(f"{where}: {key} must be a number, not {text!r}") from None
