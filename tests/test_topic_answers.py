"""Answers of Python's documentation, the rule they are preferred by, and what was made of it."""

import numpy as np
import pytest
import tiny
from launching import run, summary

from benchmarks import records
from benchmarks.page import with_figures
from benchmarks.preferences import rule
from jaxdl.data import topic_answers as topics
from jaxdl.errors import UserError


def said(data, side, i):
    """(prompt, answer) of a split's row."""
    tokens = side.text.tokens[side.text.starts[i] : side.text.starts[i + 1]]
    cut = side.front[i]
    return tuple(data.tokenizer.decode(x[x < 256]) for x in (tokens[:cut], tokens[cut:]))


@pytest.fixture(scope="module")
def preferred():
    return topics.topic_preferences(pairs=200, noise=0.1)


@pytest.mark.parametrize(
    "answer, worth",
    [("It is so.", 2), ("Is it? ", 2), ("It is", 1), ("In 3.14 it is", 0), ("It has 2.", 1)],
)
def test_the_rule_is_two_things(answer, worth):
    assert topics.reward(answer) == worth


def test_answers_stand_in_the_text_behind_their_prompts_and_what_is_held_out_does_not():
    data = topics.topic_answers(examples=300)
    learned, held = topics._parts(0.1, "test")
    assert (len(data.train), len(data.test)) == (300, 30)
    for split, text in ((data.train, learned), (data.test, held)):
        rows = [said(data, split.texts, i) for i in range(len(split))]
        assert all("".join(row) in text for row in rows)
        assert all(1 < len(p) <= topics.PROMPT and len(a) <= topics.LONGEST for p, a in rows)
        assert all(p.endswith(" ") and not a.endswith(" ") for p, a in rows)
    batch = data.train.take(np.arange(300))
    ends = (batch["tokens"][:, 1:] == 256) & (batch["weight"] > 0)
    assert (ends.sum(axis=1) == 1).all()
    whole = [topics.reward(said(data, data.train.texts, i)[1]) == 2 for i in range(300)]
    assert 0.04 < np.mean(whole) < 0.25


def test_of_two_answers_the_better_is_preferred_but_for_the_noise(preferred):
    split = preferred.train
    rewards = []
    for i in range(200):
        (prompt, chosen), (same, rejected) = (
            said(preferred, side, i) for side in (split.chosen, split.rejected)
        )
        assert prompt == same
        assert chosen.startswith(rejected) or rejected.startswith(chosen)
        rewards.append((topics.reward(chosen), topics.reward(rejected)))
    better, worse = np.transpose(rewards)
    assert (better < worse).sum() == 20
    assert (better > worse).sum() == 180


def test_draws_are_of_the_seed_and_prompts_of_what_is_held_out(preferred):
    again, other = (topics.topic_preferences(pairs=200, data_seed=seed) for seed in (0, 1))
    assert again.train.fingerprint() == preferred.train.fingerprint()
    assert other.train.fingerprint() != preferred.train.fingerprint()
    found = topics.prompts(20, data_seed=1)
    assert len(found) == 20
    assert all(prompt in topics._parts(0.1, "test")[1] for prompt in found)


@pytest.mark.parametrize(
    "settings, says",
    [
        (dict(noise=1.0), r"data.noise=1.0 must be at least 0 and below 1"),
        (dict(pairs=3), "3 examples must be at least 10"),
        (dict(test_fraction=0.0), "data.test_fraction=0.0 leaves texts of"),
    ],
)
def test_what_cannot_be_had_is_one_line(settings, says):
    with pytest.raises(UserError, match=says):
        topics.topic_preferences(**settings)


def test_the_first_of_the_best_reward_is_chosen_and_a_draw_is_half_a_win():
    rows = [dict(completion=str(i), reward=x) for i, x in enumerate([0, 2, 1, 3, 5, 4, 4, 0])]
    assert rule.best_of(rows, 4) == {1: ["0", "4"], 2: ["1", "4"], 4: ["3", "4"]}
    found = rule.figures(["It is.", "It", "It 2"], ["It", "It", "It is."])
    assert found["win_rate"] == 0.5
    assert found["reward"] == 1.0
    assert found["right"] == pytest.approx(1 / 3)


def test_points_become_a_table_and_a_chart():
    one = dict(reward=1.5, right=0.5, win_rate=0.75, length=30.0)
    points = [dict(by="best of n", n=2, kl=0.2, **one), dict(by="best of n", n=4, kl=0.6, **one)]
    points += [dict(by=by, beta=0.1, kl=1.0, **one) for by in ("dpo", "ppo")]
    rows = rule.table({"points": points}).splitlines()
    assert rows[2] == "| best of 2 | 0.20 | 1.50 | 0.50 | 0.75 | 30 |"
    assert rows[4].startswith("| dpo, β = 0.1 | 1.00 |")
    assert "KL from the start" in rule.chart({"points": points}).data.decode()


def test_the_page_holds_what_is_stored():
    stored, page = records.stored(rule.RESULTS), rule.PAGE.read_text()
    assert with_figures(page, rule.page(stored), "rule") == page
    assert rule.CHART.exists() == bool(stored)


@pytest.mark.slow("jaxdl/data/topic_answers.py", "preferences:sft", "preferences:rule")
def test_fine_tuned_and_then_learned_from_preferences(tmp_path):
    assert run("preferences:sft", tmp_path / "sft", *tiny.FLAGS["preferences:sft"]) == 0
    first = f"--config.pretrained.source={tmp_path / 'sft'}"
    flags = (*tiny.FLAGS["preferences:rule"], first)
    assert run("preferences:rule", tmp_path / "rule", *flags) == 0
    final = summary(tmp_path / "rule")["final"]
    assert 0 < final["loss"] < 1
