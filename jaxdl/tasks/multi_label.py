"""Images, or rows of numbers, to labels each of which holds or not; two classes are one label."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import losses
from jaxdl.data import class_number, spread, without_padding
from jaxdl.errors import UserError
from jaxdl.metrics import HIGH, Mean, Metrics, ranking
from jaxdl.registry import choose
from jaxdl.report import draw
from jaxdl.tasks import Description, Run, Task, classification, over_split, register
from jaxdl.tasks.shared import calibrated, class_weights, classified, inputs, outputs, row_answers
from jaxdl.tasks.shared.calibrated import State

LOSSES = {"binary_cross_entropy": losses.binary_cross_entropy, "focal": losses.focal}

# Lines in a picture, at most, and letters above an image.
_LINES, _LETTERS = 10, 20

Logits = Callable[[Any, jax.Array], jax.Array]


class Labels(NamedTuple):
    """What can hold.

    Attributes:
      names: of the labels; of two classes, the positive one's.
      other: of two classes, the other's; "" of labels.
      positive: of two classes, the positive one's number; -1 of labels.
    """

    names: tuple[str, ...]
    other: str = ""
    positive: int = -1

    def of(self, batch: Mapping) -> Any:
        """(batch, labels) bool of ``labels`` (batch, labels), or of ``label`` (batch,)."""
        if self.positive < 0:
            return batch["labels"] > 0
        return (batch["label"] == self.positive)[:, None]


@register("multi_label", groups=("model", "augment", "pretrained"), derives=("num_classes",))
def multi_label(
    run: Run,
    loss: str = "binary_cross_entropy",
    positive_weights: tuple = (),
    positive: str = "",
) -> Task:
    """Which labels hold of ``image`` (batch, h, w, c) or ``features`` (batch, d), each by itself.

    Of data with ``labels`` (batch, labels), 1 for those that hold; or with two classes, ``label``
    (batch,), of which one is the label.

    Args:
      run: the run's config and data. The model is any that classifies such inputs; of each of its
        logits a sigmoid is taken.
      loss: "binary_cross_entropy", or "focal" (`jaxdl.losses`), the mean over the labels.
      positive_weights: of binary cross-entropy where a label holds, one a label, (4.0,), or
        "balanced": how many times more often it does not hold in the training part.
      positive: of two classes, the one that is the label, by name or number; "" is the second.

    The metrics are ``loss`` (at evaluation without weights), ``accuracy``, the share of labels told
    rightly, cut at .5, and of several labels ``all_right``, the share of examples of which all are.
    Figures of a whole part are means over its labels: ``auroc``, ``average_precision`` and ``f1``,
    at thresholds that are best on the validation part, or .5 where there is none; of several labels
    also ``f1_micro``, of all their decisions together, and of one its ``threshold``, a share in
    [0, 1].
    """
    array = inputs.need(run)
    found = _labels(run, positive)
    choose("loss", loss, LOSSES)
    weights = class_weights.create(
        "positive_weights",
        positive_weights,
        len(found.names),
        functools.partial(_balanced, found, run.data.train),
    )
    if loss != "binary_cross_entropy" and weights is not None:
        raise UserError(
            f"config.task.positive_weights={positive_weights!r} is of binary_cross_entropy: "
            f"config.task.loss={loss!r} weighs by itself"
        )
    network = outputs.network(
        run,
        len(found.names),
        "the labels of the data",
        functools.partial(training_loss, loss, weights, found),
        functools.partial(hits, found),
    )
    logits_of = network.outputs_of
    predicted = functools.partial(predict, logits_of)
    known = functools.partial(calibrated.known, logits_of, functools.partial(thresholds, found))
    ready = calibrated.ready_once(known)
    each = jax.jit(functools.partial(figures, predicted, found))
    over = lambda state, split: over_split(each, split, run.config.eval.batch_size, ready(state))
    said = functools.partial(describe, found)
    answered = functools.partial(answers, network.with_features)
    answer = row_answers.create(run.data, answered, said)
    unweighted = functools.partial(training_loss, loss, None, found)
    return Task(
        init=functools.partial(calibrated.init, network.init, {}, calibrated.held(run)),
        train_step=functools.partial(calibrated.train_step, network.update),
        eval_step=functools.partial(evaluate, logits_of, unweighted, found),
        score=functools.partial(_score, over),
        artifacts=functools.partial(_artifacts, over, found, network.looked),
        parameters=lambda state: network.parameters(state.learner),
        predict=calibrated.predict(known, answered) if array == "image" else None,
        answer=calibrated.answer(ready, answer) if array == "features" else None,
        describe=said,
        labels=dict.fromkeys(("logits", "shares", "holds"), found.names),
        directions=dict.fromkeys(("all_right", "f1_micro"), HIGH),
        check=network.check,
    )


def training_loss(
    kind: str, weights: np.ndarray | None, known: Labels, found: jax.Array, batch: Mapping
) -> jax.Array:
    """(batch,) of logits (batch, labels).

    Args:
      kind: one of LOSSES.
      weights: (labels,), where one holds, or None.
      known: what can hold.
      found: the logits.
      batch: as `Labels.of` reads it.
    """
    target = known.of(batch).astype(jnp.float32)
    how = {} if weights is None else {"positive_weight": jnp.asarray(weights)[None]}
    return LOSSES[kind](found, target, **how)


def hits(known: Labels, found: jax.Array, batch: Mapping) -> Metrics:
    """``accuracy`` of logits (batch, labels), cut at .5, and ``all_right`` of several labels."""
    right, weights = (found > 0) == known.of(batch), without_padding(batch)
    made = {"accuracy": Mean.of(right.mean(axis=-1), weights)}
    if len(known.names) > 1:
        made["all_right"] = Mean.of(right.all(axis=-1), weights)
    return made


def evaluate(
    logits_of: Logits,
    per_example: Callable[[jax.Array, Mapping], jax.Array],
    known: Labels,
    state: State,
    batch: Mapping,
    key: jax.Array,
) -> Metrics:
    """``loss`` and `hits` of a batch that may be padded; ``key`` draws nothing."""
    found = logits_of(state.learner, inputs.given(batch))
    loss = Mean.of(per_example(found, batch), without_padding(batch))
    return {"loss": loss, **hits(known, found, batch)}


def thresholds(known: Labels, found: jax.Array, state: State) -> dict[str, jax.Array]:
    """``thresholds`` (labels,): logits above which a label is taken to hold, those of the best F1.

    0, a share of .5, of a label that never holds among what is held.

    Args:
      known: what can hold.
      found: logits of what is held.
      state: the task's, as it is kept.
    """
    best = jax.vmap(ranking.best_f1, in_axes=1)
    return {"thresholds": best(found, known.of(state.held)).threshold}


def predict(logits_of: Logits, state: State, given: jax.Array) -> dict[str, jax.Array]:
    """``logits``, ``shares`` (their sigmoids), ``holds`` and ``thresholds``, a share each.

    All (batch, labels); without `thresholds` of what is held they are .5.

    Args:
      logits_of: (learner, images or rows) -> (batch, labels).
      state: the task's, ready (`jaxdl.tasks.shared.calibrated.ready`).
      given: images (batch, h, w, c) or rows (batch, d).
    """
    return told(logits_of(state.learner, given), state)


def answers(
    with_features: Callable[[Any, jax.Array], tuple[jax.Array, jax.Array | None]],
    state: State,
    given: jax.Array,
) -> dict[str, jax.Array]:
    """`predict`, and ``vector``, of length 1, of what the network's head read."""
    found, features = with_features(state.learner, given)
    return {**told(found, state), **classification.vector_of(features)}


