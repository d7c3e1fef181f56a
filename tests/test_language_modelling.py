"""Language modelling: figures, samples and reports, of any model of tokens."""

import functools
import math
from xml.etree import ElementTree

import jax
import numeric
import numpy as np
import pytest
import tiny
from flax import linen as nn
from launching import REPORT, ROOT, figures, run, summary
from test_text import trained

from jaxdl import config, experiment, keys, models
from jaxdl.tasks import language_modelling
from jaxdl.train.evaluate import Evaluator

KEY = keys.root(0)
DATA = ("--config.data.context=16", "--config.data.test_fraction=.01")
TINY = tiny.FLAGS["gpt"]


class Bigram(nn.Module):
    """The simplest model of tokens: a table, with neither a context's length nor a cache."""

    vocab_size: int = 7
    dtype: str = "float32"

    @nn.compact
    def __call__(self, tokens, *, train=False):
        shape = (self.vocab_size, self.vocab_size)
        return self.param("table", nn.initializers.normal(1.0), shape)[tokens]


@pytest.fixture(autouse=True)
def bigram(monkeypatch):
    models.names()
    monkeypatch.setitem(models._registry._entries, "bigram", Bigram)


def small(**changed):
    """(experiment, state at its start) of the bigram on a little of the topics."""
    made = config.default()
    made.steps, made.batch_size, made.parallel.data = 4, 8, 1
    made.model = dict(name="bigram")
    made.task = dict(name="language_modelling")
    made.data.update(name="topics", context=16, test_fraction=0.005)
    made.eval.best = "nats_per_byte"
    with made.ignore_type():
        made.update_from_flattened_dict(changed)
    built = experiment.create(made)
    return built, built.init_state()


# Figures


def table_of(state):
    """Log probabilities in float64 (before, after)."""
    return np.log(numeric.softmax(np.asarray(state.params["table"], np.float64)))


@pytest.mark.parametrize(
    "changed",
    [{}, {"eval.batch_size": 7}, {"data.context": 128}, {"data.stride": 5}, {"data.context": 1}],
    ids=str,
)
def test_evaluation_is_the_mean_over_every_held_out_byte(changed):
    # What a bigram says of a byte does not depend on where windows begin, so all agree.
    built, state = small(**changed)
    found = Evaluator(built)(state)
    data, log_p = built.run.data, table_of(state)
    text = np.append(data.train.tokens[-1:], data.test.tokens).astype(int)
    nats = -log_p[text[:-1], text[1:]]
    hits = log_p[text[:-1]].argmax(1) == text[1:]
    assert found["loss"] == pytest.approx(nats.mean(), rel=1e-5)
    assert found["nats_per_byte"] == pytest.approx(nats.mean(), rel=1e-5)
    assert found["bits_per_byte"] == pytest.approx(nats.mean() / math.log(2), rel=1e-5)
    assert found["accuracy"] == pytest.approx(hits.mean())


def test_nats_a_byte_compare_across_tokenizers(tmp_path):
    built, state = small(**{"data.tokenizer": trained(tmp_path), "eval.batch_size": 9})
    found = Evaluator(built)(state)
    data = built.run.data
    text = data.tokenizer.decode(data.test.tokens)
    nats = found["loss"] * len(data.test.tokens)
    assert found["nats_per_byte"] == pytest.approx(nats / len(text.encode()), rel=1e-5)
    assert found["bits_per_byte"] == pytest.approx(found["nats_per_byte"] / math.log(2), rel=1e-5)
    assert found["nats_per_byte"] < found["loss"]
    assert built.abstract_state.params["table"].shape == (data.tokenizer.size,) * 2


def test_first_update_is_the_mean_gradient_of_the_windows_predictions():
    built, state = small(**{"optimizer.name": "sgd", "optimizer.learning_rate": 1.0,
                            "optimizer.schedule": "constant"})  # fmt: skip
    batch = built.batch(0)
    after, found = jax.jit(built.task.train_step)(state, batch, KEY)
    before, next_ = batch["tokens"][:, :-1].ravel(), batch["tokens"][:, 1:].ravel()
    log_p = table_of(state)
    gradient = np.zeros_like(log_p)
    np.add.at(gradient, before, np.exp(log_p)[before] / len(before))
    np.add.at(gradient, (before, next_), -1 / len(before))
    np.testing.assert_allclose(
        after.params["table"], np.asarray(state.params["table"]) - gradient, atol=1e-6
    )
    assert float(found["loss"].weight) == batch["tokens"][:, 1:].size
    mean = float(found["loss"].total / found["loss"].weight)
    assert mean == pytest.approx(-log_p[before, next_].mean(), rel=1e-5)


