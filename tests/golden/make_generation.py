"""What transformers' generate writes, for tests/test_generation.py.

    pip install torch==2.13.0 transformers
    python tests/golden/make_generation.py

Small models, three of them make_language.py's, whose weights are drawn by tensors' names
(seeded.py), in float64: greedy, and by beam search, with every rule alone and together, of prompts
and sources of unequal length. A case is kept if weights that are off by 1e-5 write the same texts:
no tie, then, that rounding could break. generation.npz keeps of each case its settings, its inputs
and the tokens that were added, of beams their scores.
"""

import collections
import json
import sys
import tempfile
from pathlib import Path

import make_language
import numpy as np
import seeded
import torch
import transformers as theirs
from make_language import HEADS, HERE, VOCABULARY, WIDTH, drawn
from safetensors import safe_open

NEW = 12
SOURCE_MASK = np.array([[1] * 7 + [0] * 2, [1] * 9, [0] * 3 + [1] * 6, [1] * 2 + [0] * 7])
PROMPT_MASK = np.array([[0] * 2 + [1] * 2, [1] * 4, [0] * 3 + [1], [0] + [1] * 3])


def gpt2():
    """Theirs, small."""
    config = theirs.GPT2Config(
        vocab_size=VOCABULARY, n_positions=24, n_embd=WIDTH, n_layer=2, n_head=HEADS,
        bos_token_id=None, eos_token_id=None, attn_implementation="eager",
    )  # fmt: skip
    return theirs.GPT2LMHeadModel(config)


MODELS = {
    "gpt2": gpt2,
    **{name: make_language.CASES[name] for name in ("t5", "t5_untied", "bart")},
}

_ALL = dict(no_repeat_ngram_size=2, repetition_penalty=1.3, min_new_tokens=5)
_FORCED = dict(forced_bos_token_id=9, forced_eos_token_id=4)
# What texts would have: see `avoided`.
_WORDS, _TOKENS, _FIRST = "words", "tokens", "first"
# By the names of transformers' settings.
SETTINGS = {
    "greedy": {},
    "greedy_ngrams": dict(no_repeat_ngram_size=2),
    "greedy_repeated": dict(repetition_penalty=1.5),
    "greedy_long": dict(min_length=9),
    "greedy_forced": _FORCED,
    "greedy_all": dict(_ALL, forced_eos_token_id=4),
    "greedy_words": dict(bad_words_ids=_WORDS),
    "greedy_suppressed": dict(suppress_tokens=_TOKENS, begin_suppress_tokens=_FIRST),
    "beams_2": dict(num_beams=2),
    "beams_3": dict(num_beams=3, num_return_sequences=3),
    "beams_3_at_once": dict(num_beams=3, num_return_sequences=2, early_stopping=True),
    "beams_3_never": dict(num_beams=3, num_return_sequences=3, early_stopping="never"),
    "beams_3_short": dict(num_beams=3, num_return_sequences=3, length_penalty=-1.0),
    "beams_3_long": dict(
        num_beams=3, num_return_sequences=3, length_penalty=2.0, early_stopping="never"
    ),
    "beams_3_long_early": dict(num_beams=3, num_return_sequences=3, length_penalty=2.0),
    "beams_3_flat": dict(num_beams=3, num_return_sequences=3, length_penalty=0.0),
    "beams_4_ngrams": dict(num_beams=4, num_return_sequences=4, no_repeat_ngram_size=3),
    "beams_4_repeated": dict(num_beams=4, num_return_sequences=4, repetition_penalty=1.5),
    "beams_4_min": dict(num_beams=4, num_return_sequences=4, min_new_tokens=6),
    "beams_4_forced": dict(num_beams=4, num_return_sequences=2, **_FORCED),
    # As bart-large-cnn has them.
    "beams_4_summary": dict(
        num_beams=4, length_penalty=2.0, early_stopping=True, no_repeat_ngram_size=3,
        min_length=6, **_FORCED,
    ),
    "beams_4_words": dict(
        num_beams=4, num_return_sequences=4, bad_words_ids=_WORDS, suppress_tokens=_TOKENS
    ),
    "beams_4_first": dict(
        num_beams=4, num_return_sequences=2, begin_suppress_tokens=_FIRST, **_FORCED
    ),
    "beams_5": dict(num_beams=5, num_return_sequences=5),
    "beams_5_all": dict(
        _ALL, num_beams=5, num_return_sequences=5, length_penalty=0.7, early_stopping="never"
    ),
}  # fmt: skip

# Those whose targets begin with more than the token that starts them.
LONGER = ("greedy_ngrams", "beams_3_never", "beams_5")


def model_of(name):
    """(config.json, shapes of tensors, the model with drawn weights)."""
    model = MODELS[name]()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        config = json.loads((Path(folder) / "config.json").read_text())
        with safe_open(Path(folder) / "model.safetensors", "np") as file:
            tensors = {n: file.get_slice(n).get_shape() for n in file.keys()}  # noqa: SIM118
    model = model.double().eval()
    state = {n: torch.from_numpy(seeded.weight(n, s)).double() for n, s in tensors.items()}
    model.load_state_dict(state, strict=False)
    if name != "t5_untied":
        model.tie_weights()
    return config, tensors, model


