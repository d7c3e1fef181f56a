"""Folders of files that a test's graphs are read from."""

import gzip
from collections.abc import Mapping
from pathlib import Path


def laid(folder: Path, files: Mapping[str, str | None], packed: bool = False) -> str:
    """The folder with these files, each as .gz if packed; None leaves one out."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        if text is not None:
            file = folder / (f"{name}.gz" if packed else name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return str(folder)
