"""Tags of words to entities and back: which words together are a name, and of what kind.

A tag is "O", or a prefix with a kind behind it: "B-PER". IOB1 and IOB2 (BIO) have the prefixes B
and I, IOBES has E and S besides, BILOU writes L and U for these (Ramshaw and Marcus, 1995; Tjong
Kim Sang and Veenstra, 1999; Ratinov and Roth, 2009). All of them are read in one lenient way, that
of conlleval and seqeval, which needs not be told the scheme: what goes on with nothing begins anew.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

OUTSIDE = "O"

_PREFIXES = frozenset("BIES")
_OF_BILOU = {"U": "S", "L": "E"}


class Entity(NamedTuple):
    """Words that belong together.

    Attributes:
      kind: what they are; "" where tags are a bare B and I.
      start: the first word.
      stop: behind the last word.
    """

    kind: str
    start: int
    stop: int


def parsed(tag: str) -> tuple[str, str]:
    """(prefix, kind) of a tag, ("O", "") outside; L and U become E and S.

    Raises:
      ValueError: it is no tag of these schemes.
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    prefix, dash, kind = tag.partition("-")
    prefix = _OF_BILOU.get(prefix, prefix)
    if prefix not in _PREFIXES or bool(dash) != bool(kind):
        raise ValueError(tag)
    return prefix, kind


def entities(tags: Iterable[str]) -> list[Entity]:
    """The entities in one sentence's tags, in order, whatever the scheme.

    B and S begin one, E and S end one; I and E go on with the word before if that is of the same
    kind and did not end, and begin one otherwise.

    Raises:
      ValueError: as `parsed`.
    """
    found: list[Entity] = []
    kind, start, is_open, i = "", 0, False, -1
    for i, tag in enumerate(tags):
        prefix, own = parsed(tag)
        if is_open and prefix in "IE" and own == kind:
            is_open = prefix == "I"
            found[-1] = Entity(kind, start, i + 1)
            continue
        is_open = False
        if prefix != OUTSIDE:
            kind, start, is_open = own, i, prefix in "BI"
            found.append(Entity(kind, i, i + 1))
    return found


def bio(found: Sequence[Entity], length: int) -> list[str]:
    """The tags of a sentence of ``length`` words with these entities, in IOB2."""
    tags = [OUTSIDE] * length
    for kind, start, stop in found:
        behind = f"-{kind}" if kind else ""
        tags[start:stop] = [f"B{behind}", *[f"I{behind}"] * (stop - start - 1)]
    return tags


def all_tags(kinds: Iterable[str]) -> tuple[str, ...]:
    """Every tag that IOB2 has for these kinds, "O" first; the order of the classes of a tagger."""
    named = (f"-{kind}" if kind else "" for kind in sorted(set(kinds)))
    return (OUTSIDE, *(f"{prefix}{kind}" for kind in named for prefix in "BI"))
