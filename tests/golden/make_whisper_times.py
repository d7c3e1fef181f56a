"""Times in what transformers' Whisper learns and writes, for tests/test_timed_whisper.py and
tests/test_words.py.

    pip install torch==2.13.0 transformers
    python tests/golden/make_whisper_times.py

The model is that of make_whisper.py. whisper_times.json keeps the tokenizer.json of a small
vocabulary whose special tokens stand as in the published ones, the labels that transformers' own
tokenizer makes of texts with times, and the loss of them; the times of the tokens that generate
writes of long recordings, by given heads; and the words that it puts tokens together to.
"""

import json
import logging
import sys
from pathlib import Path

import numpy as np
import torch
import transformers as theirs
from make_whisper import (
    END,
    LONG,
    STATES,
    SUPPRESSED,
    VOCABULARY,
    model_of,
    settings_of,
    spectrogram,
    theirs_of,
)
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AddedToken
from transformers.models.whisper.tokenization_whisper import _combine_tokens_into_words

HERE = Path(__file__).parent
SPECIAL = (
    *("<|startoftranscript|>", "<|en|>", "<|de|>", "<|fr|>", "<|translate|>", "<|transcribe|>"),
    *("<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"),
)
TIMES = [f"<|{0.02 * i:.2f}|>" for i in range(STATES + 1)]
PASSAGE = """
The harbour lay quiet under a thin red fog, and nobody on the long pier had spoken for an hour.
Green lamps swung from the masts; a blue one, nearer, went out and was lit again. Somewhere a bell
counted the waves. "Seven," said the pilot, "eight, and then the tide will turn." He was right, as
pilots are when there is nothing left to do but wait, and the first boats came in with the light.
"""
# {recording: [(start, end, text), …]}, seconds; 0.6 are heard.
SAID = [
    [(0.003, 0.314, "The red lamp was lit."), (0.314, 0.5999, "Nobody spoke.")],
    [(0.056, 0.12, "Seven, eight,")],
    [(0.0, 0.071, "Green."), (0.071, 0.334, "Blue!"), (0.429, 0.6, "The tide will turn")],
]

HEADS = [[0, 1], [1, 0], [1, 2]]
# {case: what generate is given}
HEARD = {
    "plain": dict(language="en"),
    "beams": dict(language="de", num_beams=3),
    "previous": dict(language="en", condition_on_prev_tokens=True),
}
# {text: its language}
WORDS = {
    ' "Seven," said the pilot (he was right); "eight -- and then?"': "english",
    " One, two... 3.5% of 'it' – naïve, don't!": "english",
    " 港は静かだった。\U0001f6a2 「七」": "japanese",
    " L'été, ça va\u00a0? ¿Qué? [sic]": "french",
    "": "english",
}


def tokenizer():
    """Byte pairs up to the end token's number, and the special ones behind them."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=END, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator([PASSAGE], trainer)
    bpe = json.loads(made.to_str())["model"]
    assert len(bpe["vocab"]) == END
    own = theirs.WhisperTokenizer(vocab=bpe["vocab"], merges=[tuple(x) for x in bpe["merges"]])
    own.add_special_tokens({"additional_special_tokens": list(SPECIAL)})
    # Of the published ones they are no special tokens.
    own.add_tokens([AddedToken(time, normalized=False, special=False) for time in TIMES])
    assert len(own) == VOCABULARY, len(own)
    assert own.convert_tokens_to_ids(["<|endoftext|>", *SPECIAL]) == [*range(END, END + 11)]
    own.set_prefix_tokens(language="en", task="transcribe", predict_timestamps=True)
    return own


def labels_of(own):
    """(n, T), -100 behind each; without the token that all begin with, as a collator leaves it."""
    rows = []
    for said in SAID:
        tell = lambda seconds: TIMES[int(np.round(seconds / 0.02))]
        text = "".join(f"{tell(a)} {words}{tell(b)}" for a, b, words in said)
        rows.append(own(text).input_ids[1:])
    longest = max(map(len, rows))
    return np.array([row + [-100] * (longest - len(row)) for row in rows])


def heard(model, x, given):
    """Segments of one recording (1, frames, bands): [([tokens], [seconds]), …]."""
    model.generation_config, kept = settings_of(dict(SUPPRESSED, alignment_heads=HEADS))
    given = dict(condition_on_prev_tokens=False) | given
    mask = torch.ones((1, x.shape[1]), dtype=torch.long)
    with torch.no_grad():
        found = model.generate(
            theirs_of(x),
            attention_mask=mask,
            return_timestamps=True,
            return_segments=True,
            return_token_timestamps=True,
            do_sample=False,
            **given,
        )
    rows = [(s["tokens"].tolist(), s["token_timestamps"].tolist()) for s in found["segments"][0]]
    return rows, kept


def words_of(own):
    """{text: (tokens, language, words)}."""
    found = {}
    for text, language in WORDS.items():
        tokens = own(text, add_special_tokens=False).input_ids
        words, _, places = _combine_tokens_into_words(own, tokens, language)
        found[text] = (tokens, language, [*zip(words, places, strict=True)])
        print(found[text][2])
    return found


def main():
    """Writes whisper_times.json."""
    own = tokenizer()
    labels = labels_of(own)
    print(labels)
    _, _, drawn = model_of()
    x = spectrogram(2 * STATES, "short")
    with torch.no_grad():
        loss = drawn()(input_features=theirs_of(x), labels=torch.from_numpy(labels)).loss.item()
    print(loss)
    long, recordings = spectrogram(LONG, "long"), {}
    model, near = drawn(), drawn(1e-5)
    for case, given in HEARD.items():
        for row in range(2):
            rows, kept = heard(model, long[row : row + 1], given)
            again, _ = heard(near, long[row : row + 1], given)
            same = [x for x, _ in rows] == [x for x, _ in again]
            off = max(
                np.abs(np.subtract(a, b)).max() for (_, a), (_, b) in zip(rows, again, strict=False)
            )
            ended = sum(END in x for x, _ in rows)
            print(case, row, len(rows), "segments", ended, off, "" if same else "LEFT OUT: a tie")
            if same and off < 0.01:
                recordings[f"{case}_{row}"] = dict(
                    settings=kept, given=given, segments=rows, row=row
                )
    found = dict(
        recordings=recordings, words=words_of(own),
        tokenizer=json.loads(own.backend_tokenizer.to_str()), said=SAID, labels=labels.tolist(),
        loss=loss, made_with=f"torch {torch.__version__}, transformers {theirs.__version__}",
    )  # fmt: skip
    path = HERE / "whisper_times.json"
    path.write_text(json.dumps(found, ensure_ascii=True, separators=(",", ":")) + "\n")
    print(path.name, path.stat().st_size)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    main()
