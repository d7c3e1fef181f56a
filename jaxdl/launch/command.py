"""The door: ``python -m jaxdl.launch --config=experiments/vit.py --workdir=runs/vit``.

Flags in, exit code out: 0 done, 2 bad input (one line says what and how), 3 a non-finite number,
4 no sound checkpoint, 5 a checkpoint not written, 130 and 143 stopped by SIGINT and SIGTERM.
"""

import functools
import importlib
import sys
import traceback
from collections.abc import Sequence

USAGE = """\
python -m jaxdl.launch --config=FILE[:variant] [--workdir=DIR] [--config.KEY=VALUE …] [--mode=MODE]

  --config=FILE[:variant]   an experiment file, and which of its variants
  --config.KEY=VALUE        any setting of it: --config.model.depth=6 --config.epochs=20
  --config.population=N     trains N seeds as one program
  --config.sweep='KEY=…'    and values: optimizer.learning_rate=1e-4:1e-1:8:log, or .1,.2,.5;
                            several form a grid; --config.member=I goes on with one, or evaluates it
  --workdir=DIR             where the run is kept, a gs:// path too; a run that is there goes on
                            (default: a dated folder under runs/); one run at a time trains there
                            (DIR/lock.json says which; remove it if that is gone for good)
  --mode=train              trains, evaluates on the way, and writes DIR/report.html
  --mode=evaluate           scores DIR's best checkpoint
  --mode=sample             writes what DIR's best checkpoint generates to DIR/samples
  --mode=predict            says what is in --input, by DIR's best checkpoint or, without a run, by
                            --config.pretrained.source=FILE [--config.pretrained.model=NAME];
                            writes DIR/predictions.jsonl; needs no --config, as export does;
                            of texts, by a run, DIR/predictions.txt too
  --input=WHAT              a picture, a folder of them, a pattern ('*.jpg'), or an array (.npy);
                            of tasks on texts a file with one on each line, .jsonl, .csv or .tsv;
                            of Whisper, published or a run that began with one, a sound, a folder
                            of them or a pattern: DIR gets an .srt and a .vtt for each; how it
                            writes is --config.pretrained.generation=language=de,num_beams=5
  --mode=export             writes the same model to DIR/export as one program with its weights,
                            that jax runs on CPU, GPU and TPU without jaxdl (the extra export);
                            of runs that write texts a folder as transformers has it
  --input_size=N            pixels a side of the images it takes, and scales to the model's size
  --mode=lr_find            tries learning rates of all sizes on a few hundred updates, prints one
                            and writes DIR/lr_find.html; touches nothing of a run in DIR
  --mode=plan               compiles the train step and prints bytes a chip, flops, collectives and
                            bounds on its time; trains nothing; writes DIR/plan.json if DIR is given
  --topology=NAME           what to plan for: v5e:16x16 or any TPU slice (no TPU needed, but the
                            extra tpu), or cpu:8; default: the devices at hand
  --accept_changes          goes on in DIR although settings or data differ from those it began with
  --debug                   shows the traceback behind an error
  --list                    every experiment on a line, by kind, its cost and the result to expect
  --list=NAME               all that one of them says of itself: variants, cost, result
  --help                    this text
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line ``argv`` (that of the process if None); returns its exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    from jaxdl import process

    process.tune()
    process.choose_platform(argv)
    # Nothing here imports jax: help, lists and refusals come sooner than an import of it.
    from jaxdl.errors import JaxdlError, StructureError, UserError, told
    from jaxdl.launch import flags, listing

    try:
        options = flags.parse(argv)
        if options.help:
            from jaxdl import config

            print(f"{USAGE}\nKeys of every config, with their defaults:\n{config.describe()}")
            return 0
        if options.list:
            print(listing.whole(options.listed) if options.listed else listing.lines())
            return 0
        try:
            return run(options)
        except StructureError as error:
            from jaxdl.experiment import sweep

            instead = sweep.one_by_one(options.config, error.names, flags.by_name(argv))
            raise UserError(f"{error}; instead: {instead}") from error
    except BrokenPipeError:  # `… --help | head`
        sys.stderr.close()
        return 0
    except JaxdlError as error:
        if "--debug" in argv:
            traceback.print_exc()
        return told(error)


def run(options) -> int:
    """Runs one experiment in one mode.

    Args:
      options: `jaxdl.launch.flags.Options`.
    """
    import jax
    from etils import epath

    from jaxdl import experiment, parallel, process
    from jaxdl.errors import UserError, note
    from jaxdl.launch import flags
    from jaxdl.runs import meaning, workdir

    # One alone: the imports of all of them take another sixteenth of a second.
    uses = options.mode in flags.USES
    mode = importlib.import_module(f"jaxdl.launch.{'use' if uses else options.mode}")
    if options.mode in ("plan", "lr_find"):
        return mode.run(options)
    if uses:
        mode.prepare(options)
        if not options.workdir or not (epath.Path(options.workdir) / "config.json").exists():
            return mode.of_published(options)
    folder = epath.Path(options.workdir) if options.workdir else workdir.default_path(options.file)
    if options.mode != "train" and not options.workdir:
        raise UserError(f"--mode={options.mode} needs --workdir: the folder of a trained run")
    config = options.config
    experiment.check(config)

    def check(folder, config):
        asks = experiment.asks(config) if options.mode in ("sample", "predict") else ()
        usual = experiment.usual(config)
        workdir.check(folder, config, options.accept_changes, usual, asks)

    if config.member is None:
        workdir.check_folder(folder)
        before = meaning.standing(folder)
        check(folder, config)
    process.use_compilation_cache()
    parallel.initialize()
    say = note if jax.process_index() == 0 else lambda line: None
    own_devices = workdir.has_own(folder, config, "parallel")
    if config.member is not None:
        from jaxdl.train import single_out

        folder, config = single_out.single_out(folder, config, say)
        if options.mode != "train":
            workdir.adopt(folder, config)
        before = meaning.standing(folder)
        check(folder, config)
    if options.mode == "export":
        config.parallel.update(strategy="jit", data=1, fsdp=1, tensor=1)
    elif options.mode != "train" and own_devices:
        experiment.fit_devices(config)
    if options.mode == "train":
        made, keep = experiment.to_train(config, folder, options.accept_changes, say)
        unchanged = functools.partial(meaning.check_standing, folder, before)
        return mode.run(options, made, folder, keep=keep, unchanged=unchanged)
    if options.mode == "evaluate":
        made = experiment.to_evaluate(config, folder, options.accept_changes, say)
    else:
        made = experiment.to_use(config, folder, say)
    return (mode.of_run if uses else mode.run)(options, made, folder)
