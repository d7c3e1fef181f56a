"""Preferences of encoder-decoders: prompts are read, answers are written and judged."""

import json

import jax
import jax.numpy as jnp
import numeric
import numpy as np
import pytest
from launching import run, summary

from jaxdl import keys, launch, models, pretrained
from jaxdl.data.source_target import Specials
from jaxdl.tasks import preference, reward_model
from jaxdl.tasks.shared import answering, apart

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
    assert [row["source"] for row in told("preference")] == ["a", "a"]
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
    capsys.readouterr()
    judge = f"--config.task.reward={tmp_path / 'reward_model'}"
    plain = tmp_path / "plain.py"
    model = "name='gpt', width=16, depth=1, heads=2"
    plain.write_text(CONFIG.format(path=str(table), model=model))
    assert run(f"{plain}:rlhf", tmp_path / "rlhf", judge) == 2
    assert "is a run of an encoder-decoder" in capsys.readouterr().err
    assert run(f"{config}:rlhf", tmp_path / "rlhf") == 2
    assert "needs a language model that has a score too" in capsys.readouterr().err
