"""One text from another: figures, what is written, reports, of any encoder-decoder."""

import json

import jax
import jax.numpy as jnp
import numeric
import numpy as np
import pytest
import tiny
from flax import linen as nn
from launching import run

from jaxdl import config, experiment, keys, models
from jaxdl.data import source_target, tokens
from jaxdl.data.absent import Absent
from jaxdl.errors import UserError
from jaxdl.metrics import texts
from jaxdl.tasks.shared import writing
from jaxdl.train.evaluate import Evaluator

KEY, BYTES = keys.root(0), tokens.Bytes()
PAD, END = 256, 257


class Echo(nn.Module):
    """The simplest model that writes: by the token before, and by which tokens the source has."""

    is_language_model = False
    vocab_size: int = 258
    dtype: str = "float32"

    def setup(self):
        normal = nn.initializers.normal(1.0)
        self.before = self.param("before", normal, (self.vocab_size,) * 2)
        self.read = self.param("read", normal, (self.vocab_size,) * 2)

    def __call__(self, source, target, source_mask=None, target_mask=None, *, train=False):
        return self.decode(target, self.encode(source, source_mask))

    def encode(self, source, mask=None):
        mask = jnp.ones(source.shape, bool) if mask is None else mask
        return (self.read[source] * mask[..., None]).sum(axis=1, keepdims=True)

    def decode(self, target, encoded=None, source_mask=None, target_mask=None, cache=None):
        encoded = cache if encoded is None else encoded
        logits = self.before[target] + encoded
        return logits if cache is None else (logits, encoded)

    def init_cache(self, batch, length, source_length):
        return jnp.zeros((batch, 1, self.vocab_size))


@pytest.fixture(autouse=True)
def echo(monkeypatch):
    models.names()
    monkeypatch.setitem(models._registry._entries, "echo", Echo)


ROWS = [("ab", "cdefg"), ("a", "c"), ("abcd", "da"), ("e", "fghi"), ("bcd", "e"), ("cc", "abc")]


@pytest.fixture
def table(tmp_path):
    file = tmp_path / "a.jsonl"
    rows = [dict(source=s, target=t) for s, t in ROWS]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return str(file)


def small(path, **changed):
    """(experiment, state at its start) of the echo on a few pairs, half of them held out."""
    made = config.default()
    made.steps, made.batch_size, made.parallel.data = 4, 2, 1
    made.model = dict(name="echo")
    made.task = dict(name="sequence_to_sequence")
    made.data.update(name="pairs", path=path, test_fraction=0.5)
    made.eval.best = "exact_match"
    with made.ignore_type():
        made.update_from_flattened_dict(changed)
    built = experiment.create(made)
    return built, built.init_state()


def ended(text):
    return [*text.encode(), END]


def held_out(built):
    special = source_target.specials(BYTES)
    batch = built.run.data.test.take(np.arange(len(built.run.data.test)))
    sides = ([special.decode(BYTES, x) for x in batch[n]] for n in ("source", "target"))
    return [*zip(*sides, strict=True)]


def logits(state, source, target):
    """(T, vocabulary) float64 of what follows the start token and all but the target's last."""
    before, read = (np.asarray(state.params[n], np.float64) for n in ("before", "read"))
    return before[[PAD, *target[:-1]]] + read[ended(source)].sum(axis=0)


def greedy(state, source, most):
    made = []
    while len(made) < most and (not made or made[-1] != END):
        made.append(int(logits(state, source, [*made, 0])[-1].argmax()))
    return made


@pytest.mark.parametrize("changed", [{}, {"eval.batch_size": 2}], ids=str)
def test_evaluation_is_the_mean_over_every_token_of_every_target(changed, table):
    built, state = small(table, **changed)
    nats, hits = [], []
    for source, target in held_out(built):
        wanted = ended(target)
        log_p = np.log(numeric.softmax(logits(state, source, wanted)))
        nats += (-log_p[np.arange(len(wanted)), wanted]).tolist()
        hits += (log_p.argmax(axis=1) == wanted).tolist()
    found = Evaluator(built)(state)
    assert found["loss"] == pytest.approx(np.mean(nats), rel=1e-5)
    assert found["accuracy"] == pytest.approx(np.mean(hits))
    assert found["exact_match"] == 0


