"""What a trained run, or a published checkpoint, says of pictures or sounds: `--mode=predict`."""

import functools
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from ml_collections import ConfigDict

from jaxdl import parallel, precision, pretrained
from jaxdl.data import letterbox
from jaxdl.data.preprocess import Preprocess, standardised
from jaxdl.errors import UserError, listed
from jaxdl.experiment import Experiment
from jaxdl.inference import coco_results, drawings, made_pictures, masks, rows
from jaxdl.inference.pictures import Picture, joined, tried
from jaxdl.models import heads
from jaxdl.tasks import Description, Sound, classification
from jaxdl.train import evaluate


class Predictor(NamedTuple):
    """A model that is ready for pictures, or for sounds.

    Attributes:
      predict: (variables, images (batch, size, size, channels), uint8 or floats in [0, 1]) ->
        {name: (batch, …)}; pure, and standardises by itself. Of sounds, (batch, count) float32.
      variables: any pytree.
      describe: what one image's part of that says (`jaxdl.tasks.Task.describe`).
      labels: {name: what the last axis of that array is of}.
      preprocess: how a picture becomes one of the images; None of sounds.
      channels: 1 for grey, 3 for colour.
      layout: the devices.
      sound: what it takes in place of images; None of images.
      fit: how pictures are shown whole, of tasks that find things in them: one of
        `jaxdl.data.letterbox.FITS`; "" where their middle is shown.
      tokens: `jaxdl.tasks.Task.tokens`.
      categories: {name of a class: its id} where the data have ids of their own.
      any_size: whether images of any height and width do, not squares of one size alone.
      makes_pictures: whether it makes pictures, of which there is nothing else to tell.
    """

    predict: Callable[[Any, jax.Array], dict[str, jax.Array]]
    variables: Any
    describe: Callable[[Mapping[str, np.ndarray]], Description]
    labels: Mapping[str, Sequence[str]]
    preprocess: Preprocess | None
    channels: int
    layout: parallel.Layout
    sound: Sound | None = None
    fit: str = ""
    tokens: Mapping[str, int] = MappingProxyType({})
    categories: Mapping[str, int | str] = MappingProxyType({})
    any_size: bool = False
    makes_pictures: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image, or one sound."""
        if self.sound is not None:
            return (self.sound.count,)
        return (self.preprocess.size, self.preprocess.size, self.channels)


class Prediction(NamedTuple):
    """What was found in one picture, or one sound.

    Attributes:
      name: the file, and which of several in it.
      said: what it says; None if it could not be read.
      error: why not, "" if it was.
      number: the picture's id, or None.
      shown: the picture, as `jaxdl.inference.pictures.Picture` has it.
      made: the picture, Pillow's, that was made of it and is written beside, or None.
    """

    name: str
    said: Description | None
    error: str = ""
    number: int | str | None = None
    shown: Callable[[], np.ndarray] | None = None
    made: Any = None


def of_run(made: Experiment, workdir: epath.Path) -> Predictor:
    """The best checkpoint in ``workdir`` (the newest, if none is), on the run's devices.

    Raises:
      UserError: a population, a task that tells nothing of images, or no checkpoint.
    """
    if made.task.predict is None:
        raise UserError(
            f"task {made.config.task.name!r} tells nothing of images or sounds: it has no predict"
        )
    task = made.task
    if task.sound is not None:
        state = evaluate.state_to_use(made, workdir)
        how = (task.predict, state, task.describe, task.labels, None, 1, made.layout)
        return Predictor(*how, task.sound, tokens=task.tokens)
    height, width, channels = made.run.data.train.take(np.arange(1))["image"].shape[1:]
    if height != width:
        raise UserError(f"pictures are cut to squares, and this run's have {height}x{width} pixels")
    state = evaluate.state_to_use(made, workdir)
    prepared = Preprocess(size=height, resize=height)  # the task standardises by itself
    fit = made.config.data.get("fit", letterbox.FITS[0]) if task.whole else ""
    data = made.run.data
    categories = dict(zip(data.class_names, data.class_ids, strict=True)) if data.class_ids else {}
    how = (task.predict, state, task.describe, task.labels, prepared, channels, made.layout)
    makes = task.transform is not None
    any_size = makes and task.any_size
    return Predictor(*how, fit=fit, categories=categories, any_size=any_size, makes_pictures=makes)


def of_checkpoint(config: ConfigDict) -> Predictor:
    """The published one that `config.pretrained` names, on all devices.

    Raises:
      UserError: it cannot be read, or is no image classifier.
    """
    given, size = config.pretrained, config.data.image_size
    path = pretrained.tensors.locate(given.source)
    if (path / "checkpoints").is_dir():
        raise UserError(f"{path} is a run: name it by --workdir, not as a published checkpoint")
    model = given.model or config.model.name
    prepared = _published(given.source, path, model)
    if size:
        prepared = prepared._replace(size=size, resize=prepared.resize * size // prepared.size)
    if given.mean and given.std:
        prepared = prepared._replace(mean=tuple(given.mean), std=tuple(given.std))
    dtype = precision.compute_dtype(config.precision)
    module, variables = pretrained.load(
        path, model or None, image_size=size or None, dtype=dtype,
        checkpoint_key=given.checkpoint_key or None,
    )  # fmt: skip
    layout = parallel.create(config.parallel, jax.device_count())

    def predict(variables: Any, images: jax.Array) -> dict[str, jax.Array]:
        seen = standardised(images, prepared)
        return classification.told(*heads.with_features(module, variables, seen, train=False))

    variables = jax.device_put(variables, layout.replicated)
    known = pretrained.config.labels(path)
    one = jax.ShapeDtypeStruct((1, prepared.size, prepared.size, len(prepared.mean)), jnp.uint8)
    try:
        count = jax.eval_shape(predict, variables, one)["shares"].shape[-1]
    except (TypeError, ValueError, UserError) as error:
        raise UserError(f"{given.source} does not classify {prepared.size} px: {error}") from error
    if not getattr(module, "num_classes", count):
        raise UserError(f"{given.source} has no head for classes: it tells nothing of pictures")
    if count == 1:
        raise UserError(
            f"{given.source} gives one number, which is no choice among classes: only heads of two "
            "classes or more are asked"
        )
    names = tuple(str(known.get(i, i)) for i in range(count))
    describe = functools.partial(classification.describe, names)
    labels = {"logits": names, "shares": names}
    return Predictor(predict, variables, describe, labels, prepared, len(prepared.mean), layout)


def _published(source: str, path: Path, model: str) -> Preprocess:
    """By the model's name, or by what stands beside the checkpoint."""
    timm = pretrained.config.settings(path, "config.json").get("architecture", "")
    if not model and (said := pretrained.preprocessor.beside(path)):
        return said
    try:
        return pretrained.preprocess(model or timm or source)
    except UserError:
        if model:
            raise
        raise UserError(
            f"{source} does not say how its images are prepared: name the model by "
            "--config.pretrained.model"
        ) from None


