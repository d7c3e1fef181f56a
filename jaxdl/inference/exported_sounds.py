"""What `jaxdl.inference.export` writes of a model that hears."""

from collections.abc import Callable
from typing import Any

import jax

from jaxdl.inference.predict import Predictor

# Written beside the program, as an example of its use.
SCRIPT = '''\
"""What the model beside this file says of a sound: python example.py call.wav"""

import json, math, pathlib, sys
import jax.export, numpy as np
from scipy.io import wavfile
from scipy.signal import resample_poly

here = pathlib.Path(__file__).parent
about = json.loads((here / "model.json").read_text())
model = jax.export.deserialize(bytearray((here / "model.jaxexport").read_bytes()))
take = about["input"]
rate, sound = wavfile.read(sys.argv[1])
middle = 128 if sound.dtype == np.uint8 else 0  # whole numbers of eight bits have no sign
loudest = 1 if sound.dtype.kind == "f" else middle or -float(np.iinfo(sound.dtype).min)
sound = (sound.reshape(len(sound), -1).astype(np.float32) - middle) / np.float32(loudest)
sound, common = sound.mean(1), math.gcd(rate, take["rate"])
if rate != take["rate"]:
    sound = resample_poly(sound, take["rate"] // common, rate // common)
sound = sound[: take["shape"][1]]
silence = take["shape"][1] - len(sound)
found = model.call(np.pad(sound, (0, silence)).astype(np.float32)[None])
for name, array in found.items():
    row, labels = np.asarray(array[0]), about["labels"].get(name)
    print(name)
    if name == "written":
        row = [t for t in row.tolist() if t != take["pad"]]
        row = row[: row.index(take["end"])] if take["end"] in row else row
        if (here / "tokenizer.json").is_file():
            import tokenizers
            words = tokenizers.Tokenizer.from_file(str(here / "tokenizer.json"))
            print(words.decode(row, skip_special_tokens=False))
        else:
            print(bytes(row).decode("utf-8", "replace"))
        continue
    if labels is None or row.ndim != 1:
        print(row)
        continue
    for i in np.argsort(-row)[:5]:
        print(f"  {labels[i]} {row[i]:.3f}")
'''


def predict(
    of_batch: Callable[[Any, jax.Array], dict[str, jax.Array]], variables: Any, samples: jax.Array
) -> dict[str, jax.Array]:
    """`Predictor.predict` of (batch, count) samples, one sound by itself.

    What is written token after token, and the spectrograms of long sounds, are made for a batch
    whose size is known.
    """
    one = lambda sound: jax.tree.map(lambda x: x[0], of_batch(variables, sound[None]))
    return jax.vmap(one)(samples)


def taken(predictor: Predictor) -> dict[str, Any]:
    """What of a sound is heard: one channel in [-1, 1], cut, or silence behind it."""
    return {"rate": predictor.sound.rate, **predictor.tokens}
