"""Names of files that are written of pictures, each its own."""

from etils import epath


class Names:
    """Gives names, none of them twice."""

    def __init__(self):
        self._given: set[str] = set()

    def of(self, name: str) -> str:
        """A name without ending for what is written of a file, or one of several in it.

        Args:
          name: "holiday/01.jpg" gives "01", and then "01-2"; "scenes.npy[3]" gives "scenes-3".
        """
        file, _, index = epath.Path(name).name.partition("[")
        start = "-".join(filter(None, (epath.Path(file).stem, index.rstrip("]"))))
        own, count = start, 1
        while own in self._given:  # of pictures of one name in several folders
            own, count = f"{start}-{count + 1}", count + 1
        self._given.add(own)
        return own
