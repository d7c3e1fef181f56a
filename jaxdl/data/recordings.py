"""Recordings with what is said in them: a table of files and texts, or a text beside each sound."""

import re
from collections.abc import Callable

import numpy as np

from jaxdl.data import Data, clips, left_out, register, timed, tokens, transcripts
from jaxdl.data.clips import Clip
from jaxdl.data.left_out import LeftOut
from jaxdl.data.parts import held_out
from jaxdl.data.sound_files import Files, in_memory
from jaxdl.data.sounds import samples_in
from jaxdl.data.source_target import Ragged, Specials, specials
from jaxdl.data.transcripts import Told
from jaxdl.errors import UserError


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
    broken: float = 0.5,
) -> Data:
    """``samples`` (n, count), ``length`` (n,) and ``target`` (n, T): sounds, and their texts.

    Targets are ended and filled up (`jaxdl.data.source_target`); sounds are filled up with silence.
    A sound that is longer than ``seconds`` is left out, as its text would not be all of what is
    heard, and so is one without a text: a note counts them. What cannot be used, a file that is no
    sound or a text without one, is left out, too, and named.

    With ``times`` a recording's target has its segments, each between the tokens of the times at
    which it begins and ends, as the published Whisper learned (`jaxdl.data.timed`). A table then
    has the column "segments", a list of {"start", "end", "text"} as in predictions.jsonl, or a row
    a segment with the columns "start" and "end"; beside name.wav stands name.srt or name.vtt. What
    is longer than ``seconds`` is cut between its segments (`jaxdl.data.timed_windows`).

    Args:
      path: a table (.csv, .jsonl, .tsv); or a folder with transcripts.csv (or metadata.csv) in it,
        with train.csv and test.csv, with folders train and test that are such folders, or with
        name.txt beside each name.wav.
      rate: samples a second that all are brought to.
      seconds: that are heard at a time.
      file: the table's column of files, as they lie below its folder.
      text: its column of what is said.
      tokenizer: a tokenizer.json; "" makes tokens of bytes. Whisper's has a space before a text.
      times: whether targets tell when each segment begins and ends; needs Whisper's tokenizer.
      test_fraction: where there is no test part, the share that is held out, drawn at random.
      split_seed: of the draw.
      eval_on: "test", or "validation" for what the data bring as such, or else for as large a share
        of what is left to learn from.
      broken: share of the recordings that may be of no use, and are left out; 0 ends with the
        first.
    """
    count, told = samples_in(seconds, rate), Told([], LeftOut(broken, "recordings"))
    how = transcripts.How(file, text, times)
    found = transcripts.parts(path, how, told)
    told.left.check(sum(map(len, found.values())))
    found = {part: clips.heard(pairs, seconds, times, part, told) for part, pairs in found.items()}
    told.left.check(sum(map(len, found.values())))
    found = _divided(found, test_fraction, split_seed, eval_on)
    kept = {part: clips.cut(whole, seconds, part, told) for part, whole in found.items()}
    made = tokens.create(tokenizer)
    special = specials(made)
    if times and special.first_time is None:
        raise UserError(
            f"data.tokenizer={tokenizer!r} has no tokens of times, which follow <|notimestamps|> "
            "in that of a published Whisper: set data.tokenizer to its tokenizer.json, or "
            "data.times=False"
        )
    encoded = {}
    for part, own in kept.items():
        texts = [told.left.tried(_encoded, made, special, clip) for clip in own]
        usable = left_out.kept(texts)
        kept[part], encoded[part] = [own[i] for i in usable], [texts[i] for i in usable]
    told.left.check(sum(map(len, kept.values())))
    _check_parts(kept, told.left)
    _tell_lacking(made, kept, special.before, told.notes)
    longest = max(len(x) for part in encoded.values() for x in part) + special.around
    splits = {}
    for part, own in kept.items():
        ragged = Ragged.of(encoded[part], special, longest)
        target = ragged.padded(np.arange(len(own)), longest, special.pad)
        lengths = np.array([clip.samples(rate, count) for clip in own], np.int32)
        starts = np.array([clip.start for clip in own])
        where = ([clip.sound for clip in own], {"target": target}, rate, count)
        splits[part] = Files(*where, lengths, starts, broken)
    splits = in_memory(splits, told.left)
    return Data(**splits, tokenizer=made, notes=(*told.notes, *told.left.notes()))


def _encoded(made: tokens.Tokenizer, special: Specials, clip: Clip) -> np.ndarray:
    def encode(text: str) -> np.ndarray:
        found = made.encode(special.before + text)
        if not len(found):
            raise UserError(
                f"{clip.sound}: the tokenizer knows nothing of what is said in it, {text!r}"
            )
        if special.spoken and (found >= special.end).any():
            name = made.decode(found[found >= special.end][:1])
            raise UserError(f"{clip.sound}: {text!r} has {name}, which nobody says: leave it out")
        return found

    if isinstance(clip.said, str):
        return encode(clip.said)
    return timed.encoded(clip.said, encode, special.first_time, clip.following)


def _tell_lacking(made: tokens.Tokenizer, kept: dict, before: str, notes: list[str]) -> None:
    """A note of texts with what the tokenizer has no token for.

    They are learned with its token of what it lacks, or, where it has none, without these letters.
    """
    clips = [clip for own in kept.values() for clip in own]
    lacked, lacking = _what_is_lacked(made, {*"".join("".join(_texts(x)) for x in clips)}), []
    for clip in clips:
        found = next(filter(None, (lacked(before + text) for text in _texts(clip))), "")
        if found:
            lacking.append(f"{found!r} in that of {clip.sound.name}")
    if lacking:
        notes.append(
            f"{len(lacking)} of {len(clips)} texts have characters that the tokenizer lacks, such "
            f"as {lacking[0]}"
        )


def _texts(clip: Clip) -> list[str]:
    said = clip.said
    return [said] if isinstance(said, str) else [segment.text for segment in said]


def _what_is_lacked(made: tokens.Tokenizer, letters: set[str]) -> Callable[[str], str]:
    """What tells the first piece of a text that there is no token for; "" of one without.

    Args:
      made: the tokenizer.
      letters: of all texts.
    """
    unknown = getattr(made, "unknown", None)
    if unknown is None:
        # Nothing is made of these: the places of the tokens around them tell of others then.
        gone = {x for x in letters if not x.isspace() and not len(made.encode(x))}
        runs = re.compile(f"[{re.escape(''.join(gone))}]+") if gone else None
        return lambda text: found[0] if runs and (found := runs.search(text)) else ""

    def lacked(text: str) -> str:
        found, places = made.encode_in_place(text)
        if not (found == unknown).any():
            return ""
        begin, end = places[(found == unknown).argmax()]
        return text[begin:end]

    return lacked


def _check_parts(kept: dict[str, list[Clip]], left: LeftOut) -> None:
    """Raises UserError for a part that nothing is left of."""
    for part, own in kept.items():
        if not own:
            why = f"; the last that cannot: {left.lines[-1]}" if left.lines else ""
            raise UserError(f"no recording of {part} can be used{why}")


def _divided(found: dict[str, list[Clip]], fraction: float, seed: int, eval_on: str) -> dict:
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


def _split_off(pairs: list[Clip], fraction: float, seed: int) -> tuple[list[Clip], list[Clip]]:
    size = len(pairs)
    count = max(1, held_out(size, fraction))
    if count >= size:
        raise UserError(f"data: {size} recordings cannot be split {fraction:g} off")
    order = np.random.default_rng(seed).permutation(size)
    pick = lambda places: [pairs[i] for i in np.sort(places)]
    return pick(order[count:]), pick(order[:count])
