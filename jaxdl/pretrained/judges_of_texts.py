"""What answers are judged by: a reward model that a run has learned, or the data's own rewards."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from jaxdl import keys, paths, precision
from jaxdl.data.source_target import Specials, specials
from jaxdl.data.tokens import Tokenizer
from jaxdl.errors import UserError
from jaxdl.generate import Settings, decoding, entries
from jaxdl.pretrained import encoders
from jaxdl.pretrained.architecture import by_name, name_of
from jaxdl.pretrained.transfer import stamp
from jaxdl.runs import workdir


class Judge(NamedTuple):
    """What gives rewards, and does not change.

    Attributes:
      score: (variables, text (n, T) int32, mask (n, T)) -> rewards (n,) float32; free to jit.
      variables: () -> its weights, {} of none; free to jit, where they are no constants.
    """

    score: Callable[[Any, jax.Array, jax.Array], jax.Array]
    variables: Callable[[], Any]


def create(run: Any, source: str, judged: Callable, prompt: int, tokens: int) -> Judge:
    """The judge of a run's answers, a language model or an encoder-decoder.

    Args:
      run: its config and data.
      source: the folder of a run of task "reward_model"; "" for the data's own rewards.
      judged: (module, an encoder-decoder's `Specials` or None, variables, text (n, T), mask (n, T))
        -> rewards (n,) of texts by a module that gives scores.
      prompt: tokens that prompts have at most.
      tokens: those of answers.

    Raises:
      UserError: data without rewards, no such folder, or one of another task, of other tokens, or
        of shorter texts.
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
        apart = decoding.reads_source(found.module)
        head = "score/kernel" if apart else "head/kernel"
        if f"params/{head}" not in found.arrays and head not in found.arrays:
            raise UserError(f"config.task.reward={source!r} is no run of task 'reward_model'")
        module = found.module.clone(dtype=precision.compute_dtype(run.config.precision))
        inputs = [jax.ShapeDtypeStruct((1, 1), jnp.int32)] * (2 if apart else 1)
        shapes = jax.eval_shape(module.init, keys.abstract(), *inputs)
    special = _specials(folder, data.tokenizer) if apart else None
    size = special.size if apart else data.train.vocabulary
    if module.vocab_size < size if apart else module.vocab_size != size:
        raise UserError(
            f"config.task.reward={source!r} knows {module.vocab_size} tokens, and the data have "
            f"{size}: it takes the tokenizer that it learned with"
        )
    longest = max(prompt, tokens) + special.around if apart else prompt + tokens
    room = getattr(module, "context", longest)
    if room < longest:
        raise UserError(
            f"config.task.reward={source!r} has positions for {room} tokens, and prompts "
            f"with their answers have up to {longest}: lower config.task.tokens by "
            f"{longest - room}, or learn rewards with config.data.context={longest}"
        )
    leaves = by_name(shapes)
    arrays = lambda: {k: np.asarray(found.arrays[k], x.dtype) for k, x in leaves.items()}

    def variables() -> Any:
        given = jax.pure_callback(arrays, leaves)
        return jax.tree.map_with_path(lambda path, _: given[name_of(path)], shapes)

    return Judge(functools.partial(judged, module, special), variables)


def _specials(folder: epath.Path, tokenizer: Tokenizer) -> Specials:
    """The special tokens of an encoder-decoder's run, which begins texts as its weights said."""
    found, said = specials(tokenizer), workdir.stored(folder).get("pretrained.generation", ())
    if not said:
        return found
    settings = Settings.of(entries.parsed(said, "config.pretrained.generation"))
    return found._replace(start=int(settings.start(1)[0, 0]))
