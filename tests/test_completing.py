"""What language models answer to prompts of the user's."""

import operator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import keys, models, pretrained
from jaxdl.data import asked, tokens
from jaxdl.data.answered import Vocabulary
from jaxdl.errors import UserError
from jaxdl.tasks.shared import completing


class State(NamedTuple):
    """A state of which the variables count."""

    variables: Any


@pytest.fixture(scope="module")
def own():
    """A tiny GPT of bytes with an end, and a state that has its variables."""
    module = models.create("gpt", vocab_size=257, context=12, width=16, depth=1, heads=2)
    variables = jax.jit(module.init)(keys.root(0), jnp.zeros((1, 1), jnp.int32))
    variables = jax.tree.map(lambda x: 20 * x, variables)  # so that few tokens are likely
    get = operator.attrgetter("variables")
    made = completing.Completer(module, get, tokens.create(""), 256, "ask", 4, temperature=0.0)
    return made, State(variables=variables)


def test_each_prompt_is_answered_as_if_it_were_alone(own, tmp_path):
    completer, state = own
    texts = ["abc", "", "z", "abcdefghijk"]
    file = tmp_path / "asked.txt"
    file.write_text("\n".join(texts) + "\n")
    found = completing.answer(completer, state, str(file), 2)
    assert [said.record["prompt"] for said in found] == texts
    logits = jax.jit(completer.module.apply)
    for text, said in zip(texts, found, strict=True):
        assert said.text == said.record["completion"]
        whole = [*text.encode()]
        # As many as the context has room for, without a cache, and nothing in front.
        for _ in range(min(4, 12 - len(text)) if text else 0):
            padded = np.array([whole + [0] * (12 - len(whole))], np.int32)
            whole.append(int(logits(state.variables, padded)[0, len(whole) - 1].argmax()))
        assert said.text == completer.text(np.array(whole[len(text) :], np.int32))


def test_what_is_asked_for_is_a_line_where_it_cannot_be(own, tmp_path):
    completer, state = own
    file = tmp_path / "asked.jsonl"
    file.write_text('{"ask": "ab"}\n{"ask": "abcdefghijkl"}\n')
    with pytest.raises(UserError, match=r"asked\.jsonl, line 2: the prompt has 12 tokens, and the"):
        completing.answer(completer, state, str(file), 2)
    judged = lambda: asked.answers(str(file), "ask", tokens.create(""), Vocabulary(257, 256), 8)
    with pytest.raises(UserError, match="line 1: no column 'completion'"):
        judged()
    file.write_text('{"ask": "ab", "completion": "abcdefghij"}\n')
    found = judged()
    assert found.notes == ("1 of 1 answers did not fit into config.data.context=8: cut",)
    np.testing.assert_array_equal(found.texts.text.tokens, [*b"ab", *b"abcdef"])


def test_what_goes_out_has_no_head_and_says_how_it_answers(own, tmp_path):
    completer, state = own
    params = {**state.variables["params"], "head": {"kernel": np.zeros((16, 1), np.float32)}}
    drawn = completer._replace(temperature=0.7, top_p=0.9)
    completing.publish(drawn, State(variables={"params": params}), tmp_path)
    module, variables = pretrained.load(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, variables, state.variables)
    assert module.context == 12
    said = pretrained.generation(tmp_path)
    assert (said.do_sample, said.temperature, said.top_k, said.top_p) == (True, 0.7, 0, 0.9)
    assert (said.eos_token_id, said.max_new_tokens) == (256, 4)
