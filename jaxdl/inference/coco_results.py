"""What was found in pictures as COCO's results JSON (cocodataset.org, "Results format")."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

from jaxdl.errors import UserError, nearest
from jaxdl.tasks import Detection


class Results:
    """Finds of several pictures, a row each, of whatever score.

    To COCO's own keys, ``image_id``, ``category_id``, ``bbox`` (x, y, width, height in pixels of
    the picture) and ``score``, are added ``file_name`` and ``category_name``. Pictures without an
    id whose names are numbers have these for ids, as COCO's own do; if one's is none, or two's are
    the same, all count from 1 on in their order.

    Args:
      categories: {name of a class: its id}; none where they count from 1 on, in their order.
    """

    def __init__(self, categories: Mapping[str, int | str] | None = None):
        self._categories = dict(categories or {})
        self._names: list[str] = []
        self._ids: list[int | str | None] = []
        self._found: list[Sequence[Detection]] = []

    def add(self, name: str, found: Sequence[Detection], number: int | str | None = None) -> None:
        """What was found in the picture of a file, or one of several in it, "scenes.npy[3]".

        Args:
          name: the file, and which of several.
          found: in it.
          number: the picture's id, of all pictures or of none.

        Raises:
          UserError: something of a class that the categories do not have.
        """
        for one in found:
            if self._categories and one.name not in self._categories:
                raise UserError(
                    f"{name}: found is {one.name!r}, of which there is no category: "
                    f"{nearest(one.name, self._categories)}"
                )
        self._names.append(name)
        self._ids.append(number)
        self._found.append(found)

    @property
    def counted(self) -> bool:
        """Whether pictures' ids are neither given nor their names."""
        return None in self._ids and _numbers(self._names) is None

    def write(self, file: epath.Path) -> None:
        """Writes all of it."""
        ids = self._ids
        if None in ids:
            ids = _numbers(self._names) or range(1, len(self._names) + 1)
        rows = [
            self._row(i, name, one)
            for i, name, found in zip(ids, self._names, self._found, strict=True)
            for one in found
        ]
        file.write_text(json.dumps(rows))

    def _row(self, image: int | str, name: str, found: Detection) -> dict[str, Any]:
        x0, y0, x1, y1 = map(float, found.box)
        return {
            "image_id": image,
            "file_name": epath.Path(name).name,
            "category_id": self._categories.get(found.name, 1 + found.label),
            "category_name": found.name,
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "score": float(found.score),
        }

    def __len__(self) -> int:
        """Pictures."""
        return len(self._names)


def _numbers(names: Sequence[str]) -> list[int] | None:
    """What the files are called, if that is a number for each, and none twice."""
    stems = [epath.Path(name).stem for name in names]
    if all(stem.isascii() and stem.isdecimal() for stem in stems):
        numbers = [int(stem) for stem in stems]
        if len(set(numbers)) == len(numbers):
            return numbers
    return None
