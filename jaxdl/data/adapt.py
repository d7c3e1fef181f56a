"""Data as they are now, in the terms of a run that learned from them as they were."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxdl.data import Data
from jaxdl.data.facts import PARTS, Facts, changes, class_counts, listed, named, parts, renamed
from jaxdl.data.label_noise import Relabelled
from jaxdl.errors import UserError


class Adapted(NamedTuple):
    """What came of it.

    Attributes:
      data: in the run's terms.
      facts: by which they are known from now on.
      said: what has changed, in words; none where all is the same.
    """

    data: Data
    facts: Facts
    said: list[str]


def adapt(data: Data, now: Facts, facts: Facts, *, learns: bool, accepted: bool) -> Adapted:
    """Labels, mean and deviation mean what they meant to the run, whatever lies there now.

    Classes are known by their names. Where just one is gone and just one is new, and changes were
    ``accepted``, the new one takes its place. Examples of any other new class are left out of an
    evaluation.

    Args:
      data: as `jaxdl.data.load` has them now.
      now: what they say of themselves.
      facts: what the run keeps.
      learns: whether the run is to go on learning from them.
      accepted: whether the user has accepted that they are others.

    Raises:
      UserError: changes that were not accepted, or a class to learn that the run does not know, or
        another graph; or nothing that is left to be measured on.
    """
    _check_columns(facts, now)
    said = changes(facts, now)
    names, gone_and_come = list(facts.class_names), renamed(facts, now)
    if gone_and_come:
        gone, come = gone_and_come
        if accepted:
            names[names.index(gone)] = come
            said.append(f"{come!r} is taken for what {gone!r} was")
        else:
            said.append(f"--accept_changes takes {come!r} for what {gone!r} was")
    place = {i: names.index(n) if n in names else None for i, n in enumerate(now.class_names)}
    if learns:
        _check_learnable(facts, now, place, said, accepted)
    elif now.whole != facts.whole:
        raise UserError(
            f"what this run learned from is another by now ({'; '.join(said)}), and nothing else "
            "can be scored: bring it back; what was reached is in the run's summary.json"
        )
    elif _may_overlap(facts, now):
        said.append("some of what is measured on may have been learned from")
    if data.class_names and any(i != at for i, at in place.items()):
        data = _in_places(data, names, place, said)
    data = data._replace(class_names=tuple(names) if data.class_names else ())
    data = _standardised(data, facts)
    return Adapted(data, _known(data, now), said)


def _check_columns(facts: Facts, now: Facts) -> None:
    """Raises UserError where rows of numbers have other columns, or in another order."""
    for name, part in now.parts.items():
        was = facts.parts[name].about.get("columns") if name in facts.parts else None
        if was is not None and was != part.about.get("columns"):
            raise UserError(
                f"the {name} part has the columns {', '.join(part.about.get('columns') or ())}, "
                f"and this run knows {', '.join(was)}: bring them back, in that order"
            )


def _known(data: Data, now: Facts) -> Facts:
    """Facts in the run's terms; fingerprints stay those of the data as they lie there."""
    names = list(data.class_names) or now.class_names
    counted = {
        name: now.parts[name]._replace(class_counts=class_counts(split, len(names)))
        for name, split in parts(data).items()
    }
    mean, std = listed(data.mean), listed(data.std)
    return now._replace(
        class_names=names,
        anomaly=data.anomaly,
        mean=mean,
        std=std,
        parts=counted,
        units=[] if (mean, std) == (now.mean, now.std) else [now.mean, now.std],
    )


def _check_learnable(
    facts: Facts, now: Facts, place: Mapping[int, int | None], said: list[str], accepted: bool
) -> None:
    if said and not accepted:
        raise UserError(
            f"the data are not those that this run learned from ({'; '.join(said)}): bring them "
            "back, give another --workdir to start afresh, or --accept_changes to go on with these"
        )
    if unknown := [now.class_names[i] for i, at in place.items() if at is None]:
        known = ", ".join(facts.class_names[:20]) + (", …" if len(facts.class_names) > 20 else "")
        raise UserError(
            f"{named(unknown)} none that this run learns ({known}): name the classes as they "
            "were, or by their new names, in the same order, in class_names of its data.json; "
            "for further classes begin another run, from these weights by "
            "--config.pretrained.source"
        )
    if now.whole != facts.whole:
        raise UserError("the graph is not the one that this run learns from: begin another run")


def _may_overlap(facts: Facts, now: Facts) -> bool:
    """Whether examples may have changed sides: both parts are others."""
    pairs = [(facts.parts.get(name), now.parts.get(name)) for name in ("train", "test")]
    return all(a and b and a.fingerprint != b.fingerprint for a, b in pairs)


def _in_places(
    data: Data, names: list[str], place: Mapping[int, int | None], said: list[str]
) -> Data:
    table = np.array([-1 if place[i] is None else place[i] for i in range(len(place))])

    def part(name: str, split: Any) -> Any:
        if not hasattr(split, "labels"):
            raise UserError("the classes are others, and the examples have no labels to know by")
        labels = table[split.labels]
        kept = np.flatnonzero(labels >= 0)
        if not len(kept):
            raise UserError(
                f"no example {PARTS[name]} is of a class that this run learned ({', '.join(names)})"
            )
        if len(kept) < len(labels):
            if name != "train":
                said.append(
                    f"{len(labels) - len(kept)} of {len(labels)} examples {PARTS[name]} are of no "
                    "class that it learned, and left out"
                )
            split, labels = split.subset(kept), labels[kept]
        return Relabelled(split, labels.astype(np.int32))

    anomaly = data.anomaly if data.anomaly is None else place[data.anomaly]
    # What is measured on comes first: it is what an evaluation is told of.
    placed = {name: part(name, split) for name, split in [*parts(data).items()][::-1]}
    return data._replace(anomaly=anomaly, **placed)


def _standardised(data: Data, facts: Facts) -> Data:
    """By the run's own mean and deviation, where there are any and they fit."""
    if data.mean is None or len(facts.mean) != len(data.mean):
        return data
    mean, std = np.float32(facts.mean), np.float32(facts.std)
    if np.array_equal(mean, data.mean) and np.array_equal(std, data.std):
        return data
    old_mean, old_std = np.float64(data.mean), np.float64(data.std)
    # What comes standardised, as a series does, is led back and standardised anew.
    factor, offset = old_std / std, (old_mean - mean) / std
    again = lambda x: x.rescaled(factor, offset) if hasattr(x, "rescaled") else x
    scaled = {name: again(split) for name, split in parts(data).items()}
    return data._replace(mean=mean, std=std, **scaled)
