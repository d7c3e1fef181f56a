"""Batches of several lengths: which lengths, which examples, and that they change no figure."""

import itertools

import jax
import jax.numpy as jnp
import launching
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from launching import built
from test_rows import written

from jaxdl import config, data
from jaxdl.data import Arrays, facts, length_groups, member_batches, padded_batches
from jaxdl.data.label_noise import Relabelled
from jaxdl.data.length_groups import Order
from jaxdl.data.split import IS_REAL, step_groups, training_batches
from jaxdl.errors import UserError
from jaxdl.tasks import over_split
from jaxdl.train import dispatch
from jaxdl.train.evaluate import Evaluator

# Lengths


def _padded(sizes, lengths):
    """The tokens of all examples with their padding, each as short as the lengths allow."""
    fits = (sizes[None] <= np.asarray(lengths)[:, :, None]).all(axis=1)
    assert fits[-1].all()
    return np.asarray(lengths).sum(axis=1)[fits.argmax(axis=0)].sum()


@pytest.mark.parametrize("most", [1, 2, 3, 4, 9])
def test_lengths_leave_the_least_padding_that_so_many_can(most):
    sizes = np.random.default_rng(most).geometric(0.2, (1, 60))
    found = length_groups.best(sizes, most)
    distinct = np.unique(sizes)
    count = min(most, len(distinct))
    cuts = itertools.combinations(distinct[:-1], count - 1)
    least = min(_padded(sizes, [[n] for n in (*cut, distinct[-1])]) for cut in cuts)
    assert found.shape == (count, 1)
    assert (np.diff(found[:, 0]) > 0).all()
    assert _padded(sizes, found) == least


