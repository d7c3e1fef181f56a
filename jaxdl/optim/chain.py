"""Optimizers: optax chains from a config's settings.

clipping → coupled L2 → the optimizer, its learning rate and decoupled weight decay → slowed groups
and layers; frozen groups are left out of all of it. So is, until it is unfrozen, all but the head:
its optimizer then begins as if it were new, at the rate that the schedule has come to.
"""

import functools
import inspect
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax.contrib import MuonDimensionNumbers

from jaxdl.errors import UserError, nearest
from jaxdl.optim import matrices
from jaxdl.optim.schedules import Schedule
from jaxdl.per_member import any_on
from jaxdl.registry import check_names
from jaxdl.trees import leaf_names, path_name


def _rmsprop(learning_rate, decay=0.99, eps=1e-8, momentum=None, nesterov=False, centered=False):
    # The published form, and PyTorch's: ε outside the root, a memory of .99.
    return optax.rmsprop(
        learning_rate,
        decay=decay,
        eps=eps,
        momentum=momentum,
        nesterov=nesterov,
        centered=centered,
        eps_in_sqrt=False,
    )


def _adamw(learning_rate, b1=0.9, b2=0.999, eps=1e-8, nesterov=False, weight_decay=0.0, mask=None):
    # Without optax's own default of 1e-4: the config's weight_decay is all there is.
    return optax.adamw(learning_rate, b1, b2, eps, 0.0, None, weight_decay, mask, nesterov=nesterov)


def _kernels_as_matrices(params: Any, left: Sequence[str] = ()) -> Any:
    # (k, k, in, out) is a matrix of k k in rows, as a convolution multiplies by it; of a transposed
    # one's (k, k, out, in) that is the transposed matrix, and so are its orthogonal factor and what
    # ``consistent_rms`` multiplies it by. Adam has what no layer multiplies by: embeddings too.
    # And what a name among ``left`` is found in.
    def numbers(path: Any, x: jax.Array) -> MuonDimensionNumbers | None:
        name, axes = path_name(path), tuple(range(x.ndim))
        if not matrices.is_map(name, x.shape) or any(re.search(p, name) for p in left):
            return None
        rows = matrices.inputs(name, x.shape)
        return MuonDimensionNumbers(axes[:rows], axes[rows:])

    return jax.tree.map_with_path(numbers, params)


@functools.wraps(optax.contrib.muon)
def _muon(*args, muon_weight_dimension_numbers=_kernels_as_matrices, **options):
    # Jordan, 2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" flattens kernels in this way;
    # what is split into heads is one matrix there. "Muon: An optimizer for hidden layers in neural
    # networks" of the same year leaves embeddings out.
    options["muon_weight_dimension_numbers"] = muon_weight_dimension_numbers
    return optax.contrib.muon(*args, **options)


_OURS: dict[str, Callable] = {"rmsprop": _rmsprop, "adamw": _adamw, "muon": _muon}

# Public functions of optax that take a learning rate and yet are not optimizers by themselves.
# The second line: those that need more than gradients, or take no schedule.
_NOT_OPTIMIZERS = re.compile(
    r"^(scale_by|inject|schedule_free_|lookahead|lbfgs|polyak|noisy_sgd"
    r"|dpsgd$|momo$|momo_adam$|sophia$|optimistic_adam$|rprop$|sm3$)"
)

# Where decay is part of the published method; all others get `_decoupled_decay`.
_DECAY_INSIDE = ("adamw", "cocob", "dog", "dowg", "lamb", "lars")


def names() -> list[str]:
    """All optimizers by name: those of optax and optax.contrib that need gradients only."""
    found = set(_OURS)
    for module in (optax, optax.contrib):
        for name, item in vars(module).items():
            if (
                inspect.isfunction(item)
                and not name.startswith("_")
                and not _NOT_OPTIMIZERS.match(name)
                and next(iter(inspect.signature(item).parameters), "") == "learning_rate"
            ):
                found.add(name)
    return sorted(found)


def _factory(name: str) -> Callable:
    if name not in names():
        raise UserError(f"unknown optimizer {name!r}: {nearest(name, names())}")
    return _OURS.get(name) or getattr(optax, name, None) or getattr(optax.contrib, name)


def arguments(name: str) -> dict[str, Any]:
    """What the optimizer called ``name`` takes, and what each is unless it is given."""
    found = inspect.signature(_factory(name)).parameters.values()
    return {p.name: None if p.default is p.empty else p.default for p in found}


