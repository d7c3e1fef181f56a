"""``--mode=predict`` and ``--mode=export``: a trained model put to use."""

import functools
from collections.abc import Callable

import jax
from etils import epath

from jaxdl import parallel, process
from jaxdl.data import audio, coco, files
from jaxdl.data.pictures import SUFFIXES
from jaxdl.errors import UserError
from jaxdl.experiment import Experiment
from jaxdl.inference import export, pictures, predict, recordings, sounds, texts, transformed
from jaxdl.inference.transcriber import Transcriber
from jaxdl.launch.flags import Options
from jaxdl.runs import workdir


def prepare(options: Options) -> None:
    """Finds out before anything is loaded what a mode in `flags.USES` will need."""
    if options.mode == "predict" and not options.input:
        raise UserError(
            "--mode=predict needs --input: pictures, sounds, or a file of texts or rows"
        )
    if options.mode == "export":
        export.prepare()


def of_run(options: Options, made: Experiment, folder: epath.Path) -> int:
    """Uses the model of a run; returns the exit code."""
    if options.mode == "predict" and made.task.transcriber:
        ready = functools.partial(recordings.of_run, made, folder, options.generation)
        _hear(options, ready, folder)
        return 0
    if options.generation:
        raise UserError(
            f"config.pretrained.generation={','.join(options.generation)}: it is asked of Whisper, "
            f"and this run's task is {made.config.task.name!r}"
        )
    if options.mode == "predict" and (made.task.answer or made.task.embed):
        texts.write(made, folder, options.input)
        return 0
    if options.mode == "export" and made.task.publish:
        texts.publish(made, folder, options.input_size)
        return 0
    if options.mode == "predict" and made.task.transform:
        found = sorted(pictures.matching(options.input, SUFFIXES, "pictures"))
        predict.write(transformed.run(made, folder, found), folder)
        return 0
    if options.mode == "export":
        if made.task.predict is None and (made.task.answer or made.task.embed):
            raise UserError(
                "--mode=export is of models of images and sounds and of those that write texts: a "
                f"run of task {made.config.task.name!r} answers by --mode=predict alone"
            )
        export.check()
    return _use(options, predict.of_run(made, folder), folder)


def of_published(options: Options) -> int:
    """Uses a published checkpoint; returns the exit code."""
    source = options.config.pretrained.source
    if not source:
        raise UserError(
            f"--mode={options.mode} needs a model: --workdir, the folder of a trained run, or "
            "--config.pretrained.source, a published checkpoint"
        )
    if options.mode == "export":
        export.check()
    name = options.config.pretrained.model or source
    folder = epath.Path(options.workdir) if options.workdir else workdir.default_path(name)
    workdir.check_folder(folder)
    process.use_compilation_cache()
    parallel.initialize()
    if not recordings.is_whisper(options.config):
        return _use(options, predict.of_checkpoint(options.config), folder)
    if options.mode == "export":
        raise UserError("--mode=export is of models of pictures: pretrained.save writes Whisper's")
    _hear(options, functools.partial(recordings.of_checkpoint, options.config), folder)
    return 0


def _hear(options: Options, ready: Callable[[], Transcriber], folder: epath.Path) -> None:
    """Writes what is said in the sounds of ``--input``; process 0 alone does.

    The model is read once there are sounds.
    """
    found = pictures.matching(options.input, audio.SUFFIXES, "sounds")
    whisper = ready()
    if jax.process_index() == 0:
        recordings.write(recordings.run(whisper, sorted(found)), folder)


def _use(options, predictor, folder) -> int:
    sound, categories = predictor.sound, predictor.categories
    if options.mode == "export":
        if sound is not None and options.input_size:
            raise UserError(
                f"--input_size={options.input_size} is of images, and this run's model takes sounds"
            )
        if predictor.makes_pictures and options.input_size:
            takes = "any size" if predictor.any_size else "the size that it learned from"
            raise UserError(
                f"--input_size={options.input_size}: this run's model takes images of {takes}"
            )
        written = export.write(predictor, folder / "export", options.input_size)
        if predictor.tokens:
            written += texts.tokenizer(folder, folder / "export")
        for file in written:
            print(f"export {file}", flush=True)
        return 0
    if sound is not None:
        found = sounds.find(options.input, sound)
    else:
        how = predictor.preprocess, predictor.channels, predictor.fit
        file = epath.Path(options.input)
        if files.of_kind(file, (".json",)) and file.is_file():
            given = coco.listed(file)
            found = pictures.listed(given, *how)
            categories = {name: number for number, name in given.categories.items()}
        else:
            found = pictures.find(options.input, *how)
    said = predict.run(predictor, found, options.config.eval.batch_size)
    predict.write(said, folder, "pictures" if sound is None else "sounds", categories)
    return 0
