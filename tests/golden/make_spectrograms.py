"""What Whisper hears, by transformers, for tests/test_spectrogram.py.

pip install torch==2.13.0 transformers==5.24.0
python tests/golden/make_spectrograms.py
"""

from pathlib import Path

import numpy as np
import seeded
from transformers import WhisperFeatureExtractor
from transformers.audio_utils import mel_filter_bank

LENGTHS = (4000, 1234, 401)
RATE = 16000


def sounds(length):
    """Noise, a tone, a chirp behind silence and silence, from loud to faint: (5, length)."""
    t = np.arange(length) / RATE
    noise = seeded.normal(f"sound {length}", (length,))
    chirp = np.sin(2 * np.pi * (100 + 3000 * t) * t) * (t > t[-1] / 2)
    tone = np.sin(2 * np.pi * 440 * t)
    return np.stack([3 * noise, tone, 0.3 * chirp, 1e-4 * noise, 0 * t]).astype(np.float32)


if __name__ == "__main__":
    kept = {}
    for bands in (80, 128):
        extractor = WhisperFeatureExtractor(feature_size=bands)
        for length in LENGTHS:
            made = extractor(
                list(sounds(length)), sampling_rate=RATE, padding="longest", truncation=False
            )
            kept[f"{length}_{bands}"] = np.stack(made["input_features"]).transpose(0, 2, 1)
        # Filled up to 30 s, as it comes.
        whole = extractor(list(sounds(4000)[:3]), sampling_rate=RATE)
        kept[f"whole_{bands}"] = np.stack(whole["input_features"]).transpose(0, 2, 1)[:, ::40]
    kept["htk"] = mel_filter_bank(129, 40, 100, 4000, 8000, norm=None, mel_scale="htk")
    kept["slaney"] = mel_filter_bank(201, 80, 0, 8000, 16000, norm="slaney", mel_scale="slaney")
    kept = {name: array.astype(np.float32) for name, array in kept.items()}
    np.savez_compressed(Path(__file__).parent / "spectrograms.npz", **kept)
