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
    mask, masked = task.hide_alike(hiding, rate, batch)
    found, text = [], []
    for i in range(len(data.test)):
        keep = np.asarray(masked.weight[i]) > 0
        places, targets = np.asarray(masked.places[i])[keep], np.asarray(masked.targets[i])[keep]
        said = log_p[np.asarray(masked.tokens[i])[places - 1]]
        nats = -said[np.arange(len(targets)), targets]
        found += [*zip(nats, said.argmax(1) == targets, np.asarray(masked.hidden[i])[keep])]
        text += [(int(places[j]), int(targets[j])) for j in range(len(places))]
        window = np.asarray(batch["tokens"][i, 1:])
        assert all(window[place - 1] == target for place, target in zip(places, targets))
    return (np.array(x) for x in zip(*found, strict=True))


@pytest.mark.parametrize(
    "changed",
    [{}, {"eval.batch_size": 7}, {"data.stride": 5}, {"seed": 3, "task.train_rate": 0.4}],
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
    mask, masked = task.hide(hiding, 0.4, batch, KEY)
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


def test_padding_behind_the_end_of_a_text_is_seen_by_nobody():
    built, _ = small()
    data = built.run.data
    hiding = task.Hiding.of(data.tokenizer, 0.1, 0.1, False)
    last = data.test.take(np.array([len(data.test) - 1]))
    size = int(last["weight"].sum())
    assert 0 < size < 16
    mask, masked = task.hide_alike(hiding, 0.15, last)
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
    first = "".join(map(chr, text[0])).replace("\n", "\u21b5").replace(" ", "\u00a0")
    assert texts[1] == first
    assert sum(a != b for a, b in zip(texts[1], texts[3], strict=True)) <= 2
    assert pictures["Surprise along the window"].data


BAD = {
    "task.rate": (0.0, "config.task.rate=0 must be above 0"),
    "task.train_rate": (1.5, "config.task.train_rate=1.5 must be at least 0 and at most 1"),
    "task.random": (0.95, "config.task.random=0.95 and config.task.kept=0.1 must be at most 1"),
    "model.vocab_size": (256, "config.model.vocab_size=256 must be at least 260, for 260 tokens"),
    "model.context": (16, "config.model.context=16 must be at least 18"),
    "model.output": ("tagger", "config.model.output=tagger must be masked_lm"),
    "model": (dict(name="gpt"), "needs a model that guesses hidden tokens, such as 'bert'"),
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
