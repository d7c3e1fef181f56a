"""What was found in pictures as COCO's results JSON (cocodataset.org, "Results format")."""

import json
from collections.abc import Sequence
from typing import Any

from etils import epath

from jaxdl.tasks import Detection


class Results:
    """Finds of several pictures, a row each, of whatever score.

    To COCO's own keys, ``image_id``, ``category_id``, ``bbox`` (x, y, width, height in pixels of
    the picture) and ``score``, are added ``file_name`` and ``category_name``. Categories count from
    1 on, in the order of the classes. Pictures whose names are numbers have these for ids, as
    COCO's own do; if one's is none, or two's are the same, all count from 1 on in their order.
    """

    def __init__(self):
        self._names: list[str] = []
        self._found: list[Sequence[Detection]] = []

    def add(self, name: str, found: Sequence[Detection]) -> None:
        """What was found in the picture of a file, or one of several in it, "scenes.npy[3]"."""
        self._names.append(name)
        self._found.append(found)

    def write(self, file: epath.Path) -> None:
        """Writes all of it."""
        rows = [
            _row(i, name, one)
            for i, name, found in zip(_ids(self._names), self._names, self._found, strict=True)
            for one in found
        ]
        file.write_text(json.dumps(rows))

    def __len__(self) -> int:
        """Pictures."""
        return len(self._names)


def _row(image: int, name: str, found: Detection) -> dict[str, Any]:
    x0, y0, x1, y1 = map(float, found.box)
    return {
        "image_id": image,
        "file_name": epath.Path(name).name,
        "category_id": 1 + found.label,
        "category_name": found.name,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "score": float(found.score),
    }


def _ids(names: Sequence[str]) -> list[int]:
    stems = [epath.Path(name).stem for name in names]
    if all(stem.isascii() and stem.isdecimal() for stem in stems):
        numbers = [int(stem) for stem in stems]
        if len(set(numbers)) == len(numbers):
            return numbers
    return list(range(1, len(names) + 1))
