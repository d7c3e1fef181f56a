"""Next-token prediction in endless random tokens, by models of benchmarks/models.

`jaxdl.tasks.language_modelling` is of texts, with a tokenizer and an evaluation part; here there is
neither, and models have ``num_classes`` as all of this comparison do.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxdl import experiment, keys, layers, losses, models, optim, parallel, precision, tasks
from jaxdl.metrics import Mean, Metrics
from jaxdl.optim import schedules
from jaxdl.tasks import learner


def create(run: tasks.Run, vocabulary: int) -> tasks.Task:
    """A task over ``tokens`` (batch, T + 1) int32: each from those before it.

    The metrics are ``loss`` (nats a token) and ``accuracy``, and those of every learner.
    """
    config = run.config
    fields = {k: v for k, v in config.model.items() if k != "name"}
    dtype = precision.compute_dtype(config.precision)
    module = models.create(config.model.name, **fields, num_classes=vocabulary, dtype=dtype)
    schedule = schedules.create(config.optimizer, steps=run.steps)
    optimizer = optim.create(config.optimizer, schedule)

    def score(logits: jax.Array, targets: jax.Array) -> tuple[Mean, Metrics]:
        hits = (logits.argmax(-1) == targets).mean(axis=1)
        return Mean.of(losses.cross_entropy(logits, targets)), {"accuracy": Mean.of(hits)}

    def loss_fn(params: Any, model_state: Any, batch: Mapping, key: jax.Array) -> learner.Loss:
        seen, targets = batch["tokens"][:, :-1], batch["tokens"][:, 1:]
        logits = module.apply({"params": params}, seen, train=True, rngs={"dropout": key})
        loss, hits = score(logits, targets)
        return learner.Loss(loss, model_state, hits)

    def init(key: jax.Array, batch: Mapping) -> learner.Learner:
        return learner.create(module.init(key, batch["tokens"][:1, :-1]), optimizer)

    def eval_step(state: learner.Learner, batch: Mapping, key: jax.Array) -> Metrics:
        logits = module.apply(state.best_variables, batch["tokens"][:, :-1])
        loss, hits = score(logits, batch["tokens"][:, 1:])
        return {"loss": loss, **hits}

    update = learner.make_update(
        loss_fn, optimizer, layer_norms=config.log.layers, schedule=schedule
    )
    return tasks.Task(init, update, eval_step)


def experiment_of(config: Any, length: int, vocabulary: int) -> experiment.Experiment:
    """An experiment on endless random texts of ``length`` tokens to predict."""
    experiment.check(config)
    run = tasks.Run(config, None, config.steps, None)

    def batch(
        step: int, rows: slice = slice(None), group: int | None = None
    ) -> Mapping[str, np.ndarray]:
        rng = np.random.default_rng((config.seed, step))
        shape = (config.batch_size, length + 1)
        return {"tokens": rng.integers(0, vocabulary, shape, np.int32)[rows]}

    return experiment.Experiment(
        config,
        run,
        create(run, vocabulary),
        parallel.create(config.parallel, config.batch_size, rules=layers.TENSOR_RULES),
        keys.root(config.seed),
        batch,
    )
