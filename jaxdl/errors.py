"""Errors that a user can act on: one line each, with the exit code that the launcher gives them."""

import difflib
import sys
from collections.abc import Iterable, Sequence


class JaxdlError(Exception):
    """Any of the errors below: the launcher prints its one line and exits with its code."""

    exit_code = 1


class UserError(JaxdlError):
    """Bad input: a setting, a file, a device. The message is one line that says what is right."""

    exit_code = 2


class StructureError(UserError):
    """The members of a sweep do not share one program.

    Args:
      why: what differs, as the end of a sentence that begins with the settings.
      names: of the settings, such as "model.hidden".
    """

    def __init__(self, why: str, *names: str):
        super().__init__(f"config.sweep: {' or '.join(names)} {why}")
        self.names = names


class NonFiniteError(JaxdlError):
    """The run produced NaN or infinity; the update was not applied."""

    exit_code = 3


class DamagedError(JaxdlError):
    """A checkpoint is not what was written, or none of several is."""

    exit_code = 4


class WriteError(JaxdlError):
    """A checkpoint could not be written."""

    exit_code = 5


class StoppedError(JaxdlError):
    """The run was told to stop, and saved where it was.

    Args:
      message: one line.
      exit_code: 143 for SIGTERM, 130 for SIGINT, as shells have it.
    """

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


_put_off: list[JaxdlError] = []


def put_off(error: JaxdlError) -> None:
    """Keeps an error where it cannot be raised, in a callback of a compiled program.

    That gives NaN then; who reads the program's results asks for `taken`. Of several the first is
    kept.
    """
    if not _put_off:
        _put_off.append(error)


def taken() -> JaxdlError | None:
    """The error that was put off, which is then no longer kept; None if none was."""
    return _put_off.pop() if _put_off else None


def told(error: JaxdlError) -> int:
    """Prints an error as commands do, a line on stderr; returns the command's exit code."""
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code


def note(message: str) -> None:
    """Prints what a user should know and need not act on, a line on stderr."""
    print(f"note: {message}", file=sys.stderr)


def one_line(error: BaseException) -> str:
    """What another library's error says, as part of a message; its type where it says nothing."""
    system = isinstance(error, OSError) and error.strerror  # without the number and the name
    return " ".join(str(system or error).split()) or type(error).__name__


def listed(lines: Sequence[str], most: int = 10) -> str:
    """Errors of several files in one message, the first of them in words."""
    beyond = len(lines) - most
    return "; ".join([*lines[:most], *([f"and {beyond} more"] if beyond > 0 else [])])


def nearest(name: str, choices: Iterable[str]) -> str:
    """Ends an error message: the most similar choice first, then all of them when they are few.

    Args:
      name: what the user wrote.
      choices: what exists.

    Returns:
      A phrase such as ``did you mean 'adamw'? (one of: adam, adamw, sgd)``.
    """
    choices = sorted(choices)
    by_lower = {c.lower(): c for c in choices}
    close = difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)
    parts = []
    if close:
        parts.append("did you mean " + " or ".join(repr(by_lower[c]) for c in close) + "?")
    if len(choices) <= 12 or not close:
        shown = ", ".join(choices[:40]) + (", …" if len(choices) > 40 else "")
        parts.append(f"(one of: {shown})" if close else f"one of: {shown}")
    return " ".join(parts)