def test_lengths_of_pairs_grow_on_both_sides_and_save_padding():
    rng = np.random.default_rng(0)
    source = rng.integers(1, 40, 200)
    sizes = np.stack([source, np.maximum(1, source // 2 + rng.integers(-5, 6, 200))])
    totals = []
    for most in (1, 2, 4):
        found = length_groups.best(sizes, most)
        assert len(found) == most
        assert (np.diff(found, axis=0) >= 0).all()
        np.testing.assert_array_equal(found[-1], sizes.max(axis=1))
        totals.append(_padded(sizes, found))
    assert totals[0] > totals[1] > totals[2] >= sizes.sum()


def test_of_texts_of_thousands_of_lengths_the_lengths_are_nearly_the_best():
    sizes = np.arange(1, 5001)[None]
    found = length_groups.best(sizes, 2)
    assert found[-1, 0] == 5000
    assert found[0, 0] == pytest.approx(2500, abs=10)


def test_a_longer_pair_that_needs_no_longer_batch_makes_no_group():
    found = length_groups.best(np.array([[9, 1, 5], [1, 9, 6]]), 3)
    np.testing.assert_array_equal(found, [[9, 9]])


# Batches


class _Texts(Arrays):
    """Rows of ones, as many as a text has tokens, and its number."""

    def __init__(self, sizes):
        tokens = (np.arange(max(sizes)) < np.asarray(sizes)[:, None]).astype(np.int32)
        super().__init__({"tokens": tokens, "index": np.arange(len(sizes))})
        self.sizes = {"tokens": np.asarray(sizes)}


def _texts(sizes, most=3):
    split = _Texts(sizes)
    length_groups.divide({"train": split}, most)
    return split


SIZES = st.lists(st.integers(1, 30), min_size=2, max_size=60)


@given(sizes=SIZES, batch_size=st.integers(1, 20), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_every_epoch_has_each_text_once_and_whole(sizes, batch_size, seed):
    split = _texts(sizes)
    batches, size = training_batches(split, batch_size, seed), len(sizes)
    found = [batches(step) for step in range(-(-3 * size // batch_size))]
    stream = np.concatenate([batch["index"] for batch in found])
    for epoch in range(3):
        seen = stream[epoch * size : (epoch + 1) * size]
        np.testing.assert_array_equal(np.sort(seen), np.arange(size))
    lengths = {own["tokens"] for own in split.length_groups.lengths}
    group = step_groups(split, batch_size)
    for step, batch in enumerate(found):
        own = np.asarray(sizes)[batch["index"]]
        np.testing.assert_array_equal(batch["tokens"].sum(axis=1), own)
        # No longer than the longest text asks for.
        wanted = min(length for length in lengths if length >= own.max())
        assert batch["tokens"].shape[1] == wanted
        assert split.length_groups.lengths[group(step)]["tokens"] == wanted
    # A function of the step alone, whatever was asked before.
    again = training_batches(split, batch_size, seed)
    for step in reversed(range(len(found))):
        rows = slice(batch_size // 2, None)
        np.testing.assert_array_equal(again(step, rows)["tokens"], found[step]["tokens"][rows])


MANY = [*range(3, 43)] * 5  # 200 texts


def test_but_for_the_seams_batches_are_of_one_group():
    split = _texts(MANY)
    batches, of = training_batches(split, 8, 0), split.length_groups.of
    mixed = sum(len({*of[batches(step)["index"]]}) > 1 for step in range(25))
    assert mixed <= 2  # where one group ends and the next begins; 25 batches are one epoch
    mixed = sum(len({*of[batches(step)["index"]]}) > 1 for step in range(25, 250))
    assert mixed <= 18
    short = Order(split.length_groups, 7)
    seams = [step for step in range(200) if step * 7 // 200 != ((step + 1) * 7 - 1) // 200]
    assert all(short.group(step) == 2 for step in seams[:3])


def test_orders_are_drawn_anew_and_shapes_are_the_same_for_all_seeds():
    split = _texts(MANY)
    streams = [training_batches(split, 8, seed) for seed in (0, 1)]
    shapes = [[s(step)["tokens"].shape for step in range(75)] for s in streams]
    assert shapes[0] == shapes[1]
    epochs = [tuple(shapes[0][i : i + 25]) for i in (0, 25, 50)]
    assert len({*epochs}) == 3
    texts = [np.concatenate([s(step)["index"] for step in range(25)]) for s in streams]
    assert not np.array_equal(*texts)
    # So members stand side by side, each with the batch that it would have alone.
    both = member_batches(split, 8, (0, 1))(5)
    for stream, own in zip(streams, both["tokens"], strict=True):
        np.testing.assert_array_equal(own, stream(5)["tokens"])


@given(sizes=SIZES, batch_size=st.integers(1, 4), devices=st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_evaluation_has_each_text_once_in_one_shape_a_group(sizes, batch_size, devices):
    split = _texts(sizes)
    batches = padded_batches(split, batch_size * devices, devices)
    seen, shapes = [], {}
    for load in batches:
        batch = load()
        real = batch[IS_REAL] == 1
        seen += batch["index"][real].tolist()
        np.testing.assert_array_equal(load.indices, batch["index"][real])
        own = np.asarray(sizes)[batch["index"]]
        np.testing.assert_array_equal(batch["tokens"].sum(axis=1), own)
        assert len(batch["tokens"]) == load.size <= batch_size * devices
        assert load.size % devices == 0
        assert shapes.setdefault(load.group, batch["tokens"].shape) == batch["tokens"].shape
    assert sorted(seen) == [*range(len(sizes))]
    assert len(shapes) <= 3


def test_what_is_found_of_every_text_comes_back_in_order():
    sizes = [5, 21, 9, 3, 30, 4, 20, 30, 11]
    each = lambda state, batch, key: {"n": batch["tokens"].sum(axis=1), "i": batch["index"]}
    found = over_split(each, _texts(sizes), 2, jnp.zeros(()))
    np.testing.assert_array_equal(found["n"], sizes)
    np.testing.assert_array_equal(found["i"], np.arange(len(sizes)))


def test_the_note_is_what_batches_have():
    split, plain = _texts(MANY), _texts(MANY, 1)
    through = [training_batches(split, 8, 3)(step)["tokens"] for step in range(25)]
    share = 1 - sum(x.sum() for x in through) / sum(x.size for x in through)
    lengths = ", ".join(str(own["tokens"]) for own in split.length_groups.lengths)
    whole = 1 - np.mean(MANY) / 42
    wanted = f"3 lengths ({lengths}): {share:.0%} padding in place of {whole:.0%}"
    assert length_groups.note(split, 8) == wanted
    assert length_groups.note(plain, 8) == f"1 length (42): {whole:.0%} padding"
    assert length_groups.note(Arrays({"x": np.zeros(3)}), 2) == ""


# Data sets


def _load(**changed):
    return data.load({**config.default().data.to_dict(), **changed})


def _tables(folder):
    words = [" ".join(["ab"] * (1 + i % 12)) for i in range(60)]
    labels = ["x", "y"] * 30
    table = {
        "name": "labelled_texts",
        "context": 30,
        "path": written(folder / "t.csv", words, labels),
    }
    columns = "\n\n".join("\n".join(f"{w} B-X" for w in text.split()) for text in words)
    (folder / "t.txt").write_text(columns + "\n")
    pairs = [f'{{"source": "{text}", "target": "{text[::3]}"}}' for text in words]
    (folder / "p.jsonl").write_text("\n".join(pairs))
    return {
        "labelled_texts": table,
        "conll": {"name": "conll", "context": 32, "path": folder / "t.txt"},
        "pairs": {"name": "pairs", "path": folder / "p.jsonl"},
        "signatures": {"name": "signatures", "context": 160},
        "source_names": {"name": "source_names", "context": 96},
    }


@pytest.mark.parametrize("name", ["labelled_texts", "conll", "pairs"])
def test_data_sets_have_lengths_and_are_the_same_data(tmp_path, name):
    given = {k: str(v) if k == "path" else v for k, v in _tables(tmp_path)[name].items()}
    plain, grouped = _load(**given), _load(**given, lengths=3)
    assert facts.of(plain) == facts.of(grouped)
    assert length_groups.of(plain.train) is None
    for part in (grouped.train, grouped.test):
        groups = part.length_groups
        assert len(groups.lengths) == 3
        for group in range(3):
            own = np.flatnonzero(groups.of == group)[:4]
            if part is grouped.test and not len(own):
                continue
            whole = part.take(own)
            cut = groups.cut(whole, group)
            # Nothing but padding is cut off.
            for array, sizes in part.sizes.items():
                assert cut[array].shape[1] == groups.lengths[group][array] >= sizes[own].max()
                rest = whole[array][:, cut[array].shape[1] :]
                assert len(np.unique(rest)) <= 1
    assert grouped.test.length_groups.lengths == grouped.train.length_groups.lengths


def test_some_of_the_texts_with_other_labels_are_cut_as_before(tmp_path):
    given = {k: str(v) for k, v in _tables(tmp_path)["labelled_texts"].items() if k != "context"}
    whole = _load(**given, context=30, lengths=3).train
    some = np.array([5, 2, 11])
    found = Relabelled(whole, 1 - whole.labels).subset(some)
    assert found.context == 30
    assert [e.texts for e in found.examples] == [whole.examples[i].texts for i in some]
    np.testing.assert_array_equal(found.length_groups.of, whole.length_groups.of[some])
    np.testing.assert_array_equal(found.sizes["tokens"], whole.sizes["tokens"][some])
    batch = training_batches(found, 3, 0)(0)
    order = [found.take(np.arange(3))["tokens"].tolist().index(row) for row in _filled(batch, 30)]
    np.testing.assert_array_equal(batch["label"], 1 - whole.labels[some][order])


def _filled(batch, length):
    tokens = batch["tokens"]
    return np.pad(tokens, ((0, 0), (0, length - tokens.shape[1])), constant_values=256).tolist()


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"data.lengths": 0}, "data.lengths=0 must be at least 1"),
        ({"steps_per_call": 4}, "config.steps_per_call=4 needs batches of one length"),
        ({"task.name": "masked_language_modelling"}, "takes batches of one length alone; set 1"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, changed, message):
    flags = {"data.lengths": 2, **_flags(tmp_path), **changed}
    with pytest.raises(UserError, match=message) as caught:
        launching.made("bert:classify", *_as_flags(flags))
    assert "\n" not in str(caught.value)


def test_a_data_set_without_lengths_refuses_them_by_name():
    with pytest.raises(UserError, match="data set 'topics' has no 'lengths'"):
        _load(name="topics", lengths=2)


# Runs


def _flags(folder):
    given = _tables(folder)["labelled_texts"]
    return {f"data.{key}": value for key, value in given.items()}


def _as_flags(flags):
    return [f"--config.{key}={value}" for key, value in flags.items()]


def _run(folder, lengths, **changed):
    flags = {**_flags(folder), "data.lengths": lengths, "data.test_fraction": 0.2, **changed}
    return built("bert:classify", "--config.eval.batch_size=5", *_as_flags(flags))


def test_figures_are_the_same_in_any_lengths(tmp_path):
    made = [_run(tmp_path, lengths, batch_size=4) for lengths in (1, 3)]
    state = made[0].init_state()
    whole, cut = (Evaluator(one)(state) for one in made)
    assert whole == pytest.approx(cut, rel=1e-5)
    assert len(made[1].run.data.train.length_groups.lengths) == 3
    # Every shape of the first epoch is compiled at the start, the longest first.
    steps = dispatch.shapes(made[1], 0, 12)
    assert [made[1].group(step) for step in steps] == [2, 1, 0]
    assert made[1].batch(steps[2])["tokens"].shape[1] < made[1].abstract_batch["tokens"].shape[1]
    assert dispatch.shapes(made[0], 0, 12) == [0]


@pytest.mark.parametrize("name", ["bert:tag", "bert:answer", "t5:numbers"])
def test_figures_of_words_spans_and_targets_are_the_same_in_any_lengths(tmp_path, name):
    flags = {"eval.batch_size": 64, "data.test_fraction": 0.1}
    if name == "t5:numbers":
        flags |= {"data.name": "pairs", "data.path": _tables(tmp_path)["pairs"]["path"]}
    made = [built(name, *_as_flags({**flags, "data.lengths": n})) for n in (1, 3)]
    assert len(made[1].run.data.test.length_groups.lengths) > 1
    state = made[0].init_state()
    whole, cut = (Evaluator(one)(state) for one in made)
    assert whole == pytest.approx(cut, rel=1e-5)


def test_eight_devices_learn_and_evaluate_as_one_does(tmp_path):
    # Of Adam the first update of a gradient that is nought but for rounding is as large as any.
    sgd = {"optimizer.name": "sgd", "optimizer.warmup": 0}
    found = []
    for count in (1, 8):
        made = _run(
            tmp_path, 3, **{"parallel.data": count, "batch_size": 8, "model.dropout": 0, **sgd}
        )
        state, step, tables = made.init_state(), jax.jit(made.task.train_step), []
        for i in dispatch.shapes(made, 0, 6):
            batch = made.layout.put(made.batch(i), made.rows)
            with jax.set_mesh(made.layout.mesh):
                after, _ = step(state, batch, made.key)
            tables.append([np.asarray(x) for x in jax.tree.leaves(after.params)])
        found.append((Evaluator(made)(state), tables))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert len(found[0][1]) > 1
    for one, eight in zip(*(jax.tree.leaves(tables) for _, tables in found), strict=True):
        np.testing.assert_allclose(one, eight, atol=1e-6)


def test_a_run_resumes_to_the_bit_and_says_its_padding(tmp_path, capsys):
    flags = {"data.lengths": 3, "data.test_fraction": 0.2, "batch_size": 8, **_flags(tmp_path)}
    flags |= {"eval.every": 6, "log.every": 3}
    launching.assert_resumes_to_the_bit(
        "bert:classify",
        tmp_path,
        *launching.tiny.FLAGS["bert:classify"],
        *_as_flags(flags),
        at=6,
        same_calls=True,
    )
    assert "padding in place of" in capsys.readouterr().err
    assert launching.summary(tmp_path / "whole")["steps_per_call"] == 1


def test_members_of_a_population_are_the_runs_of_their_seeds(tmp_path):
    flags = {"population": 2, "batch_size": 8, "model.dropout": 0}
    made, alone = _run(tmp_path, 3, **flags), _run(tmp_path, 3, batch_size=8)
    for step in (0, 3):
        both, one = made.batch(step), alone.batch(step)
        for name, array in both.items():
            np.testing.assert_array_equal(array[0], one[name])
    assert made.group(3) == alone.group(3)