def inputs_of(name, case):
    """What generate takes of tokens: half of the cases begin with more than one token."""
    prompt = drawn(PROMPT_MASK.shape, "prompt") * PROMPT_MASK
    if name == "gpt2":
        return dict(input_ids=prompt, attention_mask=PROMPT_MASK)
    found = dict(input_ids=drawn(SOURCE_MASK.shape, "source"), attention_mask=SOURCE_MASK)
    if case in LONGER:
        start = 0 if name.startswith("t5") else 2
        first = PROMPT_MASK.argmax(1)
        prompt[np.arange(len(prompt)), first] = start
        prompt[PROMPT_MASK == 0] = 0 if start == 0 else 1
        found |= dict(decoder_input_ids=prompt, decoder_attention_mask=PROMPT_MASK)
    return found


def written(model, inputs, settings, stops):
    """Tokens behind the prompt (batch, returned, new), and scores of beams."""
    torched = {name: torch.from_numpy(x) for name, x in inputs.items()}
    with torch.no_grad():
        found = model.generate(
            **torched, max_new_tokens=NEW, do_sample=False, output_scores=True,
            return_dict_in_generate=True, eos_token_id=stops, pad_token_id=0, **settings,
        )  # fmt: skip
    prompt = inputs.get("decoder_input_ids", inputs["input_ids"])
    length = 1 if "decoder_input_ids" not in inputs and model.config.is_encoder_decoder else (
        prompt.shape[1]
    )  # fmt: skip
    made = found.sequences[:, length:].numpy()
    # The end of a text is told by its first stop; what beam search fills it up with is another.
    made = np.pad(made, ((0, 0), (0, NEW - made.shape[1])))
    for row in made:
        end = next((i for i, x in enumerate(row) if x in stops), NEW)
        row[end + 1 :] = 0
    made = made.reshape(len(prompt), -1, NEW).astype(np.int8)
    scores = getattr(found, "sequences_scores", None)
    return made, None if scores is None else scores.numpy().reshape(made.shape[:2])


def usual(model, inputs):
    """Two tokens that texts often have in their middle: they will end many, soon or late."""
    made, _ = written(model, inputs, dict(num_beams=3, num_return_sequences=3), [VOCABULARY - 1])
    count = np.bincount(made[..., 3:9].reshape(-1), minlength=VOCABULARY)
    return np.argsort(-count, kind="stable")[1:3].tolist()


def avoided(model, inputs, stops):
    """What is to be left out, by its placeholder: rows and tokens that the likeliest texts have."""
    made, _ = written(model, inputs, dict(num_beams=3, num_return_sequences=3), stops)
    texts = [[int(x) for x in text if x not in stops] for text in made.reshape(-1, NEW)]

    def usual(rows, count):
        return [list(row) for row, _ in collections.Counter(map(tuple, rows)).most_common(count)]

    of_length = lambda n: [text[i : i + n] for text in texts for i in range(len(text) - n + 1)]
    tokens = [token for (token,) in usual(of_length(1), 3)]
    # One that ends a text is no such row, and one behind what never comes is in nobody's way.
    rows = [*usual(of_length(2), 2), *usual(of_length(3), 2), tokens[:1], stops[:1]]
    first = sorted({x for text in texts for x in text[:2]})[:4]
    return {_WORDS: [*rows, [VOCABULARY - 1, 5, 6]], _TOKENS: tokens[1:], _FIRST: first}


def whole(arrays, fill):
    """One array of them all, (cases, batch, 5, …)."""
    shape = len(arrays), len(SOURCE_MASK), 5, *arrays[0].shape[2:]
    found = np.full(shape, fill, arrays[0].dtype)
    for row, array in zip(found, arrays, strict=True):
        row[:, : array.shape[1]] = array
    return found


def main():
    """Writes generation.npz."""
    about, arrays = {}, {}
    for name in MODELS:
        config, tensors, model = model_of(name)
        _, _, near = model_of(name)
        noise = torch.Generator().manual_seed(0)
        for p in near.parameters():
            p.data *= 1 + 1e-5 * torch.randn(p.shape, generator=noise, dtype=p.dtype)
        stops = usual(model, inputs_of(name, ""))
        left_out = avoided(model, inputs_of(name, ""), stops)
        cases, texts, scores = {}, [], []
        for case, settings in SETTINGS.items():
            settings = {k: left_out.get(str(x), x) for k, x in settings.items()}
            if name == "gpt2" or "decoder_input_ids" in inputs_of(name, case):
                settings.pop("forced_bos_token_id", None)  # of prompts of one token
            inputs = inputs_of(name, case)
            made, score = written(model, inputs, settings, stops)
            others, _ = written(near, inputs, settings, stops)
            ends = np.isin(made, stops).any(-1).mean()
            same = np.array_equal(made, others)
            print(name, case, f"{ends:.2f} end", "" if same else "LEFT OUT: a tie", flush=True)
            if same:
                cases[case] = settings
                texts.append(made)
                scores.append(np.zeros(made.shape[:2], np.float32) if score is None else score)
        inputs = {k: inputs_of(name, k) for k in ("greedy", "beams_5")}
        inputs = {k: {n: x.tolist() for n, x in given.items()} for k, given in inputs.items()}
        about[name] = dict(config=config, tensors=tensors, stops=stops, cases=cases, inputs=inputs)
        arrays[f"{name}/texts"], arrays[f"{name}/scores"] = whole(texts, -1), whole(scores, 0)
    about["longer"] = LONGER
    about["made_with"] = f"torch {torch.__version__}, transformers {theirs.__version__}"
    path = HERE / "generation.npz"
    np.savez_compressed(path, about=np.array(json.dumps(about)), **arrays)
    print(path.name, path.stat().st_size)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    torch.set_num_threads(1)
    main()
