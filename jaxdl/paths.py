"""Paths as people write them: where ``~`` becomes a home folder, and which files are their own."""

import os

from jaxdl.errors import UserError

# In lower case: of Windows, of macOS' archives, of Linux' disks, of Synology's, of Python.
_LEFT_BEHIND = frozenset({
    "$recycle.bin", "system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini",
    "__macosx", "icon\r", "lost+found", "@eadir", "#recycle", "__pycache__",
})  # fmt: skip


def expanded(path: str) -> str:
    """A path whose ``~`` or ``~name`` in front is the home folder; any other as it is.

    A shell does this only where a word begins with it: not in ``--workdir=~/runs/a``, nor in what a
    config or an environment file says. What lies here under a name that begins so is meant where
    nobody is called that; ``./~`` is always the folder of that name.

    Raises:
      UserError: ``~name`` is neither.
    """
    if not path.startswith("~"):
        return path
    found = os.path.expanduser(path)
    if found == path and not os.path.exists(path):
        name = path.partition("/")[0]
        raise UserError(
            f"{path}: nobody here is called {name[1:]!r}, and nothing lies here under this name; "
            f"./{path} is in this folder"
        )
    return found


def is_own(name: str) -> bool:
    """Whether a file or folder called so was put there by a person: not hidden, nor a backup."""
    hidden = name.startswith((".", "~$")) or name.endswith("~")
    return not hidden and name.lower() not in _LEFT_BEHIND
