"""One network, one loss, one optimizer: the update that every kind of learning is made of.

Supervised tasks have one learner; adversarial ones two. The update accumulates microbatches
exactly, follows the parameters with a moving average, and reports the norms of every layer.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from jaxdl import keys, optim
from jaxdl.metrics import Mean, Means, Metrics, add
from jaxdl.optim import lora, norms, schedules
from jaxdl.parallel import replicas
from jaxdl.per_member import any_on
from jaxdl.trees import path_name

_WHOLE = lora.Settings()


class Learner(NamedTuple):
    """All that a network's training has to keep.

    Attributes:
      params: float32.
      model_state: the model's other collections (batch statistics), {} if it has none.
      opt_state: of the optax chain.
      average: moving averages of (params, model_state), or None.
    """

    params: Any
    model_state: Any
    opt_state: Any
    average: Any = None

    @property
    def adapted(self) -> None:
        """Nothing: ``params`` are all that there is."""
        return None

    @property
    def variables(self) -> dict[str, Any]:
        """For ``module.apply`` in training."""
        return _variables(self, self.params, self.model_state)

    @property
    def best_variables(self) -> dict[str, Any]:
        """For ``module.apply`` at evaluation: the averages where they are kept."""
        return _variables(self, *(self.average or (self.params, self.model_state)))


class LowRank(NamedTuple):
    """A `Learner` whose ``params`` are a change of other ones (`jaxdl.optim.lora`).

    Attributes:
      params: what learns; so are the next three of it.
      model_state: see `Learner`.
      opt_state: see there.
      average: see there.
      adapted: what does not learn.
    """

    params: Any
    model_state: Any
    opt_state: Any
    average: Any
    adapted: lora.Adapted

    variables = Learner.variables
    best_variables = Learner.best_variables


def _variables(own: Any, params: Any, model_state: Any) -> dict[str, Any]:
    return {"params": lora.merged(own.adapted, params), **model_state}


class Loss(NamedTuple):
    """What a loss function returns.

    Attributes:
      loss: Σ of the examples' losses and their weight; the mean is minimised.
      model_state: the model's collections after this pass.
      metrics: further (sum, weight) pairs.
    """

    loss: Mean
    model_state: Any
    metrics: Metrics


LossFn = Callable[[Any, Any, Mapping[str, jax.Array], jax.Array], Loss]


def forward(
    module: nn.Module, *, collect: Sequence[str] = (), **how: Any
) -> Callable[..., tuple[Any, dict[str, Any]]]:
    """The pass of training, as a loss function needs it.

    Args:
      module: with `__call__(*inputs, train=)`, or ``method`` of ``how`` in its place.
      collect: further collections that the module sows into in training, such as "auxiliary".
      **how: further arguments of ``module.apply``.

    Returns:
      A function ``(params, model_state, key, *inputs, train=True, **how)`` -> (output, model_state
      after it, with what was collected). Dropout draws by the key's stream "dropout".
    """

    def apply(
        params: Any, model_state: Any, key: jax.Array, *inputs: Any, train: bool = True, **more: Any
    ) -> tuple[Any, dict[str, Any]]:
        output, new = module.apply(
            {"params": params, **model_state},
            *inputs,
            train=train,
            rngs={"dropout": keys.named(key, "dropout")},
            mutable=[*model_state, *collect],
            **how,
            **more,
        )
        return output, {**model_state, **new}

    return apply


def create(
    variables: Mapping[str, Any],
    optimizer: optax.GradientTransformation,
    *,
    ema: float = 0.0,
    swa: float = 0.0,
    low_rank: lora.Settings = _WHOLE,
    key: jax.Array | None = None,
) -> Learner:
    """A learner at its start.

    Args:
      variables: what ``module.init`` returned.
      optimizer: an optax chain.
      ema: decay of the moving average; 0 keeps none.
      swa: as `make_update`'s even average; 0 keeps none.
      low_rank: what learns; by default all that ``variables`` have.
      key: of the first weights of low rank, where there are some.
    """
    model_state = {name: v for name, v in variables.items() if name != "params"}
    params, adapted = variables["params"], None
    if low_rank.rank:
        params, adapted = lora.begin(params, key, low_rank)
    average = jax.tree.map(jnp.copy, (params, model_state)) if any_on(ema) or any_on(swa) else None
    made = Learner(params, model_state, optimizer.init(params), average)
    return made if adapted is None else LowRank(*made, adapted)


class Frozen(NamedTuple):
    """The first updates of a learner, in which only the head learns.

    Attributes:
      updates: how many.
      head: params -> the same tree, True for what learns.
      loss_fn: in place of the other; of the model's collections, what it returns is not kept.
    """

    updates: int
    head: Callable[[Any], Any]
    loss_fn: LossFn


def make_update(
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    *,
    accumulate: int = 1,
    ema: float = 0.0,
    swa: float = 0.0,
    gradient_noise: float = 0.0,
    sharpness: float = 0.0,
    layer_norms: bool = False,
    schedule: Callable[[jax.Array], jax.Array] | None = None,
    frozen: Frozen | None = None,
) -> Callable[..., tuple[Learner, Metrics]]:
    """The update: gradient, optimizer, moving average.

    Args:
      loss_fn: (params, model_state, batch, key) -> `Loss`; its weight must not depend on params.
      optimizer: an optax chain; called once an update, so schedules count updates.
      accumulate: microbatches that the batch is cut into; divides its size. The gradient is that
        of Σ loss / Σ weight over all of them, not a mean of means.
      ema: decay of the moving average; must be what `create` was given. The decay of early updates
        is (1 + t) / (10 + t) where that is smaller, so that the start is soon forgotten.
      swa: updates before an even average begins, in place of the moving one: the mean of what the
        parameters are behind this update and every later one (Izmailov et al., 2018, arXiv
        1803.05407, algorithm 1, at each update); the model's other collections are averaged too,
        not counted anew. Until then it is what the parameters are; 0 is off.
      gradient_noise: standard deviation of Gaussian noise that is added to each element of the
        gradient (Neelakantan et al., 2015, arXiv 1511.06807, without their annealing), once an
        update, before the optimizer with its clipping; 0 draws none.
      sharpness: ρ of sharpness-aware minimisation (Foret et al., 2020, arXiv 2010.01412, algorithm
        1): the gradient is that where the loss is about the highest within a ball of this radius,
        a step of ρ along the gradient away, which costs a second pass; metrics and the model's
        other collections are those of the first. 0 is off.
      schedule: of the learning rate; adds the metric ``learning_rate``.
      layer_norms: adds ``layers``, of the figures ``layers/gradient_norm/…`` and
        ``layers/update_norm/…``, to the metrics.
      frozen: what is otherwise in the first updates; the optimizer must know of it too.

    Returns:
      A function (learner, batch, key, at=None) -> (learner, metrics); ``at`` are the parameters
      that the gradient is taken at, by default the learner's own. The metrics have ``loss``,
      ``gradient_norm`` (before noise and clipping, so that it tells of the loss alone) and
      ``update_norm`` beside those of the loss function.
    """

    def total(params, model_state, batch, key, adapted):
        result = loss_fn(lora.merged(adapted, params), model_state, batch, key)
        return result.loss.total, result

    def of_head(params, model_state, batch, key, adapted):
        keep = lambda x, learns: x if learns else jax.lax.stop_gradient(x)
        held = jax.tree.map(keep, params, frozen.head(params))
        result = frozen.loss_fn(lora.merged(adapted, held), model_state, batch, key)
        return result.loss.total, result._replace(model_state=model_state)

    gradient = jax.grad(total, has_aux=True)

    def summed(learner, batch, key):
        """Gradient of the summed loss, its weight, model state and metrics over the batch."""
        arguments = learner.params, learner.model_state, batch, key, learner.adapted
        if frozen is None:
            grads, result = gradient(*arguments)
        else:
            is_frozen = updates_done(learner.opt_state) < frozen.updates
            grads, result = jax.lax.cond(
                is_frozen, jax.grad(of_head, has_aux=True), gradient, *arguments
            )
        return grads, result.model_state, {"loss": result.loss, **result.metrics}

    def accumulated(learner, batch, key):
        # Microbatch i takes every accumulate-th example: a batch that is split over devices stays
        # where it is. The first pass gives the shapes that the others add to.
        cut = lambda x: x.reshape(-1, accumulate, *x.shape[1:]).swapaxes(0, 1)
        batches = jax.tree.map(cut, batch)
        part = lambda i: jax.tree.map(lambda x: x[i], batches)
        first = summed(learner, part(0), jax.random.fold_in(key, 0))

        def body(carry, i):
            grads, model_state, metrics = carry
            more, model_state, more_metrics = summed(
                learner._replace(model_state=model_state), part(i), jax.random.fold_in(key, i)
            )
            return (jax.tree.map(jnp.add, grads, more), model_state, add(metrics, more_metrics)), ()

        return jax.lax.scan(body, first, jnp.arange(1, accumulate))[0]

    def update(learner: Learner, batch, key, at: Any = None) -> tuple[Learner, Metrics]:
        run = accumulated if accumulate > 1 else summed
        place = learner if at is None else learner._replace(params=at)

        def mean_gradient(place):
            grads, model_state, metrics = run(place, batch, replicas.own(key))
            grads, metrics = replicas.total((grads, metrics))
            grads = jax.tree.map(lambda g: g / metrics["loss"].weight, grads)
            return grads, model_state, metrics

        grads, model_state, metrics = mean_gradient(place)
        noisy = grads
        if any_on(sharpness):
            uphill = _uphill(place.params, grads, sharpness)
            noisy = mean_gradient(place._replace(params=uphill))[0]
        if any_on(gradient_noise):
            # All devices draw the same: there is one gradient by now.
            each = optax.tree.split_key_like(keys.named(key, "gradient_noise"), noisy)
            add_to = lambda g, k: g + gradient_noise * jax.random.normal(k, g.shape, g.dtype)
            noisy = jax.tree.map(add_to, noisy, each)
        updates, opt_state = optimizer.update(noisy, learner.opt_state, learner.params)
        params = optax.apply_updates(learner.params, updates)
        average = learner.average
        if any_on(ema) or any_on(swa):
            decay = _decay_at(ema, opt_state) if any_on(ema) else _even_at(swa, opt_state)
            average = jax.tree.map(
                lambda old, new: (decay * old + (1 - decay) * new).astype(old.dtype),
                average,
                (params, model_state),
            )
        squares = norms.squares(grads, updates)
        kinds = "gradient_norm", "update_norm"
        of_all = jnp.sqrt(squares.sum(-1))
        metrics = {**metrics, **{kind: Mean.once(of_all[i]) for i, kind in enumerate(kinds)}}
        if schedule is not None:
            metrics["learning_rate"] = Mean.once(schedule(updates_done(learner.opt_state)))
        if layer_norms:
            layers, each = norms.by_layer(grads, squares)
            names = [f"layers/{kind}/{layer}" for kind in kinds for layer in layers]
            metrics["layers"] = Means.once(names, each.reshape(-1))
        new = learner._replace(
            params=params, model_state=model_state, opt_state=opt_state, average=average
        )
        return new, metrics

    return update


def by_config(
    run: Any,
    loss_fn: LossFn,
    *,
    updates: int = 1,
    frozen_loss_fn: LossFn | None = None,
    layers: Callable[[], Sequence[str]] | None = None,
) -> tuple[Callable[[Mapping[str, Any]], Learner], Callable[..., tuple[Learner, Metrics]]]:
    """How a learner starts and moves, by the settings of a run.

    Args:
      run: `jaxdl.tasks.Run`, of whose config the optimizer with its schedule and noise,
        ``accumulate``, ``ema``, ``swa`` and ``log.layers`` count.
      loss_fn: as of `make_update`.
      updates: of the optimizer in each step of the run; its schedule counts them.
      frozen_loss_fn: as `Frozen` has it, until ``optimizer.unfreeze``; by default the same.
      layers: the network's top-level submodules, in the order of the forward pass, for
        ``optimizer.layer_decay``.

    Returns:
      A function from what ``module.init`` returned, and a key of those tasks that are registered
      with the group "lora", to the `Learner` at its start, and the update of `make_update`.
    """
    config = run.config
    length = dict(steps=run.steps * updates, steps_per_epoch=run.steps_per_epoch)
    schedule = schedules.create(config.optimizer, **length)
    frozen = schedules.frozen(config.optimizer, **length)
    optimizer = optim.create(config.optimizer, schedule, frozen=frozen, layers=layers)
    averages = dict(ema=config.ema, swa=round(config.swa * run.steps * updates))
    update = make_update(
        loss_fn,
        optimizer,
        accumulate=config.accumulate,
        **averages,
        gradient_noise=config.optimizer.noise,
        sharpness=config.optimizer.sharpness,
        layer_norms=config.log.layers,
        schedule=schedule,
        frozen=Frozen(
            frozen,
            lambda params: optim.matching(params, config.optimizer.head, "optimizer.head"),
            frozen_loss_fn or loss_fn,
        )
        if any_on(frozen)
        else None,
    )
    low_rank = lora.Settings(**config.lora)

    def start(variables: Mapping[str, Any], key: jax.Array | None = None) -> Learner:
        return create(variables, optimizer, **averages, low_rank=low_rank, key=key)

    return start, update


def step_beside(
    updates: Callable[[LossFn], tuple[Any, Callable[..., tuple[Learner, Metrics]]]],
    loss_of: Callable[..., Loss],
    known: Callable[[Any], Any],
    state: Any,
    batch: Mapping[str, jax.Array],
    key: jax.Array,
) -> tuple[Any, Metrics]:
    """An update of ``state.learner`` alone, by a loss that reads what else the state has.

    Args:
      updates: a loss function -> the learner's start and its update.
      loss_of: (known, params, model_state, batch, key) -> the loss.
      known: state -> what the loss reads of it.
      state: of the task, a NamedTuple with a ``learner``.
      batch: of the step.
      key: of the step.
    """
    _, update = updates(functools.partial(loss_of, known(state)))
    own, found = update(state.learner, batch, key)
    return state._replace(learner=own), found


def _uphill(params: Any, grads: Any, radius: float) -> Any:
    """The parameters a step of length ``radius`` along ``grads`` away; none where these are 0."""
    norm = optax.tree.norm(grads)
    step = radius * jnp.where(norm > 0, 1 / jnp.where(norm > 0, norm, 1), 0)
    return jax.tree.map(lambda w, g: (w + step * g).astype(w.dtype), params, grads)


def _decay_at(ema: float, opt_state: Any) -> jax.Array | float:
    t = updates_done(opt_state)
    return jnp.minimum(ema, (1 + t) / (10 + t))


def _even_at(swa: float, opt_state: Any) -> jax.Array:
    before = jnp.maximum(updates_done(opt_state) - swa, 0)
    return jnp.where(jnp.asarray(swa) > 0, before / (before + 1), 0)


def updates_done(opt_state: Any) -> jax.Array:
    """The number of updates that an optimizer's state has seen, int32.

    Raises:
      ValueError: the chain counts nothing (it has no schedule).
    """
    counts = optax.tree.get_all_with_path(opt_state, "count")
    if not counts:
        raise ValueError("the optimizer keeps no count: give it a schedule as learning rate")
    return counts[0][1]


def parameters(params: Any, order: Mapping[str, int]) -> dict[str, jax.Array]:
    """{name: array} of all leaves, layers in the order of ``order`` (`jaxdl.models.call_order`)."""
    leaves = [
        (path_name(p), path_name(p[:-1]), x) for p, x in jax.tree_util.tree_leaves_with_path(params)
    ]
    leaves.sort(key=lambda leaf: order.get(leaf[1], len(order)))
    return {name: leaf for name, _, leaf in leaves}
