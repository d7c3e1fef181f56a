"""Recordings with what is said in them: a table of files and texts, or a text beside each sound."""

import math
from collections.abc import Sequence

import numpy as np
from etils import epath

from jaxdl.data import Data, audio, documents, files, register, rows, tokens
from jaxdl.data.layout import PARTS
from jaxdl.data.parts import held_out
from jaxdl.data.sounds import SOUNDS, Files, in_memory, samples_in
from jaxdl.data.source_target import Ragged, specials
from jaxdl.errors import UserError

# What a table in a folder is called, the usual first.
TABLES = tuple(f"{name}{end}" for name in ("transcripts", "metadata")
               for end in (".csv", ".jsonl", ".ndjson", ".tsv"))  # fmt: skip

# Sounds and what is said in them.
_Pairs = list[tuple[epath.Path, str]]
_Timed = list[tuple[epath.Path, str, float]]


@register("recordings")
def recordings(
    path: str = "",
    rate: int = 16000,
    seconds: float = 30.0,
    file: str = "file",
    text: str = "text",
    tokenizer: str = "",
    test_fraction: float = 0.1,
    split_seed: int = 0,
    eval_on: str = "test",
) -> Data:
    """``samples`` (n, count), ``length`` (n,) and ``target`` (n, T): sounds, and their texts.

    Targets are ended and filled up (`jaxdl.data.source_target`); sounds are filled up with silence.
    A sound that is longer than ``seconds`` is left out, as its text would not be all of what is
    heard, and so is one without a text: a note counts them. A text without its sound is an error.

    Args:
      path: a table (.csv, .jsonl, .tsv); or a folder with transcripts.csv (or metadata.csv) in it,
        with train.csv and test.csv, with folders train and test that are such folders, or with
        name.txt beside each name.wav.
      rate: samples a second that all are brought to.
      seconds: of the longest.
      file: the table's column of files, as they lie below its folder.
      text: its column of what is said.
      tokenizer: a tokenizer.json; "" makes tokens of bytes. Whisper's has a space before a text.
      test_fraction: where there is no test part, the share that is held out, drawn at random.
      split_seed: of the draw.
      eval_on: "test", or "validation" for what the data bring as such, or else for as large a share
        of what is left to learn from.
    """
    count, notes = samples_in(seconds, rate), []
    found = {
        part: _short(pairs, seconds, part, notes)
        for part, pairs in _parts(path, file, text, notes).items()
    }
    kept = _divided(found, test_fraction, split_seed, eval_on)
    made = tokens.create(tokenizer)
    special = specials(made)
    before = " " if special.spoken else ""
    encoded = {
        part: [_encoded(made, sound, before, text) for sound, text, _ in pairs]
        for part, pairs in kept.items()
    }
    _tell_lacking(made, kept, encoded, before, notes)
    longest = max(len(x) for part in encoded.values() for x in part) + special.around
    splits = {}
    for part, pairs in kept.items():
        ragged = Ragged.of(encoded[part], special, longest)
        target = ragged.padded(np.arange(len(pairs)), longest, special.pad)
        lengths = np.array([min(count, math.ceil(x * rate - 1e-6)) for *_, x in pairs], np.int32)
        sounds = [sound for sound, *_ in pairs]
        splits[part] = Files(sounds, {"target": target}, rate, count, lengths)
    splits = in_memory(splits)
    return Data(**splits, tokenizer=made, notes=tuple(notes))


def _encoded(made: tokens.Tokenizer, sound: epath.Path, before: str, text: str) -> np.ndarray:
    if not text:
        raise UserError(f"{sound}: what is said in it is an empty text")
    found = made.encode(before + text)
    if not len(found):
        raise UserError(f"{sound}: the tokenizer knows nothing of what is said in it, {text!r}")
    return found


def _tell_lacking(
    made: tokens.Tokenizer, kept: dict, encoded: dict, before: str, notes: list[str]
) -> None:
    """A note of texts with what the tokenizer has no token for: they are learned with its own."""
    unknown = getattr(made, "unknown", None)
    if unknown is None:
        return
    there = [
        (sound, text)
        for part, pairs in kept.items()
        for (sound, text, _), found in zip(pairs, encoded[part], strict=True)
        if (found == unknown).any()
    ]
    if there:
        sound, text = there[0]
        found, places = made.encode_in_place(before + text)
        begin, end = places[(found == unknown).argmax()]
        whole = sum(map(len, kept.values()))
        notes.append(
            f"{len(there)} of {whole} texts have characters that the tokenizer lacks, such as "
            f"{(before + text)[begin:end]!r} in that of {sound.name}"
        )


