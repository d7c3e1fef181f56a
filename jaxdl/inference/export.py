"""A trained model as one program that jax runs without jaxdl: `--mode=export`.

It is written by `jax.export`, with the weights in it, for any number of images, or sounds, at once.
Each platform's part has the forms that `jaxdl.ops` means for it, but for two: the fused attention
of GPUs and TPUs (16-bit numbers, and on TPUs from 512 tokens on) cannot be lowered for several
platforms and an open batch. Attention is there what XLA makes of its few plain lines, which holds
the scores in memory.
"""

import contextlib
import functools
import importlib.util
import inspect
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
from etils import epath

from jaxdl import ops
from jaxdl.data import letterbox
from jaxdl.data.pictures import MODES, plain
from jaxdl.data.preprocess import fitted
from jaxdl.errors import UserError
from jaxdl.inference import exported_pictures, exported_sounds
from jaxdl.inference.predict import Predictor
from jaxdl.runs import workdir

PLATFORMS = ("cpu", "cuda", "tpu")

# Written beside the program, as an example of its use; READ is how jaxdl reads pictures.
SCRIPT = '''\
"""What the model beside this file says of a picture: python example.py photo.jpg"""

import json, pathlib, sys
import jax.export, numpy as np
from PIL import Image


READ

here = pathlib.Path(__file__).parent
about = json.loads((here / "model.json").read_text())
model = jax.export.deserialize(bytearray((here / "model.jaxexport").read_bytes()))
take = about["input"]
image = plain(Image.open(sys.argv[1])).convert(take["mode"])
how, size = Image.Resampling[take["interpolation"].upper()], take["size"]
if take["margins"] is None:
    w, h = (1, 1) if take["squash"] else image.size
    short, side = min(w, h), take["resize"] or min(w, h)
    image = image.resize((side * w // short, side * h // short), how)
    half = (lambda n: n // 2) if take["floor_cut"] else (lambda n: round(n / 2))
    x, y = (half(n - size) for n in image.size)
    seen = np.asarray(image.crop((x, y, x + size, y + size))).reshape(take["shape"][1:])
else:  # the whole picture, between margins of this level
    w, h = (max(1, round(n * size / max(image.size))) for n in image.size)
    x, y = (size - w) // 2, (size - h) // 2
    seen = np.full(take["shape"][1:], take["margins"], np.uint8)
    seen[y : y + h, x : x + w] = np.asarray(image.resize((w, h), how)).reshape(h, w, -1)
found = model.call(seen[None])
if "boxes" in found:  # class, score, and x0, y0, x1, y1 in pixels of the model's square
    classes, scores, boxes = (np.asarray(found[k][0]) for k in ("classes", "scores", "boxes"))
    for i in np.flatnonzero(scores):  # the rest is filled up with 0
        print(about["labels"]["classes"][classes[i]], f"{scores[i]:.3f}", *boxes[i].round(1))
    found = {}
for name, array in found.items():
    row, labels = np.asarray(array[0]), about["labels"].get(name)
    print(name)
    if row.ndim == 2 and row.dtype == np.uint8:
        Image.fromarray(row).save(f"{name}.png")  # a class for every pixel, by its number
        print(*(labels[i] if labels else i for i in np.unique(row)), f"in {name}.png")
        continue
    if labels is None or row.ndim != 1:
        print(row)
        continue
    if row.dtype == bool:
        print(" ", *(labels[i] for i in np.flatnonzero(row)))
        continue
    for i in np.argsort(-row)[:5]:
        print(f"  {labels[i]} {row[i]:.3f}")
'''


def prepare() -> None:
    """Makes this process one that exports; before any device is touched.

    Exporting computes nothing, so that it stays on the CPU: it must not take the TPU or GPU of a
    run, and what it writes does not depend on where.
    """
    jax.config.update("jax_platforms", "cpu")


def check() -> None:
    """Raises UserError where a library that programs are written by is missing."""
    if importlib.util.find_spec("flatbuffers") is None:
        raise UserError("--mode=export needs flatbuffers: pip install 'jaxdl[export]'")