def test_report_shows_the_most_surprising_lines_and_surprise_by_place(tmp_path):
    letters = np.random.default_rng(0).choice(list("ab cd<&\n"), 30_000)
    (tmp_path / "a.txt").write_text("".join(letters))
    own = {"data.name": "text", "data.path": str(tmp_path), "data.test_fraction": 0.1}
    built, state = small(**own, **{"data.stride": 5})
    data, log_p = built.run.data, table_of(state)
    pictures = built.task.artifacts(state, data.test, KEY)
    text = np.append(data.train.tokens[-1:], data.test.tokens).astype(int)
    nats = -log_p[text[:-1], text[1:]]
    worst = nats[: len(nats) // 96 * 96].reshape(-1, 96).mean(axis=1)
    svg = "{http://www.w3.org/2000/svg}"
    drawn = ElementTree.fromstring(pictures["Most surprising"].data)
    texts = [node.text for node in drawn.iter(f"{svg}text")]
    order = np.argsort(-worst)[: len(texts) // 2]
    assert texts[::2] == [f"{worst[i]:.2f}" for i in order]
    first = bytes(text[1 + order[0] * 96 :][:96].tolist()).decode()
    assert texts[1] == first.replace("\n", "\u21b5").replace(" ", "\u00a0")
    # The darkest letter is the most surprising one.
    shown = np.stack([nats[i * 96 :][:96] for i in order])
    dark = np.zeros_like(shown)
    for node in drawn.iter(f"{svg}rect"):  # of letters side by side that are as dark
        x, y, width = (float(node.attrib[name]) for name in ("x", "y", "width"))
        first = round(x / 7.22) - 1 - len(texts[0])
        dark[int(y) // 18, first : first + round(width / 7.22)] = node.attrib["fill-opacity"]
    np.testing.assert_allclose(dark, shown / shown.max(), atol=0.0051)
    assert pictures["Surprise along the window"].data
    # A letter of several tokens is as surprising as these are together.
    found = language_modelling._letters(["a", "", "é"], np.array([1.0, 2.0, 3.0]))
    assert found == [("a", 1.0), ("é", 5.0)]


# Samples


def samples(built, state):
    """The texts of a sample, without their heads."""
    parts = built.task.sample(state, KEY)["samples"].split("\n\n[")
    return [part.partition("]\n")[2] for part in parts]


def test_samples_go_on_from_the_prompt():
    built, state = small(**{"task.prompt": "Grüße", "task.tokens": 30, "task.samples": 3})
    texts = samples(built, state)
    assert len(texts) == 3
    assert len(set(texts)) == 3
    assert all(text.startswith("Grüße") for text in texts)


def test_a_model_without_a_context_writes_as_long_as_it_is_told_to():
    cold = {"task.temperature": 0.0, "task.samples": 1, "task.prompt": "a"}
    built, state = small(**cold)
    log_p, wanted = table_of(state), [ord("a")]
    for _ in range(256):
        wanted.append(int(log_p[wanted[-1]].argmax()))
    text = bytes(wanted).decode("utf-8", "replace")
    shown = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
    assert samples(built, state) == [shown]


def test_samples_by_beam_search_come_with_their_probability():
    built, state = small(**{"task.beams": 3, "task.tokens": 4, "task.prompt": "ab"})
    made = built.task.sample(state, KEY)["samples"]
    assert made.count("[log p = -") == 3
    assert all(text.startswith("ab") for text in samples(built, state))


def test_samples_and_figures_come_from_the_average():
    built, state = small(**{"ema": 0.9, "optimizer.learning_rate": 0.5})
    state, _ = jax.jit(built.task.train_step)(state, built.batch(0), KEY)
    params, rest = state.average
    averaged = state._replace(average=None, params=params)
    assert rest == {}
    assert samples(built, state) == samples(built, averaged)
    assert Evaluator(built)(state) == Evaluator(built)(averaged)
    plain = state._replace(average=None)
    assert Evaluator(built)(state)["loss"] != Evaluator(built)(plain)["loss"]


# Bad input


REFUSED = {
    "--config.task.prompt=": "config.task.prompt is empty",
    "--config.task.tokens=14": "config.task.prompt of 3 tokens and config.task.tokens=14 more are "
    "longer than the model's context of 16",
    "--config.task.tokens=-1": "config.task.tokens=-1 must be at least 1",
    "--config.task.samples=0": "config.task.samples=0 must be at least 1",
    "--config.task.temperature=-1": "config.task.temperature=-1.0 must be at least 0",
    "--config.task.top_p=0": "config.task.top_p=0.0 must be above 0 and at most 1",
    "--config.task.top_p=1.1": "config.task.top_p=1.1 must be above 0 and at most 1",
    "--config.task.top_k=-1": "config.task.top_k=-1 must be at least 0",
    "--config.task.beams=0": "config.task.beams=0 must be at least 1",
    "--config.task.promt=a": "did you mean 'prompt'",
    "--config.model.heads=3": "heads",
    "--config.data.name=text": "data.path='' is no file or folder",
    "--config.data.context=0": "data.context=0 must be at least 1",
    "--config.eval.best=nats": "one of: accuracy, bits_per_byte, loss, nats_per_byte",
}


def refused(capsys, *said):
    message = capsys.readouterr().err.strip()
    assert message.startswith("error: ")
    assert "\n" not in message
    for words in said:
        assert words in message


@pytest.mark.parametrize("argument", REFUSED)
def test_bad_setting_is_one_clear_line(argument, tmp_path, capsys):
    assert run("gpt", tmp_path / "run", *TINY, argument) == 2
    refused(capsys, REFUSED[argument])
    assert not (tmp_path / "run").exists()


def experiment_file(folder, line):
    """The tiny experiment with one line more, for settings that follow from the data elsewhere."""
    file = folder / "own.py"
    file.write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'experiments')!r})\nimport gpt\n\n\n"
        f"def get_config():\n    config = gpt.get_config()\n    {line}\n    return config\n"
    )
    return str(file)


