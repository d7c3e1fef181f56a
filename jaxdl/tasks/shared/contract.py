"""The contract between a system and the loop: what a task is, and what its factory is told."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxdl.metrics import Metrics
from jaxdl.trees import leaf_names

State = Any
Batch = Mapping[str, jax.Array]

# Numbers of each array that a line tells.
_TOLD = 8


class Detection(NamedTuple):
    """Something that was found in an image.

    Attributes:
      label: the number of its class.
      name: the class's.
      score: above 0, up to 1.
      box: x0, y0, x1, y1 in pixels.
    """

    label: int
    name: str
    score: float
    box: Sequence[float]


class Description(NamedTuple):
    """What a prediction says to people, and to programs.

    Attributes:
      text: a line.
      record: the same as JSON.
      mask: (h, w) uint8, a class for every pixel, which is written beside as a .png; None of what
        is told otherwise.
      detections: all that was found, also what is too unsure to be told, which is written beside
        as COCO has it; None of what finds nothing.
      vector: (d,) float32, which is written beside, a row of one file for all; None of what is no
        vector.
    """

    text: str
    record: dict[str, Any]
    mask: np.ndarray | None = None
    detections: Sequence[Detection] | None = None
    vector: np.ndarray | None = None


class Sound(NamedTuple):
    """What a model takes that hears: samples (batch, count) float32, in [-1, 1], at a rate.

    Attributes:
      rate: samples a second.
      count: of each sound, which is cut or filled up with silence.
    """

    rate: int
    count: int


def _no_scores(state: State, data: Any, key: jax.Array) -> dict[str, float]:
    return {}


def _named_leaves(state: State) -> dict[str, jax.Array]:
    return dict(zip(leaf_names(state), jax.tree.leaves(state), strict=True))


def _no_artifacts(state: State, data: Any, key: jax.Array) -> dict[str, Any]:
    return {}


def _nothing_to_compile(state: State, data: Any, key: jax.Array) -> None:
    return


def _nothing_to_batch(state: State, batch: Batch, key: jax.Array) -> Metrics:
    return {}


def _nothing_known(state: State, batch: Batch, key: jax.Array) -> str | None:
    return None


def _nothing_to_check() -> None:
    return


def _nothing_split(state: State) -> Any:
    return jax.tree.map(lambda leaf: False, state)


def as_it_is(prediction: Mapping[str, np.ndarray]) -> Description:
    """The numbers of a prediction, the first few of each array in the line."""
    record = {name: np.asarray(array).tolist() for name, array in prediction.items()}
    parts = []
    for name, array in prediction.items():
        flat = np.asarray(array).ravel()
        more = " …" if flat.size > _TOLD else ""
        parts.append(f"{name} {' '.join(f'{x:.4g}' for x in flat[:_TOLD])}{more}")
    return Description("  ".join(parts), record)


class Task(NamedTuple):
    """Pure functions, free to jit, vmap and differentiate; the loop in `jaxdl.train` runs any.

    Attributes:
      init: (key, batch) -> state. The state is any pytree and holds everything that must survive a
        crash; of the batch only shapes and dtypes are used.
      train_step: (state, batch, key) -> (state, metrics), for the global batch. Metrics are
        (sum, weight) pairs by name; a name such as ``layers/x`` is logged in a line of its own,
        of the split "layers" (`jaxdl.runs.logs.by_split`). The loop undoes a step that has any
        non-finite metric, so every quantity whose failure matters should be part of one.
      eval_step: (state, batch, key) -> metrics, weighted by `jaxdl.data.without_padding`;
        all go to one line, whatever their names.
      score: (state, data, key) -> {name: number}: figures that need the whole evaluation split
        (`jaxdl.data.Split`, None without batches) at once, such as a mean return; as often as
        config.eval.score_every says.
      artifacts: (state, data, key) -> {name: `jaxdl.report.draw.Picture` or text}, for the report.
      explain: (state, batch, key) -> what a step that gave a non-finite number suffers from, as a
        part of a sentence, or None where that is nothing that the task knows of: then
        `jaxdl.train.diagnose` looks for the operation.
      compile_score: (state, data, key) -> None: compiles what `score` runs, on a thread beside the
        first updates; of the state there are only shapes, dtypes and shardings. Without it `score`
        compiles when it is called.
      compile_artifacts: the same for `artifacts`.
      parameters: (state) -> {name: array} of what is learned, in the order that reads best.
      partition: (state) -> the same tree with True for leaves whose first axis is one of examples
        (environments, replay buffers, independent learners), which is split over the devices that
        the batch is split over; the others follow the rules for parameters.
      sample: (state, key) -> {name: `jaxdl.report.draw.Picture` or text}: what the state generates,
        for `--mode=sample` and, a few times on the way, for the report. None if it generates
        nothing.
      predict: (state, images (batch, h, w, c), uint8 or floats in [0, 1]) -> {name: (batch, …)},
        for `--mode=predict` and `--mode=export`. None if nothing is told of images.
      whole: whether `--mode=predict` shows it whole pictures, fitted into the square as
        config.data.fit says, rather than their middle, and tells ``boxes`` (batch, n, 4) of
        `predict` in the pixels of these pictures, and makes ``mask`` (batch, h, w) of their sizes.
      transform: (state, picture (h, w, c) uint8) -> a picture (h', w', c) uint8, on the host, of
        tasks that make pictures of pictures of any size: `--mode=predict` writes it. None of
        others.
      any_size: of these, whether `predict` too takes images of any size, as then does the program
        of `--mode=export`, and not of those learned from alone.
      sound: what `predict` takes in place of images, of tasks that hear; None of others.
      describe: {name: one example's part of what `predict` returned, on the host} -> `Description`.
      answer: (state, file, at_once) -> `Description` of each text in a file, in order, for
        `--mode=predict` of tasks on texts; ``at_once`` of them are computed together at most. None
        if it answers no texts.
      embed: (state, file, at_once) -> (n, d) float32, a vector for each text in a file, which
        `--mode=predict` writes beside the answers. None where texts have none.
      publish: (state, folder) writes there what was learned as a published checkpoint, which
        `jaxdl.pretrained.load` and the library that it is of read, for `--mode=export` of tasks
        without ``predict``. None where there is no such library.
      transcriber: (state) -> (module, variables, `jaxdl.generate.Settings`) of a model that hears
        as the published ones do: `--mode=predict` then writes recordings of any length, window
        after window, and does not ask `predict`. None of others.
      tokens: {"pad" and "end": what fills up and what ends the tokens ``written`` of `predict`}, of
        tasks that write what they hear; an exported program's reader needs them.
      labels: {name: what the last axis of that array of `predict` is of}, class names say; they are
        written beside an exported program.
      directions: {name: "low" or "high"}, whichever is better, of the figures of evaluation that
        `jaxdl.metrics.DIRECTIONS` does not have; only these can name the best checkpoint.
      examples: what an update learns from, in examples, environment steps or the like; None is the
        batch size.
      shared: the setting, and its number, that is split over the devices in place of
        config.batch_size: of something that is learned from as a whole and lies on them in parts.
      check: raises UserError for what keeps a run from beginning, and not from going on: weights to
        start from that are gone.
    """

    init: Callable[[jax.Array, Batch], State]
    train_step: Callable[[State, Batch, jax.Array], tuple[State, Metrics]]
    eval_step: Callable[[State, Batch, jax.Array], Metrics] = _nothing_to_batch
    score: Callable[[State, Any, jax.Array], dict[str, float]] = _no_scores
    artifacts: Callable[[State, Any, jax.Array], dict[str, Any]] = _no_artifacts
    explain: Callable[[State, Batch, jax.Array], str | None] = _nothing_known
    compile_score: Callable[[State, Any, jax.Array], None] = _nothing_to_compile
    compile_artifacts: Callable[[State, Any, jax.Array], None] = _nothing_to_compile
    parameters: Callable[[State], dict[str, jax.Array]] = _named_leaves
    partition: Callable[[State], Any] = _nothing_split
    sample: Callable[[State, jax.Array], dict[str, Any]] | None = None
    predict: Callable[[State, jax.Array], dict[str, jax.Array]] | None = None
    whole: bool = False
    transform: Callable[[State, np.ndarray], np.ndarray] | None = None
    any_size: bool = True
    sound: Sound | None = None
    describe: Callable[[Mapping[str, np.ndarray]], Description] = as_it_is
    answer: Callable[[State, str, int], Sequence[Description]] | None = None
    embed: Callable[[State, str, int], np.ndarray] | None = None
    publish: Callable[[State, Path], None] | None = None
    transcriber: Callable[[State], tuple[Any, Any, Any]] | None = None
    tokens: Mapping[str, int] = {}
    labels: Mapping[str, Sequence[str]] = {}
    directions: Mapping[str, str] = {}
    examples: int | None = None
    shared: tuple[str, int] | None = None
    check: Callable[[], None] = _nothing_to_check

    @property
    def has_score(self) -> bool:
        """Whether figures come from the whole evaluation split."""
        return self.score is not _no_scores


class Run(NamedTuple):
    """What a task's factory is told of the run that it is for.

    Attributes:
      config: all settings.
      data: `jaxdl.data.Data`.
      steps: updates in the whole run.
      steps_per_epoch: updates a pass over the training data, or None without batches.
    """

    config: Any
    data: Any
    steps: int
    steps_per_epoch: float | None


class Traits(NamedTuple):
    """What can be known of a task before it is made.

    Attributes:
      groups: of `jaxdl.config` that it uses, of those that not every task does: "model", "augment",
        "augment_scene", "augment_sound", "pretrained". A setting of the others is refused.
      derives: the model's fields that follow from the data, or from the task's own settings, and so
        stand in no config unless a file sets them.
      any_length: whether its batches may be of several lengths (`jaxdl.data.length_groups`), so
        that figures of each example are of the same shape for all of them.
      asks: the task's own settings that only ask something of a trained network, and change nothing
        of the run: `--mode=sample` and `--mode=predict` take others than it was trained with.
    """

    groups: tuple[str, ...] = ("model",)
    derives: tuple[str, ...] = ()
    any_length: bool = False
    asks: tuple[str, ...] = ()