def decay_mask(params: Any, no_decay: Sequence[str]) -> Any:
    """Which parameters weight decay touches: matrices and kernels whose name matches none.

    Args:
      params: pytree of arrays.
      no_decay: regular expressions, searched in names such as ``block_0/norm/scale``.

    Returns:
      A pytree of bools: False for vectors and scalars (biases, norms) and for every match.
    """
    return jax.tree_util.tree_map_with_path(
        lambda path, x: x.ndim > 1 and not any(re.search(p, path_name(path)) for p in no_decay),
        params,
    )


def group_factors(params: Any, groups: Sequence[str]) -> Any:
    """The factor on each parameter's learning rate.

    Args:
      params: pytree of arrays.
      groups: ``"regex=factor"``, the first whose regex is found in the name counts: ``"head=10"``,
        ``"^block_[0-3]/=0.1"``, ``"^patch_embed=0"``; 0 freezes.

    Returns:
      A pytree of floats, 1 where no regex matches.

    Raises:
      UserError: a group that is not of this form, or matches nothing.
    """
    rules = []
    for group in groups:
        pattern, equals, factor = str(group).rpartition("=")
        try:
            rules.append((re.compile(pattern), float(factor)))
            if not equals or not 0 <= rules[-1][1] < 2.0**128:  # where float32 ends
                raise ValueError
        except (re.error, ValueError):
            raise UserError(
                f"optimizer.groups: {group!r} is not 'regex=factor', such as 'head=10' or "
                "'^block_0/=0'"
            ) from None
    all_names = leaf_names(params)
    for (pattern, _), group in zip(rules, groups, strict=True):
        if not any(pattern.search(name) for name in all_names):
            raise UserError(
                f"optimizer.groups: {group!r} matches no parameter: "
                + nearest(pattern.pattern, all_names)
            )
    factor_of = lambda name: next((f for p, f in rules if p.search(name)), 1.0)
    return jax.tree_util.tree_map_with_path(lambda path, _: factor_of(path_name(path)), params)


def matching(params: Any, patterns: Sequence[str], setting: str) -> Any:
    """Which parameters have a name that one of the regular expressions is found in.

    Raises:
      UserError: one that is none, or is found in no name; the message begins with ``setting``.
    """
    all_names = leaf_names(params)
    for pattern in patterns:
        try:
            found = any(re.search(pattern, name) for name in all_names)
        except (re.error, TypeError) as error:
            raise UserError(f"{setting}: {pattern!r} is no regular expression: {error}") from None
        if not found:
            near = nearest(pattern, all_names)
            raise UserError(f"{setting}: {pattern!r} matches no parameter: {near}")
    return jax.tree.map_with_path(
        lambda path, _: any(re.search(p, path_name(path)) for p in patterns), params
    )


def layer_factors(params: Any, decay: float, layers: Sequence[str]) -> Any:
    """The factor on each parameter's rate by its layer: 1, decay, decay² … from the head down.

    As Clark et al. (2020, ELECTRA) and Bao et al. (2021, BEiT) have it. A layer is a top-level
    submodule, together with those behind it that have no matrices (norms); what stands at the top
    by itself, such as a class token, is of the lowest.

    Args:
      params: pytree of arrays.
      decay: the factor.
      layers: top-level submodules, in the order of the forward pass.
    """
    has_matrix = lambda tree: any(x.ndim > 1 for x in jax.tree.leaves(tree))
    depth, depths = -1, {}
    for layer in layers:
        if isinstance(params.get(layer), Mapping):
            depth += has_matrix(params[layer])
            depths[layer] = max(depth, 0)
    factors = {name: decay ** (depth - depths.get(name, 0)) for name in params}
    return jax.tree.map_with_path(lambda path, _: factors[path[0].key], params)


def _clip_by_norm(limit: float) -> optax.GradientTransformation:
    """Scales each parameter's gradient down to the Euclidean norm ``limit``."""

    def clip(g):
        norm = jnp.linalg.norm(g.ravel().astype(jnp.float32))
        return (g / jnp.maximum(1.0, norm / limit)).astype(g.dtype)

    return optax.stateless(lambda updates, params: jax.tree.map(clip, updates))


def _clip_by_unit(limit: float) -> optax.GradientTransformation:
    """Scales what goes into each unit down to ``limit`` times its weights' norm.

    Brock et al., 2021, "High-Performance Large-Scale Image Recognition Without Normalization",
    equation 3. Of three axes optax takes each column along the first for a unit.
    """
    clip = optax.adaptive_grad_clip(limit)

    def update(updates, params):
        as_matrices = matrices.as_matrices
        clipped, _ = clip.update(as_matrices(updates), optax.EmptyState(), as_matrices(params))
        return jax.tree.map(lambda new, old: new.reshape(old.shape), clipped, updates)

    return optax.stateless(update)


