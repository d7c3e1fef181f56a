"""Settings of how texts are written as a config has them: texts such as "num_beams=4"."""

import ast
import json
from collections.abc import Sequence
from typing import Any

from jaxdl.errors import UserError, nearest
from jaxdl.generate.settings import Settings, names

_WORDS = {"true": True, "false": False, "null": None, "none": None}


def parsed(entries: Sequence[str], where: str) -> dict[str, Any]:
    """{name: value} of entries such as "num_beams=4", "early_stopping=never", "eos_token_id=[1]".

    Args:
      entries: names are transformers'; values numbers, lists, true, false, none, or a word.
      where: what stands in front of messages.

    Raises:
      UserError: an entry is of another form, or a name is not known.
    """
    found = {}
    for entry in entries:
        name, equals, value = (part.strip() for part in str(entry).partition("="))
        if not equals:
            raise UserError(f"{where}: {entry!r} is not 'name=value', such as 'num_beams=4'")
        if name not in names():
            raise UserError(f"{where}: no setting is called {name!r}: {nearest(name, names())}")
        found[name] = _value(value)
    return found


def _value(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        pass
    try:  # what `listed` wrote, with null and the like within
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def listed(settings: Settings) -> tuple[str, ...]:
    """Settings as `parsed` reads them; what else a file says has no part in texts."""
    said = {name: value for name, value in settings.said().items() if name in names()}
    return tuple(f"{name}={json.dumps(value)}" for name, value in said.items())
