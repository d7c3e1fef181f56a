"""What Orbax and tensorstore say of what cannot be read or written: kept quiet, and reworded.

Both tell of an error by long texts with objects of C++ in them, in logs, and from threads of their
own after everything has ended. A run tells of it once, in one line.
"""

import inspect
import json
import logging
import re
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import tensorstore
from etils import epath

# How tensorstore's errors begin, and what a file is then. (Its text has the details.)
_STATUS = {
    "OUT_OF_RANGE": "is cut short",
    "NOT_FOUND": "is missing",
    "DATA_LOSS": "is not what was written",
    "FAILED_PRECONDITION": "is missing or not what was written",
    "INVALID_ARGUMENT": "is not what was written",
    "PERMISSION_DENIED": "may not be read",
}


def keep_quiet() -> None:
    """Leaves it to jaxdl to tell of what fails; may be called any number of times.

    Orbax logs each file and each error. It also closes its event loop at the first of several reads
    that fails: tensorstore's threads, which bring the others' results to that loop, the coroutines
    that wait for these, and asyncio, which nobody asked for their errors, then complain with a
    traceback each, at any later time.
    """
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").addFilter(_is_news)  # a filter is added once
    if not isinstance(sys.unraisablehook, _Hook):
        sys.unraisablehook = _Hook(sys.unraisablehook)


class _Hook:
    """Passes on what nobody could catch, but for what is left of an Orbax loop that was closed."""

    def __init__(self, others: Any):
        self._others = others

    def __call__(self, caught: Any) -> None:
        source = caught.object
        if inspect.iscoroutine(source):
            left_over = "orbax" in Path(source.cr_code.co_filename).parts
        else:  # tensorstore's threads name no object
            left_over = source is None and str(caught.exc_value) == "Event loop is closed"
        if not left_over:
            self._others(caught)


def _is_news(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not re.match(r"[A-Z_]+: Error \w+ |Encountered error while reading ", str(error))


def check_index(folder: epath.Path, leaves: Collection[str]) -> str:
    """What is wrong with the files that say where a pytree's arrays are; "" if they are sound.

    Orbax reads these for all arrays at once, and of an error keeps only that there was one.

    Args:
      folder: of one pytree in a checkpoint.
      leaves: of that pytree.
    """
    try:
        json.loads((folder / "_METADATA").read_text())
    except FileNotFoundError:
        return f"{folder.name}/_METADATA is missing"
    except ValueError:  # no JSON, or no text at all
        return f"{folder.name}/_METADATA is not what was written"
    place = str(folder)
    if "://" not in place:
        place = f"file://{quote(place)}"
    elif not place.startswith("gs://"):
        return ""
    try:
        store = tensorstore.KvStore.open({"driver": "ocdbt", "base": f"{place}/"}).result()
        found = store.list().result()
    except ValueError as error:
        return reason(error, folder.parent)
    return "" if found or not leaves else f"{folder.name}/manifest.ocdbt is missing"


def reason(error: BaseException, folder: epath.Path, leaves: Collection[str] = ()) -> str:
    """An error of reading in a line of ours: which leaf, which file, what is wrong with it.

    Args:
      error: as Orbax raised it; tensorstore's own is its cause.
      folder: of the checkpoint.
      leaves: names of those that were read, ``state/params/…``.
    """
    cause: BaseException | None = error
    while cause is not None and not (status := _status(cause)):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        if isinstance(error, FileNotFoundError):
            return "a file is missing: " + _within(folder, first_line(error))
        return "it cannot be read: " + _within(folder, first_line(error))
    text = str(cause)
    by_key = {name.partition("/")[2].replace("/", "."): name for name in leaves}
    key = re.search(r'Error \w+ "([^"]+)/[^/"]*"', text)
    files = re.findall(r'(?:file|Storage object) "([^"]+)"', text)
    of_leaf = f"{by_key.get(key[1], key[1])} cannot be read: " if key else ""
    # Of what an array is stored in tensorstore names the folder, not the file.
    file = _within(folder, files[-1]) if files and not files[-1].endswith("/") else "its file"
    return f"{of_leaf}{file} {status}"


def _status(error: BaseException) -> str:
    return _STATUS.get(str(error).partition(":")[0], "")


def _within(folder: epath.Path, text: str) -> str:
    return text.replace(f"{folder}/", "").replace(str(folder), "the checkpoint")


def first_line(error: BaseException) -> str:
    """Both ends of a long line: tensorstore begins with what it did, and ends with the reason."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line if len(line) <= 240 else f"{line[:100]} … {line[-140:]}"