def test_what_is_written_counts_where_it_is_the_target(table):
    built, state = small(table, **{"task.scores": (), "task.tokens": 6})
    (source, target), *_ = held_out(built)
    # Parameters that write this one right, and end there.
    before = np.zeros((258, 258), np.float32)
    for a, b in zip([PAD, *ended(target)], ended(target), strict=False):
        before[a, b] = 100
    params = {"before": jnp.array(before), "read": 0.01 * state.params["read"]}
    state = state._replace(params=params)
    assert greedy(state, source, 6) == ended(target)
    found = built.task.score(state, built.run.data.test, KEY)
    right = [greedy(state, s, 6) == ended(t) for s, t in held_out(built)]
    assert found == {"exact_match": pytest.approx(np.mean(right))}
    assert any(right)
    # And a sample says the same, as long as it is told to.
    text = built.task.sample(state, KEY)["samples"]
    assert f"[source] {source}\n[written] {target}" in text
    shown = built.task.artifacts(state, built.run.data.test, KEY)["Written"]
    assert f"[source] {source}\n[target, and written] {target}" in shown


def test_first_update_has_every_token_once_however_the_batch_is_cut(table):
    how = {"optimizer.name": "sgd", "optimizer.schedule": "constant", "log.layers": False}
    states = []
    for accumulate in (1, 2):
        built, state = small(table, **how, accumulate=accumulate)
        after, found = jax.jit(built.task.train_step)(state, built.batch(0), KEY)
        states.append(after.params)
        # Uneven targets: what counts is tokens, end tokens among them, not texts.
        assert float(found["loss"].weight) == (built.batch(0)["target"] != PAD).sum()
    for a, b in zip(*map(jax.tree.leaves, states), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_smoothing_is_of_training_alone(table):
    (plain, state), (smooth, _) = small(table), small(table, **{"task.label_smoothing": 0.3})
    assert Evaluator(plain)(state, scored=False) == Evaluator(smooth)(state, scored=False)
    batch = plain.batch(0)
    losses = [jax.jit(x.task.train_step)(state, batch, KEY)[1]["loss"] for x in (plain, smooth)]
    assert losses[0].total != losses[1].total


def test_two_devices_learn_measure_and_write_as_one_does(table):
    one, two = (small(table, **{"parallel.data": n, "log.layers": False}) for n in (1, 2))
    found = []
    for built, state in (one, two):
        batch = built.layout.put(built.batch(0), 2)
        with jax.set_mesh(built.layout.mesh):
            state, metrics = jax.jit(built.task.train_step)(state, batch, KEY)
        told = built.task.sample(state, KEY)
        found.append((Evaluator(built)(state), told, float(metrics["loss"].total)))
    assert found[0][1] == found[1][1]
    assert found[0][0] == {k: pytest.approx(v, rel=1e-5) for k, v in found[1][0].items()}
    assert found[0][2] == pytest.approx(found[1][2], rel=1e-5)


def test_members_are_measured_each_for_itself(table):
    built, state = small(table, population=2)
    found = Evaluator(built)(state)
    alone, own = small(table)
    assert [len(found[name]) for name in ("loss", "exact_match")] == [2, 2]
    assert found["loss"][0] == pytest.approx(Evaluator(alone)(own)["loss"], rel=1e-5)
    assert found["loss"][0] != found["loss"][1]


def test_texts_are_answered_in_their_order_and_few_lengths(table, tmp_path, capsys):
    built, state = small(table)
    sources = ["ab", "", "abcdefghijk", "c", "ab"]
    (tmp_path / "in.txt").write_text("\n".join(sources) + "\n")
    found = built.task.answer(state, str(tmp_path / "in.txt"), 2)
    assert [said.record["source"] for said in found] == sources
    most = built.run.data.train.lengths[1]
    for text, said in zip(sources, found, strict=True):
        wanted = bytes(t for t in greedy(state, text, most) if t < 256) if text else b""
        assert said.text == wanted.decode("utf-8", "replace")
    # 3, 2 and 3 tokens of 8, 12 of 12.
    assert capsys.readouterr().err == "note: padding is 44% of what was read\n"
    assert [writing.rounded(n) for n in (1, 8, 9, 13, 17, 25, 33)] == [8, 8, 12, 16, 24, 32, 48]
    rows = "source,more\nab,1\n"
    (tmp_path / "in.csv").write_text(rows)
    (said,) = built.task.answer(state, str(tmp_path / "in.csv"), 2)
    assert said == found[0]


def test_scores_are_those_of_their_libraries(table, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(UserError, match=r"needs sacrebleu: pip install -e '.\[text_scores\]'"):
        small(table, **{"task.scores": ("bleu",)})
    with pytest.raises(UserError, match="did you mean 'rouge'"):
        small(table, **{"task.scores": ("roug",)})


def test_scores_of_texts_are_from_0_to_100_and_from_0_to_1():
    pytest.importorskip("sacrebleu")
    pytest.importorskip("rouge_score")
    wanted = ["the dog barked loudly", "a cat sat on the mat"]
    found = texts.score(("bleu", "rouge"), wanted, wanted)
    assert found == {"bleu": pytest.approx(100), **dict.fromkeys(texts.NAMES[1:], 1.0)}
    # Of 3 words 2 are there, of 4 as well: F1 is 4 / 7.
    half = texts.score(("rouge",), ["a dog barked"], wanted[:1])
    assert half["rouge1"] == half["rougeL"] == pytest.approx(4 / 7)
    assert texts.score(("bleu",), ["", ""], wanted) == {"bleu": 0}


@pytest.mark.parametrize(
    "text, words",
    [
        ("The U.S. dog's 3.5_kg, well-fed!", "the u s dog s 3 5 kg well fed"),
        ("Größe, ÜBER", "größe über"),
        ("Привет, мир", "привет мир"),
        ("हिन्दी में", "हिन्दी में"),
        ("cafe\u0301", "caf\u00e9"),
        ("我爱你 2024年", "我 爱 你 2024 年"),
        ("กำลัง", "ก ำ ลั ง"),
    ],
)
def test_words_are_rouge_scores_and_letters_of_all_scripts_belong_to_them(text, words):
    assert texts.Words().tokenize(text) == words.split()
    if text.isascii():
        tokenizers = pytest.importorskip("rouge_score.tokenizers")
        assert tokenizers.DefaultTokenizer(False).tokenize(text) == words.split()


def test_rouge_of_a_text_with_itself_is_1_in_any_script():
    # rouge-score 0.1.2 by itself: 0.
    pytest.importorskip("rouge_score")
    said = ["привет мир", "我爱你"]
    assert set(texts.score(("rouge",), said, said).values()) == {1.0}
    found = texts.score(("rouge",), ["Größe"], ["Gr"])
    assert found["rouge1"] == 0  # rouge-score: 2 / 3, as of "gr e" with "gr"


# Texts to be restored


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_restoring_counts_hidden_tokens_of_whole_windows(name):
    from launching import built

    made = built(name)
    batch = made.run.data.test.take(np.arange(4))
    batch["weight"][1, -1] = 0  # a window that is not full
    read = made.task.eval_step.__wrapped__.args[2]
    example = jax.jit(lambda batch: read(batch, None))(batch)
    assert example.weight.tolist() == [1, 0, 1, 1]
    hidden = np.asarray(example.hidden).sum(axis=1)
    assert (hidden == (2 if name == "t5" else 5)).all()  # of 16 tokens 15 %, 30 %
    text = made.task.answer.args[0].text(example.target[0])
    assert ("<0>" in text) == (name == "t5")


LAYOUTS = (("data=8",), ("data=2", "tensor=2", "fsdp=2", "fsdp_min_size=64"))


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_eight_devices_learn_what_one_does(name):
    from launching import built

    # By sgd, under which rounding stays what it is.
    plain = ("name=sgd", "options=()", "learning_rate=.1", "schedule=constant")
    found = []
    for flags in (("data=1",), *LAYOUTS):
        flags = (f"--config.parallel.{flag}" for flag in flags)
        made = built(name, *(f"--config.optimizer.{flag}" for flag in plain), *flags)
        state = made.init_state()
        batch = made.layout.put(made.batch(0), made.rows)
        with jax.set_mesh(made.layout.mesh):
            state, metrics = jax.jit(made.task.train_step)(state, batch, KEY)
        found.append((jax.device_get(state.params), metrics["loss"].total))
    for params, loss in found[1:]:
        assert float(loss) == pytest.approx(float(found[0][1]), rel=1e-5)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), params, found[0][0])


