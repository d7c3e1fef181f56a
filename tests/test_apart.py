"""Preferences of encoder-decoders: prompts are read, answers are written and judged."""

import functools
import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numeric
import numpy as np
import pytest
from launching import run, summary

from jaxdl import generate, keys, launch, models, pretrained
from jaxdl.data.source_target import Specials
from jaxdl.tasks import preference, reward_model
from jaxdl.tasks.shared import answering, apart, speaking

SMALL = dict(width=16, encoder_depth=1, decoder_depth=1, heads=2, hidden=16)
# The end of answers is 5 in the data and 8 here; padding is 9, texts begin with 7.
SPECIAL = Specials(9, 8, 6, (), 10, front=(7,))
PROMPTS, ANSWERS = ([1, 2, 3], [4]), (([2, 5], [1, 1, 3]), ([5], [3, 4, 4, 5]))


@pytest.fixture(scope="module")
def batch():
    """Two prompts with two answers each, end to end; one answer was cut."""
    tokens, mask, answer = (np.zeros((2, 2, 6), int) for _ in range(3))
    for i, prompt in enumerate(PROMPTS):
        for j, said in enumerate(ANSWERS[i]):
            both = len(prompt) + len(said)
            tokens[i, j, :both], mask[i, j, :both] = prompt + said, 1
            answer[i, j, len(prompt) : both] = 1
    made = dict(tokens=tokens, mask=mask > 0, answer=answer > 0)
    return {name: jnp.asarray(x) for name, x in made.items()}