def run(predictor: Predictor, found: Sequence[Picture], batch_size: int) -> Iterator[Prediction]:
    """What the model says of each picture, in their order.

    Pictures are decoded on threads, the next batch's while the devices work on one; the last batch
    is filled up, so that one program does for all.
    """
    layout = predictor.layout
    devices = layout.batch_devices
    batch_size = -(-min(batch_size, len(found)) // devices) * devices
    predict = jax.jit(predictor.predict, out_shardings=layout.replicated)
    with ThreadPoolExecutor(8) as threads:
        parts = [found[i : i + batch_size] for i in range(0, len(found), batch_size)]
        begin = lambda part: [threads.submit(tried, picture) for picture in part]
        coming = begin(parts[0])
        for part, later in zip(parts, [*parts[1:], ()], strict=True):
            reading, coming = coming, begin(later)
            read = [future.result() for future in reading]
            images, errors = joined(read, batch_size, predictor.shape)
            batch = layout.put(images[layout.rows(batch_size)], batch_size)
            with jax.set_mesh(layout.mesh):  # as when the training step is traced
                answers = jax.device_get(predict(predictor.variables, batch))
            for i, (picture, error) in enumerate(zip(part, errors, strict=False)):
                answer = {name: array[i] for name, array in answers.items()}
                if picture.placed is not None and not error:
                    answer = _in_the_picture(answer, picture.placed())
                said = None if error else predictor.describe(answer)
                yield Prediction(picture.name, said, error, picture.number, picture.shown)


def _in_the_picture(answer: Mapping[str, np.ndarray], fit: letterbox.Fit) -> dict[str, np.ndarray]:
    """Boxes in the pixels of a picture that was fitted into a square, and a mask of its size."""
    made = dict(answer)
    if "boxes" in made:
        made["boxes"] = fit.back(made["boxes"])
    # A network that sees less than the square tells a smaller mask, of its middle.
    if "mask" in made and len(made["mask"]) == fit.size:
        made["mask"] = fit.mask_back(made["mask"])
    return made


def write(
    predictions: Iterator[Prediction],
    folder: epath.Path,
    called: str = "pictures",
    categories: Mapping[str, int | str] = MappingProxyType({}),
) -> None:
    """Prints a line a picture and writes them to predictions.jsonl; process 0 alone does.

    Beside it masks are written to the folder masks, by `jaxdl.inference.masks`, and boxes to
    coco_results.json, by `jaxdl.inference.coco_results`, and, drawn into their pictures, to the
    folder pictures, by `jaxdl.inference.drawings`, as what is made of pictures is. Vectors are the
    rows of embeddings.npy, (n, d) float32, those of what could be read, whose line says its row.

    Args:
      predictions: of `run`.
      folder: where predictions.jsonl goes; made if it is not there.
      called: what they are of, for the message.
      categories: ids of the classes, by their names, for coco_results.json.

    Raises:
      UserError: names the pictures that could not be read, after the others are done.
    """
    first, broken, vectors, count = jax.process_index() == 0, [], [], 0
    file, drawn = folder / "predictions.jsonl", masks.Masks(folder / "masks")
    made = made_pictures.MadePictures(folder / "pictures")
    results, boxed = coco_results.Results(categories), drawings.Drawings(folder / "pictures")
    if first:
        folder.mkdir(parents=True, exist_ok=True)
    with file.open("w") if first else io.StringIO() as lines:
        for found in predictions:
            count += 1
            if found.said is None:
                broken.append(found.error)
                continue
            record = {"file": found.name, **found.said.record}
            if first and found.said.mask is not None:
                record["mask"] = drawn.write(found.name, found.said.mask)
            if found.said.vector is not None:
                record["row"] = len(vectors)
                vectors.append(found.said.vector)
            if first and found.made is not None:
                record["picture"] = made.write(found.name, found.made)
            if found.said.detections is not None:
                results.add(found.name, found.said.detections, found.number)
                if first and found.shown is not None:
                    file_drawn = boxed.write(found.name, found.shown(), record["objects"])
                    record |= {"picture": file_drawn} if file_drawn else {}
            lines.write(json.dumps(record) + "\n")
            if first:
                line = f"{found.name}  {found.said.text}"  # names of files may be any bytes
                print(line.encode("utf-8", "backslashreplace").decode(), flush=True)
    if first:
        print(f"predictions {file}", flush=True)
        if vectors:
            rows.write(np.stack(vectors), folder)
        if len(results):
            results.write(folder / "coco_results.json")
            if categories and results.counted:
                print(
                    "image ids of coco_results.json count from 1 on: --input=FILE.json, of COCO's "
                    "form, takes those that are there",
                    flush=True,
                )
    if broken:
        raise UserError(f"{len(broken)} of {count} {called} could not be read: {listed(broken)}")