# Bad input

REFUSED = {
    "task.decoded": (-1, "config.task.decoded=-1 must be at least 0"),
    "task.tokens": (-1, "config.task.tokens=-1 must be at least 0"),
    "task.beams": (-1, "config.task.beams=-1 must be at least 0"),
    "task.label_smoothing": (1.0, "must be at least 0 and below 1"),
    "task.denoise": ("spans", "data set 'pairs' has pairs"),
    "task.density": (0.2, "config.task.density=0.2 is for texts that are to be restored"),
    "task.span": (3.0, "data set 'pairs' has pairs: set --config.task.span=0.0"),
    "model.name": ("gpt", "needs an encoder-decoder of tokens, such as 't5', not 'gpt'"),
    "model": (dict(name="mlp"), "needs an encoder-decoder of tokens"),
    "model.vocab_size": (257, "config.model.vocab_size=257 must be at least 258"),
}


@pytest.mark.parametrize("setting", REFUSED)
def test_bad_setting_is_one_clear_line(setting, table):
    value, says = REFUSED[setting]
    with pytest.raises(UserError) as error:
        small(table, **{setting: value})
    assert says in str(error.value)
    assert "\n" not in str(error.value)


TEXTS = {
    "--config.task.denoise=": "config.task.denoise='spans' or 'infilling'",
    "--config.task.denoise=span": "did you mean 'spans'",
    "--config.task.density=1": "config.task.density=1.0 must be above 0 and below 1",
    "--config.task.span=17": "config.task.span=17.0 must be from 1 to data.context=16",
    "--config.task.shuffle_sentences=true": "is of denoise='infilling' alone",
    "--config.data.stride=8": "data.stride=8 must be 0",
    "--config.data.test_fraction=.00001": "hold out more",
}


