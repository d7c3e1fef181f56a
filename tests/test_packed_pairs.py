"""Several pairs in a row: each is learned from as if it stood alone."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from launching import run, summary

from jaxdl import keys, models
from jaxdl.data import packed, pairs, tokens
from jaxdl.data.packed_pairs import PackedPairs
from jaxdl.data.source_target import Pairs, Ragged, specials
from jaxdl.errors import UserError
from jaxdl.tasks import learner, sequence_to_sequence
from jaxdl.tasks.shared import reading

SPECIAL = specials(tokens.create(""))
ROOMS = (16, 9)


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(0)
    draw = lambda most: [rng.integers(0, 9, rng.integers(1, most)) for _ in range(9)]
    sides = [Ragged.of(draw(most - 1), SPECIAL, most) for most in (12, 7)]
    return Pairs(*sides, (12, 7), SPECIAL.pad)


def whole(batch, name):
    """The texts of a side, as they stand, by row and number."""
    rows = zip(batch[name], batch[f"{name}_segments"], strict=True)
    return [tuple(row[numbers == i]) for row, numbers in rows for i in range(1, numbers.max() + 1)]


def test_pairs_stay_together_and_none_is_lost(texts):
    found = packed.first_fit([(3, 4), (5, 1), (2, 2), (1, 5)], [(6, 6)])
    # The second takes 5/6 of a row's sources, as the last does of its targets.
    assert found == [((6, 6), [1, 3]), ((6, 6), [0, 2])]
    split = PackedPairs(texts, ROOMS)
    batch = split.take(np.arange(len(split)))
    alone = texts.take(np.arange(len(texts)))
    wanted = [
        tuple(tuple(x[x != SPECIAL.pad]) for x in pair)
        for pair in zip(alone["source"], alone["target"], strict=True)
    ]
    assert sorted(zip(whole(batch, "source"), whole(batch, "target"), strict=True)) == sorted(
        wanted
    )
    for name, room in zip(("source", "target"), ROOMS, strict=True):
        assert batch[name].shape == (len(split), room)
        filled = batch[f"{name}_segments"] == 0
        np.testing.assert_array_equal(filled, batch[name] == SPECIAL.pad)
        assert f"{1 - filled.mean():.0%} of {room} {name} tokens" in split.note
    assert len(split) < len(texts)
    assert split.fingerprint() != PackedPairs(texts, (17, 9)).fingerprint()


def test_each_target_of_a_row_begins_anew():
    target = jnp.array([[5, 6, 1, 7, 1, 0, 0]])
    numbers = jnp.array([[1, 1, 1, 2, 2, 0, 0]])
    start = SPECIAL.start
    found = reading.shifted(target, SPECIAL, numbers)
    np.testing.assert_array_equal(found, [[start, 5, 6, start, 7, start, 0]])


@pytest.mark.parametrize("name, more", [("t5", dict(head_dim=8)), ("bart", dict(context=16))])
def test_loss_and_gradient_are_those_of_pairs_one_to_a_row(texts, name, more):
    sizes = dict(vocab_size=SPECIAL.size, width=16, heads=2, hidden=24)
    module = models.create(name, **sizes, encoder_depth=2, decoder_depth=2, **more)
    ids = jnp.zeros((1, 1), jnp.int32)
    variables = jax.jit(module.init)(keys.root(0), ids, ids)
    split = PackedPairs(texts, ROOMS)

    @jax.jit
    def found(batch):
        def total(params):
            forward = lambda *state, example: sequence_to_sequence.logits(
                learner.forward(module), SPECIAL, *state, example=example
            )
            prepare = lambda batch, key: reading._pairs(SPECIAL, batch, key)
            loss = sequence_to_sequence.training_loss(
                forward, prepare, SPECIAL, 0.1, params, {}, batch, keys.root(0)
            )
            return loss.loss.total, (loss.loss.weight, loss.metrics["accuracy"].total)

        return jax.value_and_grad(total, has_aux=True)(variables["params"])

    (loss, counts), gradient = found(texts.take(np.arange(len(texts))))
    rows = split.take(np.arange(len(split)))
    (packed_loss, packed_counts), packed_gradient = found(rows)
    np.testing.assert_allclose(packed_loss, loss, rtol=1e-6)
    assert packed_counts == counts
    found_leaves, wanted = map(jax.tree.leaves, (packed_gradient, gradient))
    largest = max(np.abs(x).max() for x in wanted)
    for a, b in zip(found_leaves, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6 * largest)
    mixed = {k: np.minimum(x, 1) if k == "source_segments" else x for k, x in rows.items()}
    assert abs(found(mixed)[0][0] - loss) > 1e-3
    with pytest.raises(UserError, match="neither a mask nor a cache"):
        module.apply(variables, ids, ids, ids > 0, segments=(ids, ids))
    cache = module.init_cache(1, 4, 4)
    with pytest.raises(UserError, match="neither a mask nor a cache"):
        module.apply(variables, ids, ids, cache=cache, segments=(ids, ids), method="decode")


def test_a_sound_has_no_segments():
    module = models.create("whisper", width=16, heads=2, encoder_depth=1, decoder_depth=1)
    sound, ids = jnp.zeros((1, 3000, 80)), jnp.zeros((1, 1), jnp.int32)
    with pytest.raises(UserError, match="this source is none"):
        jax.eval_shape(lambda: module.init(keys.root(0), sound, ids, segments=(ids, ids)))


CONFIG = """\
from jaxdl import config as settings


def get_config():
    config = settings.default()
    config.data.name, config.data.path, config.data.packed = "pairs", {path!r}, True
    config.data.source_length, config.data.target_length = 24, 12
    config.task.name = "sequence_to_sequence"
    config.model = dict(name="t5", width=16, heads=2, head_dim=8, hidden=16,
                        encoder_depth=1, decoder_depth=1)
    config.optimizer.learning_rate = 1e-2
    config.eval.batch_size = 8
    return config
"""


def test_a_run_learns_from_rows_and_is_measured_on_pairs(tmp_path, capsys):
    rows = [dict(source="ab"[i % 2] * (1 + i % 4), target="yes!"[: 2 + i % 3]) for i in range(62)]
    table, config = tmp_path / "table.jsonl", tmp_path / "own.py"
    table.write_text("\n".join(map(json.dumps, rows)))
    config.write_text(CONFIG.format(path=str(table)))
    flags = ("--config.steps=60", "--config.batch_size=4", "--config.eval.every=60")
    assert run(str(config), tmp_path / "run", *flags) == 0
    assert " of 24 source tokens and " in capsys.readouterr().err
    final = summary(tmp_path / "run")["final"]
    assert final["accuracy"] > 0.6
    test = pairs.pairs(str(table), source_length=24, target_length=12, packed=True).test
    assert "source_segments" not in test.take(np.arange(2))
    assert run(str(config), tmp_path / "lengths", *flags, "--config.data.lengths=2") == 2
    assert "data.lengths=2 must be 1 with data.packed=True" in capsys.readouterr().err
