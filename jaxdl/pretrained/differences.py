"""What differs between the tensors that should be there and those that are, in one line."""

from collections.abc import Mapping, Sequence

from jaxdl.errors import UserError

Shape = tuple[int, ...]


def compare(
    wanted: Mapping[str, Shape], found: Mapping[str, Shape]
) -> tuple[list[str], list[str], list[str]]:
    """(missing, extra, misshapen) of shapes by name, the last with their shapes."""
    return (
        [name for name in wanted if name not in found],
        [name for name in found if name not in wanted],
        [
            f"{name} is {tuple(found[name])}, should be {tuple(shape)}"
            for name, shape in wanted.items()
            if name in found and tuple(found[name]) != tuple(shape)
        ],
    )


# The most names that a message has.
_MOST = 10


def complain(
    what: str,
    missing: Sequence[str] = (),
    extra: Sequence[str] = (),
    misshapen: Sequence[str] = (),
    untied: Sequence[str] = (),
) -> None:
    """Raises one UserError that begins with ``what`` and has a part for each list with a name.

    Each part says how many there are; ten names at most are told, of all lists in turn.
    """
    lists = dict(missing=missing, extra=extra, misshapen=misshapen, untied=untied)
    lists = {kind: names for kind, names in lists.items() if names}
    # In turn, so that a long list leaves room for the others.
    turns = sorted((i, kind) for kind, names in lists.items() for i in range(len(names)))[:_MOST]
    room = {kind: sum(kind == turn for _, turn in turns) for kind in lists}
    told = [
        f"{len(names)} {kind}: {_shortened(names, room[kind])}" for kind, names in lists.items()
    ]
    if told:
        raise UserError(f"{what}: {'; '.join(told)}")


def first_ten(names: Sequence[str]) -> str:
    """Names for a message, and how many more there are."""
    return _shortened(names, _MOST)


def _shortened(names: Sequence[str], room: int) -> str:
    shown, left = ", ".join(names[:room]), len(names) - room
    return f"{shown} and {left} more" if left > 0 else shown