MISFITS = {
    "config.model.context = 15": "config.model.context=15 must be at least 16, for windows of "
    "config.data.context=16",
    "config.model.vocab_size = 255": "config.model.vocab_size=255 must be at least 256, for "
    "windows of config.data.context=16 and 256 tokens",
    "config.model = dict(name='mlp')": "needs a model of tokens, such as 'gpt', not 'mlp'",
    "config.model = dict(name='bert_tiny')": "needs a model whose tokens see only those before",
    "config.model = dict(name='t5_small')": "such as 'gpt': 't5_small' would see what it is to say",
    "config.task = dict(name='classification')": "task 'classification' learns from 'image', and "
    "data set 'topics' has tokens",
    "del config.data.context, config.data.stride; config.data.name = 'digits'": "task "
    "'language_modelling' learns from 'tokens', and data set 'digits' has image, label",
    "del config.data.context, config.data.stride; config.data.name = 'none'": "data set 'none' "
    "has none",
}


@pytest.mark.parametrize("line", MISFITS)
def test_parts_that_do_not_fit_are_one_clear_line(line, tmp_path, capsys):
    # Only what the experiment still has can be set.
    gone = [f"--config.{g}." for g in ("model", "task") if f"config.{g} =" in line]
    if "del config.data" in line:
        gone += ["--config.data.context", "--config.data.stride"]
    own = [a for a in TINY if not a.startswith(tuple(gone))]
    assert run(experiment_file(tmp_path, line), tmp_path / "run", *own) == 2
    refused(capsys, MISFITS[line])


# Runs


