"""A minute of sound, and how all sides transcribe it."""

from typing import Any

SECONDS, NEW, RATE = 60, 100, 16000
# The special tokens of the published vocabulary.
END, START, ENGLISH, TRANSCRIBE, TRANSLATE, NO_TIMES, SIZE = (
    *(50257, 50258, 50259, 50359, 50358, 50363, 51865),
)  # fmt: skip


def sound_of(seconds: int = SECONDS) -> Any:
    """Noise that swells and a tone: (seconds x RATE,) float32."""
    import numpy as np

    t = np.arange(seconds * RATE) / RATE
    drawn = np.random.default_rng(0).normal(size=len(t))
    return (0.1 * drawn * np.sin(3 * t) + 0.1 * np.sin(2 * np.pi * 220 * t)).astype(np.float32)


def settings() -> dict[str, Any]:
    """Greedy; no text ends, and no time but the first is told, so that there are two windows."""
    return dict(
        bos_token_id=END,
        eos_token_id=END,
        pad_token_id=END,
        decoder_start_token_id=START,
        suppress_tokens=[*range(END, NO_TIMES + 1), *range(NO_TIMES + 2, SIZE)],
        max_new_tokens=NEW,
        is_multilingual=True,
        lang_to_id={"<|en|>": ENGLISH},
        task_to_id={"transcribe": TRANSCRIBE, "translate": TRANSLATE},
        no_timestamps_token_id=NO_TIMES,
        language="en",
        task="transcribe",
    )
