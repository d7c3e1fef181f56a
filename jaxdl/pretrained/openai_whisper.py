"""How OpenAI's Whisper writes, which its own code knows and its file does not say."""

from pathlib import Path

import numpy as np

from jaxdl.data.tokens import Vocabulary
from jaxdl.errors import UserError
from jaxdl.generate import Settings
from jaxdl.pretrained import config

# What texts are made of stands before these, and the times behind them.
_START, _END, _NO_TIMES = "<|startoftranscript|>", "<|endoftext|>", "<|notimestamps|>"
_TASKS = ("translate", "transcribe")
_PREVIOUS, _ALONE = "<|startofprev|>", "<|startoflm|>"

# The token that ends a text in GPT-2's vocabulary, which those of English alone have.
_ENGLISH_END = 50256

# The first time is at most a second away from the beginning, in steps of 20 ms.
_LATEST_START = 50

# What nobody says: marks of those who write subtitles, each a token or two.
_MARKS = (
    *('"#()*+/:;<=>@[\\]^_`{|}~「」『』'),
    *("<<", ">>", "<<<", ">>>", "--", "---", "-(", "-[", "('", '("', "((", "))", "(((", ")))"),
    *("[[", "]]", "{{", "}}", "♪♪", "♪♪♪"),
)
_NOTES = "♩♪♫♬♭♮♯"


def holds(path: Path) -> bool:
    """Whether a file is OpenAI's Whisper; raises UserError where it is damaged."""
    found = config.of_file(path)
    return found is not None and found.model == "whisper"


def generation(path: Path) -> Settings:
    """How it writes, by the special tokens of a tokenizer.json beside it (extra ``tokenizers``).

    As of openai-whisper: it transcribes, in a language that is detected; marks that nobody says and
    special tokens are never written, a text does not begin with a space alone or its end, and half
    the positions are for the tokens of a window. The heads by which words get their times are not
    in the file.

    Args:
      path: a file as of `holds`.

    Raises:
      UserError: there is no tokenizer.json, or that of another model.
    """
    fields, file = config.of_file(path).fields, path.parent / "tokenizer.json"
    if not file.is_file():
        raise UserError(
            f"{path} does not say what its tokens mean: it needs tokenizer.json beside it, that of "
            "transformers' folder of the same Whisper"
        )
    tokenizer = Vocabulary(str(file))
    named = {}
    for name in (_START, _END, *map(_special, _TASKS), _PREVIOUS, _ALONE, _NO_TIMES):
        named[name] = tokenizer.id_of(name)
        if named[name] is None:
            raise UserError(f"{file} has no token {name}: it is not that of a Whisper")
    start, end, no_times = named[_START], named[_END], named[_NO_TIMES]
    tasks = {name: named[_special(name)] for name in _TASKS}
    # A time for the beginning and one for the end of each two frames.
    size = no_times + 1 + fields["frames"] // 2 + 1
    if size != fields["vocab_size"]:
        raise UserError(
            f"{file} is of another Whisper: with the times it has {size} tokens, and {path} has "
            f"{fields['vocab_size']}"
        )
    others = dict(
        is_multilingual=end != _ENGLISH_END,
        no_timestamps_token_id=no_times,
        prev_sot_token_id=named[_PREVIOUS],
        max_initial_timestamp_index=_LATEST_START,
    )
    if others["is_multilingual"]:
        languages = range(start + 1, tasks["translate"])
        others |= dict(
            lang_to_id={tokenizer.decode(np.array([token])): token for token in languages},
            task_to_id=tasks,
            forced_decoder_ids=[[1, None], [2, tasks["transcribe"]]],
        )
    # The token in front of "no timestamps" says that nobody speaks.
    special = {start, *tasks.values(), named[_PREVIOUS], named[_ALONE], no_times - 1}
    return Settings(
        decoder_start_token_id=start,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        max_new_tokens=fields["context"] // 2,
        suppress_tokens=tuple(sorted(special | _unspoken(tokenizer))),
        begin_suppress_tokens=(*tokenizer.encode(" ").tolist(), end),
        others=others,
    )


def _special(name: str) -> str:
    return f"<|{name}|>"


def _unspoken(tokenizer: Vocabulary) -> set[int]:
    """Tokens of marks that nobody says, each alone or behind a space.

    Hyphens and apostrophes may stand in a word, but begin none. A note is of several tokens, the
    first of which begins nothing else. A space is no mark: a vocabulary that has none behind one
    keeps it.
    """
    encode = lambda text: tokenizer.encode(text).tolist()
    found = {encode(" -")[0], encode(" '")[0]}
    for mark in (*_MARKS, *_NOTES):
        for tokens in (encode(mark), encode(f" {mark}")):
            if len(tokens) == 1 or mark in _NOTES:
                found.add(tokens[0])
    return found - {*encode(" ")}