def _clipping(settings: Mapping[str, Any]) -> list[optax.GradientTransformation]:
    return [
        make(settings[key])
        for key, make in (
            ("clip_value", optax.clip),
            ("clip_norm", _clip_by_norm),
            ("clip", optax.clip_by_global_norm),
            ("clip_adaptive", _clip_by_unit),
        )
        if settings[key]
    ]


def create(
    settings: Mapping[str, Any],
    schedule: Schedule,
    *,
    frozen: int | None = None,
    layers: Callable[[], Sequence[str]] | None = None,
) -> optax.GradientTransformation:
    """The optimizer that `config.optimizer` describes.

    Args:
      settings: the keys of `config.optimizer` (see `jaxdl.config`).
      schedule: learning rate by update (see `jaxdl.optim.schedules.create`).
      frozen: updates in which only the head learns (see `jaxdl.optim.schedules.frozen`); None where
        there is no telling.
      layers: gives the top-level submodules in the order of the forward pass, for
        ``layer_decay``.

    Returns:
      An optax transformation of gradients.

    Raises:
      UserError: an unknown optimizer, a setting that it does not take, or a malformed group; the
        groups and the head are checked against the parameters when the transformation is
        initialised.
    """
    name = settings["name"]
    factory = _factory(name)
    takes = list(inspect.signature(factory).parameters)
    chosen = {
        key: settings[key]
        for key in ("momentum", "nesterov", "b1", "b2", "eps", "decay", "centered")
        if settings[key] is not None
    }
    chosen.update(_options(settings["options"]))
    check_names(f"optimizer {name!r}", chosen, [t for t in takes if t != "learning_rate"])

    for pattern in settings["no_decay"]:
        try:
            re.compile(pattern)
        except (re.error, TypeError) as error:
            raise UserError(
                f"optimizer.no_decay: {pattern!r} is no regular expression: {error}"
            ) from None
    mask = lambda params: decay_mask(params, settings["no_decay"])
    parts = _clipping(settings)
    if left := tuple(settings["adam_params"]):
        if name != "muon":
            raise UserError(
                f"optimizer.adam_params is of Muon, and the optimizer is {name!r}: name=muon, or ()"
            )
        named = functools.partial(matching, patterns=left, setting="optimizer.adam_params")
        parts.insert(0, _checked(named))
        chosen["muon_weight_dimension_numbers"] = functools.partial(_kernels_as_matrices, left=left)
    if any_on(settings["l2"]):
        parts.append(optax.add_decayed_weights(settings["l2"], mask))
    decay = settings["weight_decay"]
    own = "weight_decay" in chosen  # among the options: the optimizer's own, as it comes
    inside = own or name in _DECAY_INSIDE
    if "weight_decay" in takes and not own:
        chosen["weight_decay"] = decay if inside else 0.0
        if inside:
            chosen["weight_decay_mask" if "weight_decay_mask" in takes else "mask"] = mask

    def learning(schedule: Schedule) -> list[optax.GradientTransformation]:
        own = [factory(schedule, **chosen)]
        if not inside and any_on(decay):
            own.append(_decoupled_decay(decay, schedule, mask))
        return own

    if frozen is None and any_on(settings["unfreeze"]):
        parts.append(_refusal("optimizer.unfreeze: this task's networks have no head"))
    if frozen is not None and any_on(frozen):
        parts = _unfreezing(parts, learning, schedule, frozen, settings["head"])
    else:
        parts += learning(schedule)
    layer_decay = settings["layer_decay"] if any_on(settings["layer_decay"] - 1) else None
    if layer_decay is not None and layers is None:
        parts.append(_refusal("optimizer.layer_decay: this task does not know its layers' order"))
        layer_decay = None
    if not settings["groups"] and layer_decay is None:
        return optax.chain(*parts)

    def factors(params: Any) -> Any:
        by_group = group_factors(params, settings["groups"])
        if layer_decay is None:
            return by_group
        by_layer = layer_factors(params, layer_decay, layers())
        return jax.tree.map(operator.mul, by_group, by_layer)

    return _grouped(parts, factors)


