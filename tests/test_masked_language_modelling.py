"""Masked language modelling: of which tokens figures are, updates, reports and bad settings."""

from xml.etree import ElementTree

import jax
import jax.numpy as jnp
import numeric
import numpy as np
import pytest
from flax import linen as nn

from jaxdl import config, experiment, keys, models
from jaxdl.errors import UserError
from jaxdl.tasks import masked_language_modelling as task
from jaxdl.train.evaluate import Evaluator

KEY = keys.root(0)


class Before(nn.Module):
    """Guesses a token by the one in front of it alone: a table."""

    reads_whole_texts = True
    output: str = "masked_lm"
    vocab_size: int = 7
    context: int = 7
    dtype: str = "float32"

    @nn.compact
    def __call__(self, tokens, segments=None, mask=None, *, places=None, train=False):
        shape = (self.vocab_size, self.vocab_size)
        table = self.param("table", nn.initializers.normal(1.0), shape)
        places = jnp.arange(tokens.shape[1])[None] if places is None else places
        return table[jnp.take_along_axis(tokens, jnp.maximum(places - 1, 0), axis=1)]


@pytest.fixture(autouse=True)
def before(monkeypatch):
    models.names()
    monkeypatch.setitem(models._registry._entries, "before", Before)


def small(**changed):
    """(experiment, state at its start) of the table on a little of the topics."""
    made = config.default()
    made.steps, made.batch_size, made.parallel.data = 4, 8, 1
    made.model = dict(name="before")
    made.task = dict(name="masked_language_modelling")
    made.data.update(name="topics", context=16, test_fraction=0.002)
    made.eval.best = "masked_accuracy"
    with made.ignore_type():
        made.update_from_flattened_dict(changed)
    built = experiment.create(made)
    return built, built.init_state()


def recounted(built, state, rate=0.15):
    """(nats, hits, whether [MASK] stood there) of every token that is guessed, window by window."""
    data = built.run.data
    hiding = task.Hiding.of(data.tokenizer, 0.1, 0.1, False)
    log_p = np.log(numeric.softmax(np.asarray(state.params["table"], np.float64)))
    batch = data.test.take(np.arange(len(data.test)))
    _, masked = jax.jit(lambda batch: task.hide_alike(hiding, rate, batch))(batch)
    found = []
    for i in range(len(data.test)):
        keep = np.asarray(masked.weight[i]) > 0
        places, targets = np.asarray(masked.places[i])[keep], np.asarray(masked.targets[i])[keep]
        said = log_p[np.asarray(masked.tokens[i])[places - 1]]
        nats = -said[np.arange(len(targets)), targets]
        hidden = np.asarray(masked.hidden[i])[keep]
        found += [*zip(nats, said.argmax(1) == targets, hidden, strict=True)]
        window = np.asarray(batch["tokens"][i, 1:])
        np.testing.assert_array_equal(window[places - 1], targets)
    return (np.array(x) for x in zip(*found, strict=True))


@pytest.mark.parametrize(
    "changed",
    [{}, {"data.stride": 5}, {"eval.batch_size": 7, "seed": 3, "task.train_rate": 0.4}],
    ids=str,
)
def test_figures_are_of_the_same_tokens_in_any_batches_and_runs(changed):
    built, state = small(**changed)
    found = Evaluator(built)(state)
    nats, hits, hidden = recounted(built, state)
    assert found["loss"] == pytest.approx(nats.mean(), rel=1e-5)
    assert found["accuracy"] == pytest.approx(hits.mean())
    assert found["masked_accuracy"] == pytest.approx(hits[hidden].mean())
    # Of every 16 held-out bytes 2 or of every 5 one, the end of the text in full.
    assert len(nats) == pytest.approx(0.15 * len(built.run.data.test.tokens), rel=0.35)


def test_an_update_is_the_mean_gradient_of_what_is_hidden():
    built, state = small(**{"optimizer.name": "sgd", "optimizer.learning_rate": 1.0,
                            "optimizer.schedule": "constant", "task.train_rate": 0.4})  # fmt: skip
    batch = built.batch(0)
    after, found = jax.jit(built.task.train_step)(state, batch, KEY)
    hiding = task.Hiding.of(built.run.data.tokenizer, 0.1, 0.1, False)
    mask, masked = jax.jit(lambda batch: task.hide(hiding, 0.4, batch, KEY))(batch)
    assert mask is None  # there is no padding to learn from
    shown, targets = np.asarray(masked.tokens), np.asarray(masked.targets).ravel()
    fronts = np.take_along_axis(shown, np.asarray(masked.places) - 1, 1).ravel()
    counts = np.asarray(masked.weight).ravel() > 0
    fronts, targets = fronts[counts], targets[counts]
    assert len(targets) == 8 * 6  # of 16 tokens each
    log_p = np.log(numeric.softmax(np.asarray(state.params["table"], np.float64)))
    gradient = np.zeros_like(log_p)
    np.add.at(gradient, fronts, np.exp(log_p)[fronts] / len(fronts))
    np.add.at(gradient, (fronts, targets), -1 / len(fronts))
    np.testing.assert_allclose(
        after.params["table"], np.asarray(state.params["table"]) - gradient, atol=1e-6
    )
    assert float(found["loss"].weight) == len(targets)
    mean = float(found["loss"].total / found["loss"].weight)
    assert mean == pytest.approx(-log_p[fronts, targets].mean(), rel=1e-5)


