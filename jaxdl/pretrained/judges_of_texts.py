"""What answers are judged by: a reward model that a run has learned, or the data's own rewards."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from jaxdl import keys, paths, precision
from jaxdl.errors import UserError
from jaxdl.generate import decoding
from jaxdl.pretrained import encoders
from jaxdl.pretrained.architecture import by_name, name_of
from jaxdl.pretrained.transfer import stamp


class Judge(NamedTuple):
    """What gives rewards, and does not change.

    Attributes:
      score: (variables, text (n, T) int32, mask (n, T)) -> rewards (n,) float32; free to jit.
      variables: () -> its weights, {} of none; free to jit, where they are no constants.
    """

    score: Callable[[Any, jax.Array, jax.Array], jax.Array]
    variables: Callable[[], Any]


def create(
    run: Any, source: str, last: Callable[[jax.Array, jax.Array], jax.Array], longest: int
) -> Judge:
    """The judge of a run's answers.

    Args:
      run: its config and data.
      source: the folder of a run of task "reward_model"; "" for the data's own rewards.
      last: (scores (n, T), mask (n, T)) -> (n,), which of them is the text's.
      longest: tokens that texts have.

    Raises:
      UserError: data without rewards, no such folder, or one of another task, of other tokens, of
        shorter texts, or of an encoder-decoder.
    """
    data, name = run.data, run.config.data.name
    if not source:
        if not hasattr(data.train, "reward"):
            raise UserError(
                f"data set {name!r} has no rewards: set config.task.reward to the folder of a run "
                "that has learned them (task 'reward_model')"
            )
        return Judge(lambda variables, text, mask: data.train.reward(text), dict)
    folder = epath.Path(paths.expanded(source))
    if not (folder / "checkpoints").is_dir():
        raise UserError(f"config.task.reward={source!r} is no folder of a run")
    with jax.ensure_compile_time_eval():  # a population's task is made while it is traced
        found = encoders.of_run(
            str(folder), "", (), (("output", "score"),), "reward_model", tuple(data.class_names),
            data.tokenizer.fingerprint, (), stamp(folder),
        )  # fmt: skip
        if decoding.reads_source(found.module):
            raise UserError(
                f"config.task.reward={source!r} is a run of an encoder-decoder: what language "
                "models answer is judged by one of them"
            )
        if "params/head/kernel" not in found.arrays and "head/kernel" not in found.arrays:
            raise UserError(f"config.task.reward={source!r} is no run of task 'reward_model'")
        module = found.module.clone(dtype=precision.compute_dtype(run.config.precision))
        tokens = jax.ShapeDtypeStruct((1, 1), jnp.int32)
        shapes = jax.eval_shape(module.init, keys.abstract(), tokens)
    if module.vocab_size != data.train.vocabulary:
        raise UserError(
            f"config.task.reward={source!r} knows {module.vocab_size} tokens, and the data have "
            f"{data.train.vocabulary}: it takes the tokenizer that it learned with"
        )
    if module.context < longest:
        raise UserError(
            f"config.task.reward={source!r} has positions for {module.context} tokens, and prompts "
            f"with their answers have up to {longest}: lower config.task.tokens by "
            f"{longest - module.context}, or learn rewards with config.data.context={longest}"
        )
    leaves = by_name(shapes)
    arrays = lambda: {k: np.asarray(found.arrays[k], x.dtype) for k, x in leaves.items()}

    def variables() -> Any:
        given = jax.pure_callback(arrays, leaves)
        return jax.tree.map_with_path(lambda path, _: given[name_of(path)], shapes)

    score = functools.partial(_score, module, last)
    return Judge(score, variables)


def _score(module: Any, last: Any, variables: Any, text: jax.Array, mask: jax.Array) -> jax.Array:
    return last(module.apply(variables, text, mask), mask)