def _options(options: Sequence[str]) -> dict[str, Any]:
    """``("ns_steps=5", "beta=.9")`` as keyword arguments."""
    import ast

    result = {}
    for option in options:
        key, _, value = str(option).partition("=")
        try:
            result[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError, TypeError):
            raise UserError(
                f"optimizer.options: {option!r} is not 'name=number', such as 'ns_steps=5'"
            ) from None
    return result


def _decoupled_decay(
    decay: float, schedule: Schedule, mask: Callable
) -> optax.GradientTransformation:
    """Adds ``-rate · decay · parameter`` to updates that already carry their learning rate."""

    def init(params):
        return optax.ScaleByScheduleState(count=jnp.zeros([], jnp.int32))

    def update(updates, state, params):
        amount = schedule(state.count) * decay
        decayed = jax.tree.map(
            lambda u, p, m: u - (amount * p).astype(u.dtype) if m else u,
            updates,
            params,
            mask(params),
        )
        return decayed, optax.ScaleByScheduleState(optax.safe_increment(state.count))

    return optax.GradientTransformation(init, update)


def _refusal(message: str) -> optax.GradientTransformation:
    """Raises UserError where a run would begin: the setting may belong to another task."""

    def refuse(params: Any) -> None:
        raise UserError(message)

    return _checked(refuse)


def _checked(check: Callable[[Any], Any]) -> optax.GradientTransformation:
    """Nothing but a look at the parameters where a run begins, which may raise UserError."""

    def init(params: Any) -> optax.EmptyState:
        check(params)
        return optax.EmptyState()

    return optax.GradientTransformation(init, lambda updates, state, params=None: (updates, state))


def _unfreezing(
    parts: list[optax.GradientTransformation],
    learning: Callable[[Schedule], list[optax.GradientTransformation]],
    schedule: Schedule,
    frozen: int,
    head: Sequence[str],
) -> list[optax.GradientTransformation]:
    """The chain's parts where all but the head begins to learn at update ``frozen``.

    Args:
      parts: in front of the optimizer; they see no gradient of what is frozen.
      learning: the optimizer's parts at a schedule.
      schedule: of the rate, from the run's first update.
      frozen: updates.
      head: regular expressions of names.
    """
    if not head:
        raise UserError("optimizer.unfreeze: optimizer.head names nothing that learns until then")
    in_head = lambda params: matching(params, head, "optimizer.head")

    def init(params: Any) -> optax.ScaleByScheduleState:
        return optax.ScaleByScheduleState(count=jnp.zeros([], jnp.int32))

    def update(updates: Any, state: optax.ScaleByScheduleState, params: Any = None) -> tuple:
        learns = frozen <= state.count
        seen = jax.tree.map(
            lambda g, first: g if first else jnp.where(learns, g, 0), updates, in_head(updates)
        )
        return seen, optax.ScaleByScheduleState(optax.safe_increment(state.count))

    later = _later(optax.chain(*learning(lambda count: schedule(count + frozen))), frozen)
    labels = lambda params: jax.tree.map(lambda x: "head" if x else "rest", in_head(params))
    own = optax.partition({"head": optax.chain(*learning(schedule)), "rest": later}, labels)
    return [optax.GradientTransformation(init, update), *parts, own]


def _later(inner: optax.GradientTransformation, start: int) -> optax.GradientTransformation:
    """Changes nothing for ``start`` updates; then it is ``inner``, at its first update."""

    def init(params: Any) -> tuple:
        return optax.ScaleByScheduleState(count=jnp.zeros([], jnp.int32)), inner.init(params)

    def update(updates: Any, state: tuple, params: Any = None) -> tuple:
        counter, old = state
        begun = start <= counter.count
        moved, new = inner.update(updates, old, params)
        keep = lambda x, y: jnp.where(begun, x, y)
        counter = optax.ScaleByScheduleState(optax.safe_increment(counter.count))
        moved = jax.tree.map(lambda x: keep(x, jnp.zeros_like(x)), moved)
        return moved, (counter, jax.tree.map(keep, new, old))

    return optax.GradientTransformation(init, update)


def _grouped(
    parts: list[optax.GradientTransformation], factors: Callable[[Any], Any]
) -> optax.GradientTransformation:
    """The chain for what learns; what is frozen has no optimizer state and is not clipped with."""

    def slow(updates, params):
        return jax.tree.map(lambda u, f: u * f, updates, factors(params))

    def labels(params):
        name = lambda _, f: "frozen" if f == 0 else "learns"
        return jax.tree.map(name, params, factors(params))

    learns = optax.partition({"learns": optax.chain(*parts), "frozen": optax.set_to_zero()}, labels)
    return optax.chain(learns, optax.stateless(slow))