def test_eight_devices_hide_what_one_does():
    found = []
    for count in (1, 8):
        built, state = small(**{"parallel.data": count, "eval.batch_size": 16})
        figures = Evaluator(built)(state)
        batch = built.layout.put(built.batch(0), built.rows)
        with jax.set_mesh(built.layout.mesh):
            after, _ = jax.jit(built.task.train_step)(state, batch, built.key)
        found.append((figures, np.asarray(after.params["table"])))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-6)


def test_padding_behind_the_end_of_a_text_is_seen_by_nobody():
    built, _ = small()
    data = built.run.data
    hiding = task.Hiding.of(data.tokenizer, 0.1, 0.1, False)
    last = data.test.take(np.array([len(data.test) - 1]))
    size = int(last["weight"].sum())
    assert 0 < size < 16
    mask, masked = jax.jit(lambda batch: task.hide_alike(hiding, 0.15, batch))(last)
    np.testing.assert_array_equal(mask[0], np.arange(18) < size + 2)
    shown = np.asarray(masked.tokens[0])
    assert shown[0] == hiding.special.cls
    assert shown[size + 1] == hiding.special.sep
    assert (shown[size + 2 :] == hiding.special.pad).all()


def test_the_report_shows_what_was_said():
    built, state = small()
    pictures = built.task.artifacts(state, built.run.data.test, KEY)
    drawn = ElementTree.fromstring(pictures["Hidden and said"].data)
    texts = [node.text for node in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0::4] == ["text"] * 8
    assert texts[2::4] == ["said"] * 8
    chosen = np.unique(np.linspace(0, len(built.run.data.test) - 1, 8).astype(int))
    text = built.run.data.test.take(chosen)["tokens"][:, 1:]
    first = bytes(text[0].tolist()).decode("utf-8", "replace")
    assert texts[1] == first.replace("\n", "\u21b5").replace(" ", "\u00a0")
    assert texts[1::4] != texts[3::4]
    assert pictures["Surprise along the window"].data


def test_hidden_tokens_of_a_file_are_said(tmp_path):
    built, state = small()
    file = tmp_path / "texts.txt"
    file.write_text("a[MASK]c\n\nabc\n")
    first, *others = built.task.answer(state, str(file), 4)
    shares = numeric.softmax(np.asarray(state.params["table"], np.float64))[ord("a")]
    wanted = np.argsort(-shares[:256])[:5]  # no special token stands in a text
    (mask,) = first.record["masks"]
    assert [guess["id"] for guess in mask["likeliest"]] == wanted.tolist()
    found = [guess["probability"] for guess in mask["likeliest"]]
    np.testing.assert_allclose(found, shares[wanted], rtol=1e-5)
    assert first.record["text"] == bytes([97, wanted[0], 99]).decode("utf-8", "replace")
    assert [said.text for said in others] == ["", "abc"]
    file.write_text("abc\n")
    assert built.task.answer(state, str(file), 4) == []


BAD = {
    "task.rate": (0.0, "config.task.rate=0 must be above 0"),
    "task.train_rate": (1.5, "config.task.train_rate=1.5 must be at least 0 and at most 1"),
    "task.random": (0.95, "config.task.random=0.95 and config.task.kept=0.1 must be at most 1"),
    "model.vocab_size": (
        256,
        "config.model.vocab_size=256 must be at least 260, for a",
    ),
    "model.context": (16, "config.model.context=16 must be at least 18"),
    "model.output": ("tagger", "config.model.output=tagger must be masked_lm"),
    "model": (dict(name="gpt"), "needs a model that reads whole texts, such as 'bert'"),
    "data.name": ("digits", "learns from 'tokens', and data set 'digits' has image, label"),
}


@pytest.mark.parametrize("setting", BAD)
def test_bad_settings_are_one_line(setting):
    value, message = BAD[setting]
    changed = {setting: value}
    if setting == "model":
        changed = {"model.name": "gpt"}
    if setting == "data.name":
        changed |= {"data": config.default().data.to_dict()}
    with pytest.raises(UserError) as caught:
        small(**changed)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