def test_texts_are_taken_apart_with_the_models_own_tokens(batch):
    found = apart.examples(SPECIAL, 5, 3, answering.texts(batch))
    np.testing.assert_array_equal(found.source[::2], [[7, 1, 2, 3, 8], [7, 4, 8, 9, 9]])
    np.testing.assert_array_equal(found.source_mask[::2], [[1] * 5, [1, 1, 1, 0, 0]])
    wanted = [[7, 2, 8, 9, 9, 9], [7, 1, 1, 3, 9, 9], [7, 8, 9, 9, 9, 9], [7, 3, 4, 4, 8, 9]]
    np.testing.assert_array_equal(found.target, wanted)
    np.testing.assert_array_equal(found.weight.sum(1), [2, 3, 1, 4])
    assert not found.weight[:, 0].any()  # nobody learns what all texts begin with
    # Padding may stand in front, as where answers were drawn, and answers be no longer than drawn.
    filled = batch["mask"].sum(-1, keepdims=True)
    turned = lambda x: jnp.take_along_axis(x, (jnp.arange(6) + filled) % 6, axis=-1)
    drawn = apart.examples(SPECIAL, 5, 3, answering.texts(jax.tree.map(turned, batch)), answer=4)
    for name in ("source", "source_mask"):
        np.testing.assert_array_equal(getattr(drawn, name), getattr(found, name))
    for name in ("target", "weight"):
        np.testing.assert_array_equal(getattr(drawn, name), getattr(found, name)[:, :5])


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_log_probabilities_and_rewards_are_of_each_answer_given_its_prompt(name, batch):
    more = dict(head_dim=8) if name == "t5" else dict(context=8)
    says = models.create(name, vocab_size=10, **SMALL, **more)
    scores = says.clone(output="score")
    ones = jnp.ones((1, 1), jnp.int32)
    variables = jax.jit(scores.init)(keys.root(0), ones, ones)
    reads = apart.reads(SPECIAL, 5, 3)

    @jax.jit
    def found(batch):
        log_p = [preference.log_probabilities(says, variables, batch, m, reads) for m in (0, 1)]
        return reward_model.rewards(scores, variables, batch, reads), *log_p

    rewards, sums, means = found(batch)
    for i, prompt in enumerate(PROMPTS):
        source = np.array([[7, *prompt, 8]])
        for j, said in enumerate(ANSWERS[i]):
            own = np.array([7, *(8 if t == 5 else t for t in said)])
            given = np.array([[6, *own]])  # begun by its start, and to the end
            logits = np.asarray(says.apply(variables, source, given)[0], np.float64)
            each = np.log(numeric.softmax(logits))[np.arange(1, len(own)), own[1:]]
            np.testing.assert_allclose(sums[i, j], each.sum(), rtol=1e-5)
            np.testing.assert_allclose(means[i, j], each.mean(), rtol=1e-5)
            score = scores.apply(variables, source, given)
            assert score.shape == given.shape
            np.testing.assert_allclose(rewards[i, j], score[0, -1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_what_is_drawn_is_as_likely_as_what_is_given(name):
    more = dict(head_dim=8) if name == "t5" else dict(context=8)
    module = models.create(name, vocab_size=10, output="both", **SMALL, **more)
    says, scores = (module.clone(output=output) for output in ("tokens", "score"))
    ones = jnp.ones((1, 1), jnp.int32)
    variables = jax.jit(module.init)(keys.root(0), ones, ones)
    silent = apart.silent(SPECIAL, 5, 10, 5)
    assert silent == (5, 6, 7, 9)
    reads = apart.reads(SPECIAL, 5, 3, 4, silent)
    run = SimpleNamespace(data=SimpleNamespace(train=SimpleNamespace(prompt_length=3, end=5)))
    judge = functools.partial(speaking.judged, run, scores, SPECIAL)
    own = speaking.Speaker(module, says, 3, 4, 5, judge, reads)
    prompt = jnp.tile(jnp.array([[1, 2, 3], [0, 0, 4]]), (12, 1))
    mask = jnp.tile(jnp.array([[1, 1, 1], [0, 0, 1]], bool), (12, 1))
    batch = dict(prompt=prompt, prompt_mask=mask)

    @jax.jit
    def found(key):
        drawn = speaking.draw(own, variables, variables, batch, key)
        how = dict(key=key, tokens=4, stop=SPECIAL.end, scored=True)
        again = generate.sample(says, variables, **how, **reads.given(batch))
        thought = own.think(variables, drawn.text, drawn.mask)
        return drawn, again, thought, own.reference(variables, drawn.text, drawn.mask)

    drawn, (tokens, scored), thought, reference = found(keys.root(1))
    counts = np.asarray(drawn.mask[:, 3:])
    log_p, value, nats = (np.where(counts, x, 0.0) for x in thought)
    np.testing.assert_allclose(log_p.sum(1), scored, rtol=1e-4)
    np.testing.assert_allclose(log_p, np.where(counts, reference, 0.0), rtol=1e-5)
    assert not np.isin(tokens, silent).any()
    answers = np.asarray(drawn.text[:, 3:])
    np.testing.assert_array_equal(answers[counts], np.where(tokens == 8, 5, tokens)[counts])
    ended = [5 in answer[real] for answer, real in zip(answers, counts, strict=True)]
    assert 0 < sum(ended) < len(ended)

    apply = jax.jit(module.apply)
    for i in range(4):
        length = counts[i].sum()
        source = np.array([[7, *prompt[i][mask[i]], 8]])
        said = np.where(answers[i, :length] == 5, 8, answers[i, :length])
        logits, values = (np.asarray(x[0], np.float64) for x in apply(
            variables, source, np.array([[6, 7, *said]])))  # fmt: skip
        share = numeric.softmax(np.where(np.isin(np.arange(10), silent), -np.inf, logits))[1:-1]
        wanted = np.log(share[np.arange(length), said])
        np.testing.assert_allclose(log_p[i, :length], wanted, rtol=1e-4)
        np.testing.assert_allclose(value[i, :length], values[1:-1], rtol=1e-4, atol=1e-6)
        entropy = -(share * np.log(np.where(share > 0, share, 1))).sum(-1)
        np.testing.assert_allclose(nats[i, :length], entropy, rtol=1e-4)
        np.testing.assert_allclose(drawn.reward[i], values[-1], rtol=1e-4, atol=1e-6)


CONFIG = """\
from jaxdl import config as settings


def get_config(task="preference"):
    config = settings.default()
    config.data.name, config.data.path, config.data.context = "preferences", {path!r}, 12
    config.task.name = task
    config.model = dict({model})
    config.optimizer.learning_rate = 1e-2
    return config
"""


def test_runs_prefer_judge_and_are_put_to_use(tmp_path, capsys):
    rows = [dict(prompt="ab"[i % 2], chosen="yes", rejected="no, no") for i in range(40)]
    table = tmp_path / "pairs.jsonl"
    table.write_text("\n".join(map(json.dumps, rows)))
    given = tmp_path / "given.jsonl"
    said = [dict(prompt="a", completion=x) for x in ("yes", "no, no")]
    given.write_text("".join(f"{json.dumps(row)}\n" for row in said))
    config = tmp_path / "own.py"
    small = "name='t5', width=16, encoder_depth=1, decoder_depth=1, heads=2, hidden=16, head_dim=8"
    config.write_text(CONFIG.format(path=str(table), model=small))
    use = lambda task, mode, *more: launch.main(
        [f"--mode={mode}", f"--workdir={tmp_path / task}", *more]
    )
    told = lambda task: [
        json.loads(line)
        for line in (tmp_path / task / "predictions.jsonl").read_text().splitlines()
    ]
    steps = ("--config.steps=30", "--config.eval.every=30", "--config.log.every=30")
    assert run(f"{config}:preference", tmp_path / "preference", *steps) == 0
    assert summary(tmp_path / "preference")["final"]["accuracy"] == 1
    assert use("preference", "predict", f"--input={given}") == 0
    assert [row["prompt"] for row in told("preference")] == ["a", "a"]
    assert use("preference", "export") == 0
    module, _ = pretrained.load(tmp_path / "preference" / "export")
    assert (module.vocab_size, module.output) == (258, "tokens")
    # What learns to judge begins with what was learned to say.
    start = (f"--config.pretrained.source={tmp_path / 'preference'}", "--config.model.name=")
    assert run(f"{config}:reward_model", tmp_path / "reward_model", *steps, *start) == 0
    assert summary(tmp_path / "reward_model")["final"]["accuracy"] == 1
    assert use("reward_model", "predict", f"--input={given}") == 0
    right, wrong = told("reward_model")
    assert right["reward"] > wrong["reward"]
    # And both together teach.
    few = ("--config.steps=2", "--config.task.tokens=6", "--config.task.epochs=1")
    few = (*few, "--config.eval.best=reward")
    judge = f"--config.task.reward={tmp_path / 'reward_model'}"
    low = ("--config.lora.rank=2", "--config.log.report=true")
    assert run(f"{config}:rlhf", tmp_path / "rlhf", judge, *few, *start, *low) == 0
    page = (tmp_path / "rlhf" / "report.html").read_text()
    assert all(name in page for name in ("score/kernel", "decoder_block_0/attention/key/lora_a"))
    assert 1 <= summary(tmp_path / "rlhf")["final"]["answer_length"] <= 6
    asked = tmp_path / "asked.txt"
    asked.write_text("a\n\nb\n")
    assert use("rlhf", "predict", f"--input={asked}") == 0
    assert [row["prompt"] for row in told("rlhf")] == ["a", "", "b"]
    assert told("rlhf")[1]["completion"] == ""
    assert use("rlhf", "export") == 0
    _, variables = pretrained.load(tmp_path / "rlhf" / "export")
    assert "score" not in variables["params"]
    said = pretrained.generation(tmp_path / "rlhf" / "export")
    assert (said.do_sample, said.max_new_tokens, said.suppress_tokens) == (True, 6, (256,))
    # A language model's answers are judged by it, too; a model without a score has none.
    plain = tmp_path / "plain.py"
    model = "name='gpt', width=16, depth=1, heads=2"
    plain.write_text(CONFIG.format(path=str(table), model=model))
    assert run(f"{plain}:rlhf", tmp_path / "plain", judge, *few) == 0
    plain.write_text(CONFIG.format(path=str(table), model="name='whisper'"))
    capsys.readouterr()
    assert run(f"{plain}:rlhf", tmp_path / "none", judge) == 2
    assert "task 'rlhf' needs a model of texts that has a score too" in capsys.readouterr().err
