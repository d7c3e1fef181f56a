"""Figures of generated images by the features of a judge, as tasks that generate have them."""

import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxdl import parallel
from jaxdl.data import Arrays
from jaxdl.errors import UserError
from jaxdl.metrics import HIGH, sample_quality
from jaxdl.pretrained import judges
from jaxdl.tasks.shared import generation
from jaxdl.tasks.shared.contract import Run
from jaxdl.tasks.shared.splits import over_split

# Images that a judge looks at together, and seconds between two lines that tell how far it is.
AT_ONCE, SECONDS_A_LINE = 50, 10.0

_NAMED = "named_right/digits"

# Examples of each kind without which there are no figures.
_LEAST = 5


class Judging:
    """The judges of a run, and what they have seen of its real images.

    Args:
      run: the run's config and data.
      inception: file of Inception's weights; "" is none.
      most: real images that are looked at.
      by_class: whether images are asked for by class, so that the digits' judge, where it knows the
        classes, tells how many are what was asked for.

    Raises:
      UserError: Inception is to look at images of neither one nor three channels.
    """

    def __init__(self, run: Run, inception: str, most: int, by_class: bool = False):
        shape = run.data.train.take(np.arange(1))["image"].shape[1:]
        if inception and shape[-1] not in (1, 3):
            raise UserError(
                f"config.task.inception={inception!r} judges images of 1 or 3 channels, not "
                f"{shape[-1]}"
            )
        self._inception, self._most = inception, most
        own = run.config.data.name == "digits" and judges.sees_digits(shape)
        self._names = (*["digits"] * own, *["inception"] * bool(inception))
        # The judge's number of each of the data's classes, where it knows them all.
        self._numbers = np.zeros(0, np.int64)
        if by_class and own and all(name in judges.DIGITS for name in run.data.class_names):
            self._numbers = np.array([judges.DIGITS.index(x) for x in run.data.class_names])
        self._looks: dict[str, Any] = {}
        self._split, self._real = None, {}

    @property
    def directions(self) -> Mapping[str, str]:
        """`Task.directions` of `figures`."""
        own = sample_quality.BY_FEATURES.items()
        found = {f"{figure}/{name}": which for name in self._names for figure, which in own}
        return found | ({_NAMED: HIGH} if len(self._numbers) else {})

    def check(self) -> None:
        """Raises UserError if Inception's weights cannot be read."""
        if self._inception:
            judges.inception(self._inception)

    def figures(
        self, made: np.ndarray, split: Any, state: Any, labels: np.ndarray | None = None
    ) -> dict[str, float]:
        """``fid/digits``, ``kid/digits`` … (`sample_quality.BY_FEATURES`) of each judge.

        By class also ``named_right/digits``, the share that the digits' judge names as asked.

        Args:
          made: (n, h, w, c) in [0, 1], generated; of them as many count as there are real ones.
          split: real images, none that was learned from.
          state: of the task, on whose devices the judges look.
          labels: (n,) that ``made`` was asked for by, where it is by class.

        Returns:
          All NaN where an image is not finite, or there are fewer than 5.
        """
        if split is not self._split:
            self._split, self._real = split, {}
        real = generation.spread(split, self._most)
        made = made[: len(real)]
        if not np.isfinite(made).all() or len(made) < _LEAST:
            return dict.fromkeys(self.directions, float("nan"))
        found = {}
        for name in self._names:
            if name not in self._real:
                self._real[name] = self._seen(name, real, state, "real")
            seen = self._seen(name, made, state, "generated")
            own = _figures(seen, self._real[name].features)
            found |= {f"{figure}/{name}": value for figure, value in own.items()}
            if name == "digits" and len(self._numbers):
                right = seen.logits.argmax(-1) == self._numbers[labels[: len(made)]]
                found[_NAMED] = float(right.mean())
        return found

    def _seen(self, name: str, images: np.ndarray, state: Any, kind: str) -> judges.Seen:
        judge = judges.digits() if name == "digits" else judges.inception(self._inception)
        if name not in self._looks:
            self._looks[name] = jax.jit(lambda own, batch, key: judge.of(own, batch["image"]))
        variables = jax.device_put(judge.variables, _everywhere(state))
        told = _Told(f"{name} has seen", len(images), f"{kind} images")
        return over_split(
            self._looks[name], Arrays({"image": images}), AT_ONCE, variables, after=told
        )


def _everywhere(state: Any) -> Any:
    """Where a copy on each of a state's devices lies; None where it lies on no mesh."""
    layout = parallel.layout_of(state)
    return None if layout is None else layout.replicated


def _figures(seen: judges.Seen, real: np.ndarray) -> dict[str, float]:
    made = seen.features
    manifold = sample_quality.precision_recall(made, real)
    # Of all at once: they are hardly more than one subset of KID's has.
    kernel = sample_quality.kernel_distance(made, real, subsets=1, size=len(real))
    return {
        "fid": sample_quality.frechet_distance(made, real),
        "kid": kernel.value,
        "precision": manifold.precision,
        "recall": manifold.recall,
        # In one part: there are fewer images than one of the published ten has.
        "inception_score": sample_quality.inception_score(seen.logits, splits=1).value,
    }


class _Told:
    """A line every few seconds that says how far one is."""

    def __init__(self, before: str, count: int, what: str):
        self._line = f"{before} {{}} of {count} {what}"
        self._last = time.monotonic()

    def __call__(self, done: int) -> None:
        if time.monotonic() - self._last >= SECONDS_A_LINE and jax.process_index() == 0:
            self._last = time.monotonic()
            print(self._line.format(done), flush=True)