def program(predictor: Predictor, input_size: int = 0) -> jax.export.Exported:
    """uint8 images (batch, size, size, channels) -> what the task predicts, {name: (batch, …)}.

    Of sounds samples (batch, count) float32; of a model that takes any size images (batch, height,
    width, channels).

    Args:
      predictor: the model; its variables become part of the program.
      input_size: pixels a side of what comes in, which is then scaled and cut as a picture is
        before it is looked at; 0: the model's own, and neither is done.
    """
    # Closed over as host arrays, of which those that are used become constants.
    variables = jax.device_get(predictor.variables)
    if predictor.sound is not None:
        shape, dtype = f"batch, {predictor.sound.count}", jnp.float32
        predict = functools.partial(exported_sounds.predict, predictor.predict, variables)
    else:
        size, _, channels = predictor.shape
        side = input_size or size
        sides = "height, width" if predictor.any_size else f"{side}, {side}"
        shape, dtype = f"batch, {sides}, {channels}", jnp.uint8

        def predict(images: jax.Array) -> dict[str, jax.Array]:
            if input_size:
                images = fitted(images, predictor.preprocess)
            return predictor.predict(variables, images)

    # Where jax has a TPU or GPU it would choose that one's fused attention.
    on_cpu = jax.default_backend() == "cpu"
    with contextlib.nullcontext() if on_cpu else ops.references():
        export = jax.export.export(jax.jit(predict), platforms=PLATFORMS)
        return export(jax.ShapeDtypeStruct(jax.export.symbolic_shape(shape), dtype))


def write(predictor: Predictor, folder: epath.Path, input_size: int = 0) -> list[epath.Path]:
    """Writes model.jaxexport, model.json, which says what goes in and comes out, and example.py.

    Args:
      predictor: the model.
      folder: made if it is not there.
      input_size: as `program`'s.

    Returns:
      The files.

    Raises:
      UserError: the program is too large for the format.
    """
    from flatbuffers.builder import BuilderSizeError

    exported = program(predictor, input_size)
    try:
        content = bytes(exported.serialize())
    except BuilderSizeError:
        raise UserError("the model's weights are too large for jax.export: 2 GB at most") from None
    if predictor.sound is not None:
        taken, script = exported_sounds.taken(predictor), exported_sounds.SCRIPT
    elif predictor.makes_pictures or predictor.any_size:
        taken = {"mode": MODES.get(predictor.channels)}
        script = exported_pictures.SCRIPT.replace("READ", inspect.getsource(plain), 1)
    else:
        taken = _taken(predictor, input_size)
        script = SCRIPT.replace("READ", inspect.getsource(plain), 1)
    given = exported.in_avals[0]
    made = jax.tree.unflatten(exported.out_tree, exported.out_avals)
    about = {
        "input": {"shape": _told(given), "dtype": given.dtype.name, **taken},
        "output": {name: _told(x) for name, x in made.items()},
        "labels": {name: list(labels) for name, labels in predictor.labels.items()},
        "platforms": exported.platforms,
        "jax": jax.__version__,
    }
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in ("model.jaxexport", "model.json", "example.py")]
    files[0].write_bytes(content)
    workdir.write_json(files[1], about)
    files[2].write_text(script)
    return files


def _told(array: Any) -> list[int | str]:
    """An array's shape, of whose open dimensions it is said what they are."""
    sides = [size if isinstance(size, int) else str(size) for size in array.shape[1:]]
    return ["batch", *sides]


def _taken(predictor: Predictor, input_size: int) -> dict[str, Any]:
    """What of a picture becomes an image."""
    prepared, size = predictor.preprocess, predictor.preprocess.size
    before = {"resize": prepared.resize, "size": size, "squash": prepared.squash}
    if input_size:
        before = {"resize": input_size, "size": input_size, "squash": False}
    if predictor.fit == "stretch":
        before["squash"] = True
    return {
        "mode": MODES.get(predictor.channels),
        "interpolation": prepared.interpolation,
        **before,
        "floor_cut": prepared.floor_cut,
        "margins": letterbox.GREY if predictor.fit == "letterbox" else None,
    }