def told(found: jax.Array, state: State) -> dict[str, jax.Array]:
    """`predict` by logits (batch, labels)."""
    cut = jnp.broadcast_to(state.held.get("thresholds", jnp.zeros(1)), found.shape)
    shares = {"shares": jax.nn.sigmoid(found), "thresholds": jax.nn.sigmoid(cut)}
    return {"logits": found, "holds": found > cut, **shares}


def figures(
    predicted: Callable[[State, jax.Array], dict[str, jax.Array]],
    known: Labels,
    state: State,
    batch: Mapping,
    key: jax.Array,
) -> dict[str, jax.Array]:
    """`predict` of a batch, and ``truth`` (batch, labels) bool."""
    return {**predicted(state, inputs.given(batch)), "truth": known.of(batch)}


def describe(known: Labels, prediction: Mapping[str, np.ndarray]) -> Description:
    """The labels that hold of an example, the surest first; of two classes, which it is.

    Its ``vector``, if it has one, is written beside.
    """
    shares, holds, vector = prediction["shares"], prediction["holds"], prediction.get("vector")
    of_each = {name: float(share) for name, share in zip(known.names, shares, strict=True)}
    if known.other:
        name = known.names[0] if holds[0] else known.other
        text = f"{name}  {known.names[0]} {shares[0]:.1%}"
        return Description(text, {"class": name, "shares": of_each}, vector=vector)
    order = np.argsort(-shares, kind="stable")
    there = [known.names[i] for i in order if holds[i]]
    text = "  ".join(f"{name} {of_each[name]:.1%}" for name in there) or "none of the labels"
    return Description(text, {"labels": there, "shares": of_each}, vector=vector)


def _labels(run: Run, positive: str) -> Labels:
    task, data = run.config.task.name, run.data
    there, names = data.train.take(np.arange(1)), data.class_names
    if "labels" in there and there["labels"].ndim == 2:
        if positive:
            raise UserError(
                f"config.task.positive={positive!r} is of two classes: data set "
                f"{run.config.data.name!r} has labels, of which several may hold"
            )
        count = there["labels"].shape[1]
        return Labels(tuple(names) or tuple(map(str, range(count))))
    if "label" not in there or len(names) != 2:
        has = f"{len(names)} classes" if "label" in there else ", ".join(there)
        raise UserError(
            f"task {task!r} learns from labels each of which holds or not, or from two classes; "
            f"data set {run.config.data.name!r} has {has}"
        )
    number = class_number("config.task.positive", positive, names) if positive else 1
    return Labels((names[number],), names[1 - number], number)