@pytest.mark.parametrize("argument", TEXTS)
def test_texts_that_cannot_be_restored_are_one_clear_line(argument, tmp_path, capsys):
    assert run("t5", tmp_path / "run", *tiny.FLAGS["t5"], argument) == 2
    message = capsys.readouterr().err.strip()
    assert TEXTS[argument] in message
    assert message.startswith("error: ")
    assert "\n" not in message


def test_what_the_models_positions_do_not_hold_is_cut_and_counted(table, tmp_path, capsys):
    built, _ = small(table)
    module = Echo()
    object.__setattr__(module, "context", 4)
    writer = built.task.answer.args[0]._replace(module=module)
    found = writer.encoded(["abcdef", "abc", "abcd"])
    assert [len(x) for x in found] == [4, 4, 4]
    assert "2 of 3 texts are longer than the model's 4 positions" in capsys.readouterr().err
    object.__setattr__(module, "vocab_size", 98)
    with pytest.raises(UserError, match="text 2 has the token 99"):
        writer.encoded(["a", "abc"])


# A run


def test_a_run_answers_texts_without_its_data(finished, tmp_path, capsys):
    folder = finished("t5:numbers")
    (tmp_path / "in.txt").write_text("12\n345678\n")
    file = f"--input={tmp_path / 'in.txt'}"
    assert run("t5:numbers", folder, *tiny.of_finished("t5:numbers"), "--mode=predict", file) == 0
    said = capsys.readouterr().out.splitlines()
    lines = (folder / "predictions.txt").read_text().splitlines()
    assert said[-4:-2] == lines
    records = [json.loads(line) for line in (folder / "predictions.jsonl").open()]
    assert [(r["line"], r["source"]) for r in records] == [(1, "12"), (2, "345678")]
    assert [" ".join(r["written"].splitlines()) for r in records] == lines
    data = json.loads((folder / "data.json").read_text())["data"]
    part = data["parts"]["test"]
    absent = Absent(part["examples"], part["arrays"], part["about"])
    assert len(absent.sources) == 8
