"""Several texts in a row: each learns, and is measured, as if it stood alone."""

import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from launching import run, summary

from jaxdl import keys, layers, models
from jaxdl.data import packed
from jaxdl.data.answered import Answered, Vocabulary
from jaxdl.data.preferences import Completions
from jaxdl.errors import UserError
from jaxdl.tasks import language_modelling, learner


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(0)
    draw = lambda most: [rng.integers(0, 7, rng.integers(1, most + 1)) for _ in range(9)]
    return Answered.of(draw(5), draw(9), 12)


def test_rows_are_filled_longest_first_and_no_text_is_lost(texts):
    found = packed.first_fit([3, 9, 2, 8, 4, 1], [10])
    assert found == [(10, [1, 5]), (10, [3, 2]), (10, [4, 0])]
    assert packed.first_fit([4, 4, 4], [4]) == [(4, [0]), (4, [1]), (4, [2])]
    # A long one opens two rows, and what is short fills both before a row of its own length.
    found = packed.first_fit([3, 9, 4, 1, 5, 2], [5, 10], together=lambda room: room // 5)
    assert found == [(10, [1, 3]), (10, [4, 2]), (5, [0, 5])]
    assert packed.first_fit([9], [5, 10], together=lambda room: 2) == [(10, [0]), (10, [])]
    assert packed.first_fit([], [5]) == []
    split = packed.Packed(texts, (5, 12), Vocabulary(8, 7), 30)
    batch = split.take(np.arange(len(split)))
    kept = (batch["segments"] > 0).sum()
    assert kept == len(texts.text.tokens)
    assert split.full == kept / batch["tokens"].size
    assert len(split) < len(texts.front)
    found = [
        tuple(row[numbers == i])
        for row, numbers in zip(batch["tokens"], batch["segments"], strict=True)
        for i in range(1, numbers.max() + 1)
    ]
    starts = texts.text.starts
    whole = [tuple(texts.text.tokens[a:b]) for a, b in itertools.pairwise(starts)]
    assert sorted(found) == sorted(whole)
    learned = batch["tokens"][:, 1:][batch["weight"] > 0]
    np.testing.assert_array_equal(learned, split.tokens)
    assert len(learned) == len(texts.text.tokens) - texts.front.sum()
    assert split.bytes_per_token == 30 / len(learned)


def test_positions_begin_anew_with_each_text():
    numbers = jnp.array([[1, 1, 1, 2, 3, 3, 0, 0], [1, 2, 2, 2, 2, 2, 2, 2]])
    wanted = [[0, 1, 2, 0, 0, 1, 0, 1], [0, 0, 1, 2, 3, 4, 5, 6]]
    np.testing.assert_array_equal(layers.segment_positions(numbers), wanted)


def test_loss_and_gradient_are_those_of_texts_one_to_a_row(texts):
    module = models.create("gpt", vocab_size=8, context=12, width=16, depth=2, heads=2)
    variables = jax.jit(module.init)(keys.root(0), jnp.zeros((1, 1), jnp.int32))
    vocabulary = Vocabulary(8, 7)
    alone = Completions(texts, (5, 12, 12), vocabulary, 1)
    together = packed.Packed(texts, (5, 12), vocabulary, 1)

    @jax.jit
    def found(batch):
        def total(params):
            loss = language_modelling.training_loss(
                learner.forward(module), params, {}, batch, keys.root(0)
            )
            return loss.loss.total, (loss.loss.weight, loss.metrics["accuracy"].total)

        return jax.value_and_grad(total, has_aux=True)(variables["params"])

    (loss, counts), gradient = found(alone.take(np.arange(len(alone))))
    (packed_loss, packed_counts), packed_gradient = found(together.take(np.arange(len(together))))
    np.testing.assert_allclose(packed_loss, loss, rtol=1e-6)
    assert packed_counts == counts
    found_leaves, wanted = map(jax.tree.leaves, (packed_gradient, gradient))
    largest = max(np.abs(x).max() for x in wanted)  # a key's bias has a gradient of 0
    for a, b in zip(found_leaves, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6 * largest)
    batch = dict(together.take(np.arange(len(together))))
    batch["segments"] = (batch["segments"] > 0).astype(np.int32)  # where they see one another
    assert abs(found(batch)[0][0] - loss) > 1e-3
    with pytest.raises(UserError, match="neither a mask nor a cache"):
        module.apply(variables, batch["tokens"], batch["tokens"] > 0, segments=batch["tokens"])


CONFIG = """\
from jaxdl import config as settings


def get_config(packed="yes"):
    config = settings.default()
    config.data.name, config.data.path = "completions", {path!r}
    config.data.context, config.data.packed = 24, packed != "no"
    config.task.name = "language_modelling"
    config.task.prompt = "a"
    config.model = dict(name="gpt", width=16, depth=1, heads=2)
    if packed == "recurrent":
        config.model = dict(name="lstm_lm", width=8, hidden=8)
    config.optimizer.learning_rate = 1e-2
    config.eval.batch_size = 8
    return config
"""


def test_a_run_of_rows_is_measured_as_one_of_texts(tmp_path, capsys):
    rows = [dict(prompt="ab"[i % 2], completion="yes!"[: 2 + i % 3]) for i in range(62)]
    table, config = tmp_path / "table.jsonl", tmp_path / "own.py"
    table.write_text("\n".join(map(json.dumps, rows)))
    config.write_text(CONFIG.format(path=str(table)))
    flags = ("--config.steps=3", "--config.batch_size=4", "--config.eval.every=3")
    assert run(f"{config}:yes", tmp_path / "packed", *flags) == 0
    assert "rows of 24 tokens to learn from, " in capsys.readouterr().err
    # What the one has learned the other measures alike, a token once.
    more = (f"--config.pretrained.source={tmp_path / 'packed'}", "--config.steps=1")
    zero = "--config.optimizer.learning_rate=1e-12"
    final = {}
    for kind in ("yes", "no"):
        assert run(f"{config}:{kind}", tmp_path / kind, *flags, *more, zero) == 0
        final[kind] = summary(tmp_path / kind)["final"]
    for name in ("loss", "accuracy", "nats_per_byte"):
        assert final["yes"][name] == pytest.approx(final["no"][name], rel=1e-5)
    assert run(f"{config}:recurrent", tmp_path / "recurrent", *flags) == 2
    assert "needs a model that keeps the texts of a row apart" in capsys.readouterr().err