def _balanced(known: Labels, train: Any) -> np.ndarray:
    """(labels,): how many times more often each does not hold; 1 of one that never does."""
    name = "labels" if known.positive < 0 else "label"
    all_of = getattr(train, "arrays", None)
    if all_of is None:  # not in memory: a pass over it, images and all; or not here, and not asked
        all_of = train.take(np.arange(len(train)))
    holds = np.asarray(known.of({name: np.asarray(all_of[name])}))
    times = holds.sum(axis=0)
    return np.where(times > 0, (len(holds) - times) / np.maximum(times, 1), 1.0)


def _score(
    over: Callable[[State, Any], dict[str, np.ndarray]], state: State, split: Any, key: jax.Array
) -> dict[str, float]:
    found = over(state, split)
    logits, holds, truth = found["logits"], found["holds"], found["truth"]
    labels = range(truth.shape[1])
    both = [i for i in labels if 0 < truth[:, i].sum() < len(truth)]
    there = [i for i in labels if truth[:, i].any()]
    made = {
        "auroc": [ranking.auroc(logits[:, i], truth[:, i]) for i in both],
        "average_precision": [ranking.average_precision(logits[:, i], truth[:, i]) for i in there],
        "f1": [ranking.f1(holds[:, i], truth[:, i]) for i in there],
    }
    figures = {name: float(np.mean(values)) for name, values in made.items() if values}
    if len(labels) > 1:
        return {**figures, "f1_micro": ranking.f1(holds, truth)}
    return {**figures, "threshold": float(found["thresholds"][0, 0])}


def _artifacts(
    over: Callable[[State, Any], dict[str, np.ndarray]],
    known: Labels,
    looked: Callable[..., dict[str, Any]],
    state: State,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    found = over(state, split)
    logits, holds, truth = found["logits"], found["holds"], found["truth"]
    both = [i for i in range(len(known.names)) if 0 < truth[:, i].sum() < len(truth)]
    shown = [both[i] for i in spread.evenly(len(both), _LINES)] if both else []
    made: dict[str, Any] = {}
    if shown:
        lines = {known.names[i]: ranking.roc(logits[:, i], truth[:, i]) for i in shown}
        made["ROC"] = draw.curves("share found", lines, xlabel="share of the others taken for it")
        lines = {known.names[i]: ranking.precision_recall(logits[:, i], truth[:, i]) for i in shown}
        made["Precision and recall"] = draw.curves("precision", lines, xlabel="recall")
    made |= _calibrated(logits, truth)
    if known.other:
        names = (known.other, known.names[0])
        made |= classified.confusion(truth[:, 0].astype(int), holds[:, 0].astype(int), names)
    else:
        made["Labels"] = _table(known.names, found)
    return made | looked(state.learner, split, functools.partial(_lines, known, truth, holds))


def _lines(known: Labels, truth: np.ndarray, holds: np.ndarray, places: np.ndarray) -> list[str]:
    """Of each example at ``places`` what holds, and what was found to, as much as has room."""
    names = lambda row: ", ".join(np.array(known.names)[row]) or known.other or "none"
    lines = [f"{names(truth[i])} → {names(holds[i])}" for i in places]
    return [line if len(line) <= _LETTERS else f"{line[: _LETTERS - 1]}…" for line in lines]


def _calibrated(logits: np.ndarray, truth: np.ndarray) -> dict[str, draw.Picture]:
    """`classified.calibrated` of (n, labels), each decision being one between two classes."""
    # Label after label, and of an even number of examples: so every other decision is of every
    # other example, in all labels.
    even = slice(len(logits) // 2 * 2)
    decisions = np.asarray(logits[even], np.float64).T.ravel()
    pairs = np.stack([np.zeros_like(decisions), decisions], axis=1)
    return classified.calibrated(pairs, truth[even].T.ravel().astype(int))


def _table(names: Sequence[str], found: Mapping[str, np.ndarray]) -> str:
    logits, holds, truth = found["logits"], found["holds"], found["truth"]
    width = max(map(len, (*names, "label")))
    lines = [f"{'label':{width}}  holds  threshold  average precision    F1"]
    for i, name in enumerate(names):
        there = truth[:, i].any()
        area = ranking.average_precision(logits[:, i], truth[:, i]) if there else np.nan
        own = ranking.f1(holds[:, i], truth[:, i])
        cut = found["thresholds"][0, i]
        lines.append(
            f"{name:{width}}  {truth[:, i].sum():5d}  {cut:9.3f}  {area:17.3f}  {own:4.3f}"
        )
    return "\n".join(lines)