def _parts(path: str, file: str, text: str, notes: list[str]) -> dict[str, _Pairs]:
    """ "train", and "test" and "validation" as far as they are there."""
    root = epath.Path(path)
    if not path or not root.exists():
        raise UserError(
            f"data.path={path!r} is no file or folder: name a table of recordings, or their folder"
        )
    if not root.is_dir():
        return {"train": _of_table(root, file, text, notes)}
    if (own := _of_folder(root, file, text, notes)) is not None:
        return {"train": own}
    there = {path.name.lower(): path for path in files.folders(root)}
    folders = {
        part: there[name] for part, names in PARTS.items() for name in names if name in there
    }
    if "train" in folders:
        found = {part: _of_folder(path, file, text, notes) for part, path in folders.items()}
        return {part: _needed(pairs, folders[part]) for part, pairs in found.items()}
    tables = [x.path for x in files.entries(root) if files.of_kind(x.path, (".csv", ".jsonl"))]
    if not tables:
        return {"train": _needed(None, root)}
    found = documents.of_path(path, (".csv", ".jsonl", ".ndjson", ".tsv"), "a table of recordings")
    return {part: _of_table(table, file, text, notes) for part, table in found.items()}


def _needed(pairs: _Pairs | None, folder: epath.Path) -> _Pairs:
    if pairs is None:
        raise UserError(
            f"{folder} holds no recordings with texts: it needs {TABLES[0]} with the columns file "
            "and text, or name.txt beside each name.wav"
        )
    return pairs


def _of_folder(folder: epath.Path, file: str, text: str, notes: list[str]) -> _Pairs | None:
    """By its own table, or by texts beside sounds; None without either."""
    table = next((folder / name for name in TABLES if (folder / name).is_file()), None)
    if table is not None:
        return _of_table(table, file, text, notes)
    inside = {path.name.lower() for path in files.folders(folder)}
    if inside & set(PARTS["train"]):
        return None
    there = list(files.below(folder))
    sounds = [path for path in there if files.of_kind(path, SOUNDS.suffixes)]
    texts = {path for path in there if files.of_kind(path, (".txt",))}
    if not sounds or not texts:
        return None
    pairs = [(path, path.with_suffix(".txt")) for path in sounds]
    alone = texts - {beside for _, beside in pairs}
    if not any(beside in texts for _, beside in pairs):
        return None
    if alone:
        raise UserError(
            f"{min(alone)} has no sound beside it ({len(alone)} such texts): remove it, or bring "
            "the sound"
        )
    _tell_without(folder, [path for path, beside in pairs if beside not in texts], notes)
    return [(path, files.text(beside).strip()) for path, beside in pairs if beside in texts]


def _of_table(table: epath.Path, file: str, text: str, notes: list[str]) -> _Pairs:
    folder, pairs, seen = table.parent, [], {}
    for row in rows.read(table, (file, text)):
        sound = folder / row.text(file)
        if sound in seen:
            raise UserError(f"{row.where}: {row.text(file)!r} has a text already, {seen[sound]}")
        seen[sound] = f"line {row.line}"
        if not sound.is_file():
            raise UserError(f"{row.where}: {sound} is no file")
        said = row.text(text).strip()
        if not said:
            raise UserError(f"{row.where}: {text!r} is empty")
        pairs.append((sound, said))
    below = {sound.parent for sound in seen}
    others = [x.path for place in below for x in files.entries(place) if not x.is_folder]
    others = [path for path in others if files.of_kind(path, SOUNDS.suffixes)]
    _tell_without(folder, [path for path in others if path not in seen], notes)
    return pairs


def _tell_without(folder: epath.Path, sounds: Sequence[epath.Path], notes: list[str]) -> None:
    if sounds:
        notes.append(
            f"{len(sounds)} sounds below {folder} have no text, and are left out: "
            f"{min(sounds).name}" + (", …" if len(sounds) > 1 else "")
        )


def _short(pairs: _Pairs, seconds: float, part: str, notes: list[str]) -> _Timed:
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


def _divided(found: dict[str, _Timed], fraction: float, seed: int, eval_on: str) -> dict:
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


def _split_off(pairs: _Timed, fraction: float, seed: int) -> tuple[_Timed, _Timed]:
    size = len(pairs)
    count = max(1, held_out(size, fraction))
    if count >= size:
        raise UserError(f"data: {size} recordings cannot be split {fraction:g} off")
    order = np.random.default_rng(seed).permutation(size)
    pick = lambda places: [pairs[i] for i in np.sort(places)]
    return pick(order[count:]), pick(order[:count])
