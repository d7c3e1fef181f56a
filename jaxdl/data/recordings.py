"""Recordings with what is said in them: a table of files and texts, or a text beside each sound."""

import math

import numpy as np
from etils import epath

from jaxdl.data import Data, audio, register, timed, tokens, transcripts
from jaxdl.data.parts import held_out
from jaxdl.data.sounds import Files, in_memory, samples_in
from jaxdl.data.source_target import Ragged, Specials, specials
from jaxdl.data.transcripts import Pairs, Said
from jaxdl.errors import UserError

# Sounds, what is said in them, and their seconds.
_Lasting = list[tuple[epath.Path, Said, float]]


@register("recordings")
def recordings(
    path: str = "",
    rate: int = 16000,
    seconds: float = 30.0,
    file: str = "file",
    text: str = "text",
    tokenizer: str = "",
    times: bool = False,
    test_fraction: float = 0.1,
    split_seed: int = 0,
    eval_on: str = "test",
) -> Data:
    """``samples`` (n, count), ``length`` (n,) and ``target`` (n, T): sounds, and their texts.

    Targets are ended and filled up (`jaxdl.data.source_target`); sounds are filled up with silence.
    A sound that is longer than ``seconds`` is left out, as its text would not be all of what is
    heard, and so is one without a text: a note counts them. A text without its sound is an error.

    With ``times`` a recording's target has its segments, each between the tokens of the times at
    which it begins and ends, as the published Whisper learned (`jaxdl.data.timed`). A table then
    has the column "segments", a list of {"start", "end", "text"} as in predictions.jsonl, or a row
    a segment with the columns "start" and "end"; beside name.wav stands name.srt or name.vtt.

    Args:
      path: a table (.csv, .jsonl, .tsv); or a folder with transcripts.csv (or metadata.csv) in it,
        with train.csv and test.csv, with folders train and test that are such folders, or with
        name.txt beside each name.wav.
      rate: samples a second that all are brought to.
      seconds: of the longest.
      file: the table's column of files, as they lie below its folder.
      text: its column of what is said.
      tokenizer: a tokenizer.json; "" makes tokens of bytes. Whisper's has a space before a text.
      times: whether targets tell when each segment begins and ends; needs Whisper's tokenizer.
      test_fraction: where there is no test part, the share that is held out, drawn at random.
      split_seed: of the draw.
      eval_on: "test", or "validation" for what the data bring as such, or else for as large a share
        of what is left to learn from.
    """
    count, notes = samples_in(seconds, rate), []
    how = transcripts.How(file, text, times)
    found = {
        part: _short(pairs, seconds, part, notes)
        for part, pairs in transcripts.parts(path, how, notes).items()
    }
    kept = _divided(found, test_fraction, split_seed, eval_on)
    made = tokens.create(tokenizer)
    special = specials(made)
    if times and special.first_time is None:
        raise UserError(
            f"data.tokenizer={tokenizer!r} has no tokens of times, which follow <|notimestamps|> "
            "in that of a published Whisper: set data.tokenizer to its tokenizer.json, or "
            "data.times=False"
        )
    encoded = {
        part: [_encoded(made, special, one, seconds) for one in lasting]
        for part, lasting in kept.items()
    }
    _tell_lacking(made, kept, special.before, notes)
    longest = max(len(x) for part in encoded.values() for x in part) + special.around
    splits = {}
    for part, lasting in kept.items():
        ragged = Ragged.of(encoded[part], special, longest)
        target = ragged.padded(np.arange(len(lasting)), longest, special.pad)
        lengths = np.array([min(count, math.ceil(x * rate - 1e-6)) for *_, x in lasting], np.int32)
        sounds = [sound for sound, *_ in lasting]
        splits[part] = Files(sounds, {"target": target}, rate, count, lengths)
    splits = in_memory(splits)
    return Data(**splits, tokenizer=made, notes=tuple(notes))


def _encoded(
    made: tokens.Tokenizer, special: Specials, one: tuple[epath.Path, Said, float], seconds: float
) -> np.ndarray:
    sound, said, length = one

    def encode(text: str) -> np.ndarray:
        found = made.encode(special.before + text)
        if not len(found):
            raise UserError(f"{sound}: the tokenizer knows nothing of what is said in it, {text!r}")
        if special.spoken and (found >= special.end).any():
            name = made.decode(found[found >= special.end][:1])
            raise UserError(f"{sound}: {text!r} has {name}, which nobody says: leave it out")
        return found

    if isinstance(said, str):
        return encode(said)
    timed.check_within(said, length, seconds)
    return timed.encoded(said, encode, special.first_time)


def _tell_lacking(made: tokens.Tokenizer, kept: dict, before: str, notes: list[str]) -> None:
    """A note of texts with what the tokenizer has no token for: they are learned with its own."""
    unknown = getattr(made, "unknown", None)
    if unknown is None:
        return
    lacking = []
    for sound, said, _ in (one for lasting in kept.values() for one in lasting):
        for text in [said] if isinstance(said, str) else [segment.text for segment in said]:
            found, places = made.encode_in_place(before + text)
            if (found == unknown).any():
                begin, end = places[(found == unknown).argmax()]
                lacking.append(f"{(before + text)[begin:end]!r} in that of {sound.name}")
                break
    if lacking:
        notes.append(
            f"{len(lacking)} of {sum(map(len, kept.values()))} texts have characters that the "
            f"tokenizer lacks, such as {lacking[0]}"
        )


def _short(pairs: Pairs, seconds: float, part: str, notes: list[str]) -> _Lasting:
    """Those that are not too long, each with its seconds.

    Raises:
      UserError: none is.
    """
    lengths = [audio.duration(sound) for sound, _ in pairs]
    timed = [(*pair, length) for pair, length in zip(pairs, lengths, strict=True)]
    kept = [one for one in timed if one[2] <= seconds + 1e-6]
    where = f"of {len(pairs)} recordings of {part}"
    if not kept:
        raise UserError(
            f"none {where} is at most data.seconds={seconds:g} long: the shortest has "
            f"{min(lengths):.1f}"
        )
    if len(kept) < len(pairs):
        notes.append(
            f"{len(pairs) - len(kept)} {where} are longer than data.seconds={seconds:g}, the "
            f"longest {max(lengths):.1f} s, and are left out"
        )
    return kept


def _divided(found: dict[str, _Lasting], fraction: float, seed: int, eval_on: str) -> dict:
    """ "train" and "test", which is the validation part if that is wanted."""
    if "train" not in found:
        raise UserError("data: there is no training part among the recordings")
    train, test, own = (found.get(part) for part in ("train", "test", "validation"))
    if eval_on == "validation":
        if own is not None:
            return {"train": train, "test": own}
        if test is None:
            train, _ = _split_off(train, fraction, seed)
        train, test = _split_off(train, fraction, seed + 1)
        return {"train": train, "test": test}
    if test is None and own is not None:
        return {"train": train, "test": own}
    if test is None:
        train, test = _split_off(train, fraction, seed)
    return {"train": train, "test": test} | ({"validation": own} if own is not None else {})


def _split_off(pairs: _Lasting, fraction: float, seed: int) -> tuple[_Lasting, _Lasting]:
    size = len(pairs)
    count = max(1, held_out(size, fraction))
    if count >= size:
        raise UserError(f"data: {size} recordings cannot be split {fraction:g} off")
    order = np.random.default_rng(seed).permutation(size)
    pick = lambda places: [pairs[i] for i in np.sort(places)]
    return pick(order[count:]), pick(order[:count])
