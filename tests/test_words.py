"""When words are said: the tokens' times are those of transformers, and so are the words.

golden/whisper_times.json is made by golden/make_whisper_times.py; weights and spectrograms are
drawn here anew.
"""

import functools
import itertools

import numpy as np
import pytest
from test_timed_whisper import times
from test_whisper import golden, spectrogram, theirs, whisper, write  # noqa: F401

from jaxdl.data.tokens import Vocabulary
from jaxdl.errors import UserError
from jaxdl.generate import Settings, Speech
from jaxdl.inference import alignment, transcribe, words
from jaxdl.inference.transcribe import UNLIMITED, Transcriber
from jaxdl.inference.transcriber import of_weights

FILES = ("jaxdl/inference/", "jaxdl/generate/", "jaxdl/models/whisper.py")
CASES = [
    case if case == "plain_0" else pytest.param(case, marks=pytest.mark.slow(*FILES))
    for case in times()["recordings"]
]


@functools.cache
def vocabulary():
    pytest.importorskip("tokenizers")
    import json

    made = Vocabulary.__new__(Vocabulary)
    made._read(json.dumps(times()["tokenizer"]), "x")
    return made


@pytest.mark.parametrize("case", CASES)
def test_tokens_end_when_transformers_has_them_end(case, whisper, monkeypatch):  # noqa: F811
    found = times()["recordings"][case]
    own = {k: x for k, x in found["given"].items() if k != "return_segments"}
    settings = Settings.of({**found["settings"], **own, "return_token_timestamps": True})
    ends = []
    of_tokens = lambda whisper, known, heard, found, *_: ends.append((heard, found)) or heard
    monkeypatch.setattr(transcribe, "_with_words", of_tokens)
    hears = Transcriber(*whisper, settings, UNLIMITED)
    heard = transcribe.of_spectrogram(hears, spectrogram("long", 170)[found["row"]])
    assert [s.tokens for s in heard.segments] == [tokens for tokens, _ in found["segments"]]
    wanted = iter(found["segments"])
    for segments, seconds in ends:
        place = 0
        for segment, (tokens, expected) in zip(segments, wanted, strict=False):
            ours = seconds[place : place + len(tokens)]
            np.testing.assert_allclose(ours, expected, atol=0.0201)
            # To the float32 of theirs all but a few are the same frame.
            assert np.mean(np.abs(ours - expected) < 1e-3) > 0.9
            place += len(segment.tokens)


@pytest.mark.parametrize("text", [*times()["words"]])
def test_words_are_those_of_transformers(text):
    tokens, language, expected = times()["words"][text]
    code = {"english": "en", "japanese": "ja", "french": "fr"}[language]
    starts = np.arange(len(tokens))
    found = words.of_tokens(tokens, starts, starts + 0.5, vocabulary().decode, code)
    assert [(w.text, w.start, w.end) for w in found] == [
        (word, places[0], places[-1] + 0.5) for word, places in expected
    ]


def cheapest(price):
    """(cost, the first frames of the tokens) of all paths through a small matrix, by trying."""
    T, S = price.shape
    best = (np.inf, None)
    # A path is a frame at which each token begins and, since it may share one, where it ends.
    for begins in itertools.combinations_with_replacement(range(S), T - 1):
        for shared in itertools.product((0, 1), repeat=T - 1):
            first = [0, *begins]
            last = [b - 1 + s for b, s in zip(begins, shared, strict=True)] + [S - 1]
            if any(a > b for a, b in zip(first, last, strict=True)):
                continue
            cost = sum(price[i, a : b + 1].sum() for i, (a, b) in enumerate(zip(first, last,
                       strict=True)))  # fmt: skip
            best = min(best, (cost, first), key=lambda x: x[0])
    return best


@pytest.mark.parametrize("shape", [(1, 4), (2, 2), (3, 5), (4, 3)])
def test_the_path_is_the_cheapest(shape):
    draws = np.random.default_rng(sum(shape))
    for _ in range(20):
        belonging = draws.normal(size=shape)
        assert alignment.path(belonging).tolist() == cheapest(-belonging)[1]


def test_weights_are_standardised_and_smoothed():
    draws = np.random.default_rng(0)
    weights = draws.uniform(size=(2, 5, 12))
    standard = (weights - weights.mean(1, keepdims=True)) / weights.std(1, keepdims=True)
    expected = np.zeros((5, 12))
    for head, token, frame in np.ndindex(2, 5, 12):
        places = [abs(x) if x < 12 else 22 - x for x in range(frame - 3, frame + 4)]
        expected[token, frame] += np.median(standard[head, token, places]) / 2
    np.testing.assert_allclose(alignment.matrix(weights), expected, rtol=1e-5, atol=1e-6)
    # Where all tokens look alike nothing is told, and nothing breaks.
    assert (alignment.matrix(np.full((2, 3, 9), 0.25)) == 0).all()
    assert alignment.matrix(weights[..., :2]).shape == (5, 2)


def test_words_stand_in_their_segments(whisper):  # noqa: F811
    found = times()["recordings"]["plain_0"]
    settings = Settings.of({**found["settings"], "language": "en"})
    asked = of_weights(*whisper, settings, vocabulary(), UNLIMITED, return_token_timestamps=True)
    heard = transcribe.of_spectrogram(asked, spectrogram("long", 170)[found["row"]])
    for segment in heard.segments:
        assert "".join(word.text for word in segment.words) == segment.text
        said = [(word.start, word.end) for word in segment.words]
        assert all(a <= b for a, b in said)
        assert all(a[1] <= b[0] + 1e-9 for a, b in itertools.pairwise(said))
        assert not said or (said[0][0] >= 0 and said[-1][1] <= 1.7)
    plain = of_weights(*whisper, settings, vocabulary(), UNLIMITED)
    same = transcribe.of_spectrogram(plain, spectrogram("long", 170)[found["row"]])
    assert [s._replace(words=None) for s in heard.segments] == same.segments


def test_heads_that_are_not_there_are_one_line(whisper):  # noqa: F811
    said = golden()[0]["calls"]["detected"]["settings"]
    asked = dict(return_token_timestamps=True)
    for heads, message in (
        (None, "does not say which heads .* it needs alignment_heads"),
        ([[0]], r"alignment_heads=\[\[0\]\] must be pairs"),
        ([[0, 3]], r"\[0, 3\] is no head of this model, which has 2 layers of 3"),
        ([[2, 0]], r"\[2, 0\] is no head of this model"),
    ):
        settings = Settings.of({**said, "alignment_heads": heads})
        with pytest.raises(UserError, match=message):
            of_weights(*whisper, settings, vocabulary(), UNLIMITED, **asked)
    # What is not asked for is not looked at.
    settings = Settings.of({**said, "alignment_heads": [[2, 0]]})
    assert Speech.of(of_weights(*whisper, settings, vocabulary()).settings).alignment == ((2, 0),)