def test_run_leaves_its_figures_and_texts(finished):
    finished = finished("gpt")
    found = summary(finished)
    assert found["steps"] == 12
    assert found["final"]["nats_per_byte"] == pytest.approx(found["final"]["loss"])
    assert found["final"]["loss"] < math.log(256) + 0.1
    assert found["best"]["nats_per_byte"] <= found["final"]["nats_per_byte"]
    assert [line["step"] for line in figures(finished, "train")] == [3, 6, 9, 12]
    page = (finished / "report.html").read_text()
    for heading in ("Most surprising", "Surprise along the window", "Attention",
                    "samples over the run", "Gradient flow"):  # fmt: skip
        assert f"<h2>{heading}</h2>" in page
    assert page.count("[sample 1]\ndef") == 2  # as many evaluations as there were
    assert page.index("token/embedding") < page.index("block_0/attention/query/kernel")
    # 256 bytes and 16 places of width 16; a block of 12 w² + 13 w; the last norm.
    assert found["parameters"] == 272 * 16 + 12 * 16**2 + 13 * 16 + 2 * 16


def test_evaluate_and_sample_modes(finished, capsys):
    finished = finished("gpt")
    start = functools.partial(run, "gpt", finished, *tiny.of_finished("gpt"))
    capsys.readouterr()
    assert start("--mode=evaluate") == 0
    said, best = capsys.readouterr().out, summary(finished)["best"]
    for name in ("nats_per_byte", "bits_per_byte", "accuracy"):
        assert f"{name} {best[name]:.4f}" in said
    assert start("--mode=sample") == 0
    file = finished / "samples" / "samples.txt"
    assert f"sample {file}" in capsys.readouterr().out
    text = file.read_text()
    assert text.startswith("[sample 1]\ndef")
    assert start("--mode=sample") == 0
    assert file.read_text() == text
    # Another prompt is another config, which one says that one means.
    other = ("--mode=sample", "--config.task.prompt=class", "--accept_changes")
    assert start(*other) == 0
    assert file.read_text().startswith("[sample 1]\nclass")


@functools.cache
def updated(precision="float32", devices=1):
    """(state, loss) of a small GPT after one update by gradient descent."""
    built, state = small(**{
        "model": dict(name="gpt", depth=1, width=16, heads=2), "optimizer.name": "sgd",
        "optimizer.schedule": "constant", "optimizer.learning_rate": 1.0, "log.layers": False,
        "precision": precision, "parallel.data": devices,
    })  # fmt: skip
    batch = built.layout.put(built.batch(0), 8)
    with jax.set_mesh(built.layout.mesh):
        state, found = jax.jit(built.task.train_step)(state, batch, KEY)
    return state, float(found["loss"].total / found["loss"].weight)


def test_eight_devices_learn_what_one_does():
    (one, a), (eight, b) = updated(), updated(devices=8)
    assert a == pytest.approx(b, rel=1e-6)
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(eight), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)


def test_bf16_computes_in_bf16_over_float32_parameters():
    (state, a), (_, b) = updated(precision="bf16"), updated()
    assert all(x.dtype in (np.float32, np.int32) for x in jax.tree.leaves(state))
    assert a != b
    assert a == pytest.approx(b, rel=1e-3)


def test_eight_devices_evaluate_and_sample_as_one_does():
    (one, state), (eight, same) = (small(**{"parallel.data": n}) for n in (1, 8))
    assert len(jax.tree.leaves(same)[0].sharding.device_set) == 8
    a, b = Evaluator(one)(state), Evaluator(eight)(same)
    assert a == {name: pytest.approx(figure, rel=1e-6) for name, figure in b.items()}
    assert samples(one, state) == samples(eight, same)


def test_text_of_ones_own_is_learned_by_any_model_of_tokens(tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("abcd" * 500)
    (tmp_path / "own.py").write_text(
        "from jaxdl import config as defaults\n\n\ndef get_config():\n"
        "    config = defaults.default()\n    config.data.name = 'text'\n"
        "    config.model.name = 'bigram'\n    config.task.name = 'language_modelling'\n"
        "    config.eval.best = 'bits_per_byte'\n    return config\n"
    )
    code = run(
        str(tmp_path / "own.py"), tmp_path / "run", f"--config.data.path={tmp_path / 'texts'}",
        "--config.data.context=16", "--config.optimizer.learning_rate=1", "--config.steps=30",
        "--config.eval.every=30", "--config.task.prompt=a", "--config.task.temperature=0", REPORT,
    )  # fmt: skip
    assert code == 0
    assert summary(tmp_path / "run")["final"]["bits_per_byte"] < 0.1
    assert "[sample 1]\n" + "abcd" * 64 + "a" in (tmp_path / "run" / "report.html").read_text()
