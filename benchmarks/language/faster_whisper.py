"""The minute of sound by faster-whisper, which has Whisper's layers in C++ (CTranslate2).

Optional: `pip install faster-whisper` where torch and transformers are.
"""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.language import minute
from benchmarks.language.job import Job

_CONVERT = "from ctranslate2.converters.transformers import main; main()"


def job(folder: str) -> Job:
    """Converts the weights in the folder to CTranslate2's in float32, and writes by them.

    faster-whisper's features, encoder and search, window by window. Not its ``transcribe``, which
    takes a model of a made-up vocabulary for an English one: neither language nor task is asked.
    """
    import faster_whisper

    model = faster_whisper.WhisperModel(
        _converted(Path(folder)), device="cpu", compute_type="float32"
    )
    sound, settings = minute.sound_of(), minute.settings()
    prompt = [minute.START, minute.ENGLISH, minute.TRANSCRIBE]

    def hear() -> list:
        features = model.feature_extractor(sound)
        texts = []
        for begin in range(0, minute.SECONDS * 100, 3000):
            # Half of its longest text is for what is written.
            (found,) = model.model.generate(
                model.encode(features[:, begin : begin + 3000]), [prompt], beam_size=1,
                max_length=2 * minute.NEW, suppress_tokens=settings["suppress_tokens"],
                suppress_blank=False,
            )  # fmt: skip
            texts.append(found.sequences_ids[0])
        return texts

    return Job(hear)


def _converted(folder: Path) -> str:
    """The folder of the converted weights; by another process, whose memory is its own."""
    source, found = folder / "for_ctranslate2", folder / "ctranslate2"
    source.mkdir()
    for name in ("config.json", "model.safetensors"):
        (source / name).symlink_to(folder / name)
    (source / "tokenizer.json").write_text(json.dumps(_tokenizer()))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast"}
    (source / "tokenizer_config.json").write_text(json.dumps(settings))
    said = [f"--model={source}", f"--output_dir={found}", "--copy_files", "tokenizer.json"]
    subprocess.run([sys.executable, "-c", _CONVERT, *said], check=True)
    return str(found)


def _tokenizer() -> dict:
    """A tokenizer.json of made-up words; the search finds special tokens by their names."""
    names = {minute.END: "endoftext", minute.START: "startoftranscript"}
    names |= {minute.ENGLISH: "en", minute.TRANSLATE: "translate"}
    names |= {minute.TRANSCRIBE: "transcribe", minute.NO_TIMES: "notimestamps"}
    names |= {50360: "startoflm", 50361: "startofprev", 50362: "nospeech"}
    names |= {i: f"{0.02 * (i - minute.NO_TIMES - 1):.2f}"
              for i in range(minute.NO_TIMES + 1, minute.SIZE)}  # fmt: skip
    words = [f"<|{names[i]}|>" if i in names else f"w{i}" for i in range(minute.SIZE)]
    vocabulary = {word: i for i, word in enumerate(words)}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "w0"},
    }
