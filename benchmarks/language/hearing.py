"""What Whisper hears, and a minute of sound that random weights of its smallest size transcribe."""

import functools
from typing import Any

from benchmarks.language import faster_whisper
from benchmarks.language.job import Job, Row
from benchmarks.language.minute import END, NEW, RATE, SECONDS, SIZE, START, settings, sound_of
from benchmarks.language.writing import agreement

# Of all frames every so many are compared.
_KEPT = 100


def ours(folder: str) -> Job:
    """By the weights that the other side left in the folder."""
    from jaxdl import pretrained, process
    from jaxdl.generate import Settings
    from jaxdl.inference import transcribe

    process.spare_memory()  # as --mode=predict does it
    module, variables = pretrained.load(folder)
    whisper = transcribe.Transcriber(
        module, variables, Settings.of(settings()), transcribe.UNLIMITED
    )
    sound = sound_of()

    def hear() -> list:
        return [s.tokens for s in transcribe.transcribe(whisper, sound).segments]

    return Job(hear)


def theirs(folder: str) -> Job:
    """transformers' extractor and generate, window by window; leaves its weights in the folder."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        vocab_size=SIZE, decoder_start_token_id=START, begin_suppress_tokens=None,
        **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), END),
    )  # fmt: skip
    model = transformers.WhisperForConditionalGeneration(config).eval()
    model.save_pretrained(folder)
    model.generation_config = transformers.GenerationConfig(**settings())
    extractor, sound = transformers.WhisperFeatureExtractor(), sound_of()

    def hear() -> list:
        features = extractor(
            sound, sampling_rate=RATE, return_tensors="pt", truncation=False, padding="longest"
        ).input_features
        with torch.inference_mode():
            found = model.generate(
                features, return_timestamps=True, return_segments=True, do_sample=False,
                condition_on_prev_tokens=False,
            )  # fmt: skip
        return [s["tokens"].tolist() for s in found["segments"][0]]

    return Job(hear)


def _recordings(count: int) -> list:
    """So many of 30 s, each of another loudness."""
    return [sound_of(30) / 2**i for i in range(count)]


def our_features(folder: str, count: int) -> Job:
    """The spectrograms (count, frames, bands), on the device."""
    import jax
    import numpy as np

    from jaxdl import ops

    compiled, sounds = jax.jit(ops.whisper_log_mel), np.stack(_recordings(count))
    return Job(lambda: np.asarray(compiled(sounds))[:, ::_KEPT])


def their_features(folder: str, count: int) -> Job:
    """transformers' extractor, which computes by torch where that is there."""
    import torch
    import transformers

    extractor, sounds = transformers.WhisperFeatureExtractor(), _recordings(count)
    assert torch.get_num_threads()  # imported, as it is the faster way of the two

    def hear() -> Any:
        found = extractor(sounds, sampling_rate=RATE, return_tensors="np").input_features
        return found[:, :, ::_KEPT].swapaxes(1, 2)

    return Job(hear)


def _close(ours: list, theirs: list) -> tuple[bool, str]:
    import numpy as np

    apart = float(np.abs(np.array(ours) - np.array(theirs)).max())
    return apart < 1e-4, f"at most {apart:.1e} apart"


def _features(count: int) -> dict[str, Any]:
    return {
        "eager": functools.partial(their_features, count=count),
        "ours": functools.partial(our_features, count=count),
    }


ROWS = {
    "features": Row("Log-mel spectrogram of 30 s of sound, 80 bands", _features(1), _close),
    "features_8": Row("Log-mel spectrograms of 8 x 30 s of sound, 80 bands", _features(8), _close),
    "whisper_60": Row(
        f"Whisper tiny, {SECONDS} s of sound, {NEW} tokens a window, greedy",
        {"eager": theirs, "ours": ours, "faster_whisper": faster_whisper.job},
        agreement,
        plain=("eager",),
        beside=("faster_whisper",),
    ),
}
