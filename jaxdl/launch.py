"""The door: ``python -m jaxdl.launch --config=experiments/vit.py --workdir=runs/vit``.

Flags in, exit code out: 0 done, 2 bad input (one line says what and how), 3 a non-finite number,
4 no sound checkpoint, 5 a checkpoint not written, 130 and 143 stopped by SIGINT and SIGTERM.
"""

import sys
import time
import traceback
from collections.abc import Sequence

_STARTED = time.perf_counter()

USAGE = """\
python -m jaxdl.launch --config=FILE[:variant] [--workdir=DIR] [--config.KEY=VALUE …] [--mode=MODE]

  --config=FILE[:variant]   an experiment file, and which of its variants
  --config.KEY=VALUE        any setting of it: --config.model.depth=6 --config.epochs=20
  --config.population=N     trains N seeds as one program
  --config.sweep='KEY=…'    and values: optimizer.learning_rate=1e-4:1e-1:8:log, or .1,.2,.5;
                            several form a grid; --config.member=I goes on with one, or evaluates it
  --workdir=DIR             where the run is kept, a gs:// path too; a run that is there goes on
                            (default: a dated folder under runs/)
  --mode=train              trains, evaluates on the way, and writes DIR/report.html
  --mode=evaluate           scores DIR's best checkpoint
  --mode=sample             writes what DIR's best checkpoint generates to DIR/samples
  --mode=predict            says what is in --input, by DIR's best checkpoint or, without a run, by
                            --config.pretrained.source=FILE [--config.pretrained.model=NAME];
                            writes DIR/predictions.jsonl; needs no --config, as export does
  --input=WHAT              a picture, a folder of them, a pattern ('*.jpg'), or an array (.npy)
  --mode=export             writes the same model to DIR/export as one program with its weights,
                            that jax runs on CPU, GPU and TPU without jaxdl (the extra export)
  --input_size=N            pixels a side of the images it takes, and scales to the model's size
  --mode=lr_find            tries learning rates of all sizes on a few hundred updates, prints one
                            and writes DIR/lr_find.html; touches nothing of a run in DIR
  --mode=plan               compiles the train step and prints bytes a chip, flops, collectives and
                            bounds on its time; trains nothing; writes DIR/plan.json if DIR is given
  --topology=NAME           what to plan for: v5e:16x16 or any TPU slice (no TPU needed, but the
                            extra tpu), or cpu:8; default: the devices at hand
  --accept_changes          goes on in DIR although settings differ from those it began with
  --debug                   shows the traceback behind an error
  --list                    every experiment, its cost and the result to expect
  --help                    this text
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line ``argv`` (that of the process if None); returns its exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    from jaxdl import host

    host.tune()
    host.choose_platform(argv)
    from jaxdl import flags, sweep
    from jaxdl.errors import JaxdlError, UserError, told
    from jaxdl.swept import StructureError

    try:
        options = flags.parse(argv)
        if options.help:
            from jaxdl import config

            print(f"{USAGE}\nKeys of every config, with their defaults:\n{config.describe()}")
            return 0
        if options.list:
            print(flags.list_experiments())
            return 0
        try:
            return run(options)
        except StructureError as error:
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
      options: `jaxdl.flags.Options`.
    """
    from etils import epath

    from jaxdl import experiment, flags, host, members, parallel, workdir
    from jaxdl.errors import UserError

    if options.mode == "plan":
        return _plan(options)
    if options.mode == "lr_find":
        return _lr_find(options)
    if options.mode in flags.USES:
        _prepare_use(options)
        if not options.workdir or not (epath.Path(options.workdir) / "config.json").exists():
            return _use_published(options)
    modes = {"train": _train, "evaluate": _evaluate, "sample": _sample}
    folder = epath.Path(options.workdir) if options.workdir else workdir.default_path(options.file)
    if options.mode != "train" and not options.workdir:
        raise UserError(f"--mode={options.mode} needs --workdir: the folder of a trained run")
    config = options.config
    experiment.check(config)
    if config.member is None:
        workdir.check(folder, config, options.accept_changes)
    host.use_compilation_cache()
    parallel.initialize()
    if config.member is not None:
        folder, config = members.single_out(folder, config)
        if options.mode != "train":
            workdir.adopt(folder, config)
        workdir.check(folder, config, options.accept_changes)
    if options.mode == "export":
        config.parallel.update(strategy="jit", data=1, fsdp=1, tensor=1)
    return modes.get(options.mode, _use_run)(options, experiment.create(config), folder)


def _plan(options) -> int:
    import jax
    from etils import epath

    from jaxdl import host, parallel, plan, workdir

    folder = epath.Path(options.workdir) if options.workdir else None
    if folder is not None:
        workdir.check_folder(folder)
    host.use_compilation_cache()
    if not options.topology:  # another machine's devices are planned for by one process
        parallel.initialize()
    found = plan.plan(options.config, options.topology)
    if jax.process_index() != 0:
        return 0
    print(plan.describe(found), flush=True)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        workdir.write_json(folder / "plan.json", found)
        print(f"\nplan {folder / 'plan.json'}")
    return 0


def _lr_find(options) -> int:
    import jax
    from etils import epath

    from jaxdl import experiment, host, lr_find, parallel, sweep, workdir

    folder = epath.Path(options.workdir) if options.workdir else workdir.default_path(options.file)
    workdir.check_folder(folder)
    sweep.need_single(options.config, "--mode=lr_find")
    experiment.check(options.config)
    host.use_compilation_cache()
    parallel.initialize()
    found = lr_find.run(options.config)
    if jax.process_index() == 0:
        print(lr_find.describe(found), flush=True)
        title = options.file.removesuffix(".py")
        print(f"report {lr_find.write(folder, title, found, options.config)}", flush=True)
    return 0


def _train(options, made, folder) -> int:
    import jax

    from jaxdl import keys, parallel, population, report, train, workdir

    workdir.claim(folder, made.config)
    if jax.process_index() == 0:
        print(f"workdir {folder}", flush=True)
    outcome = train.train(made, folder)
    state = parallel.everywhere(outcome.state)
    if jax.process_index() != 0:
        return 0
    seconds = time.perf_counter() - _STARTED
    workdir.write_json(folder / "summary.json", {**outcome.summary, "seconds": seconds})
    print(_line(outcome.summary["final"]), flush=True)
    task, key = made.task, made.key
    if made.members:
        best = dict(outcome.summary["best"])
        index, _, _ = (best.pop(word) for word in ("member", "seed", "settings"))
        print(f"best {population.name(made.members[index])}: {_line(best)}", flush=True)
        task, state, key = population.member(made.run, made.members, index, state, key)
    if made.config.log.report:
        pictures = task.artifacts(state, made.run.data.test, keys.named(key, "artifacts"))
        title = options.file.removesuffix(".py")
        page = report.write(folder, title, pictures, task.parameters(state))
        print(f"report {page}", flush=True)
    return 0


def _evaluate(options, made, folder) -> int:
    import jax

    from jaxdl import evaluate, population

    figures = evaluate.evaluate(made, folder)
    if jax.process_index() == 0:
        for member in made.members:
            print(f"{population.name(member)}: {_line(population.own(figures, member.index))}")
        if not made.members:
            print(_line(figures))
    return 0


def _sample(options, made, folder) -> int:
    from jaxdl import evaluate, keys, samples
    from jaxdl.errors import UserError

    if made.members:
        raise UserError("--mode=sample is of one member: add --config.member=0, or another")
    if made.task.sample is None:
        name = made.config.task.name
        raise UserError(f"--mode=sample is for what generates, and task {name!r} does not")
    _, state = evaluate.best_state(made, folder)
    found = made.task.sample(state, keys.named(made.key, "sample"))
    for file in samples.write(folder / "samples", found):
        print(f"sample {file}")
    return 0


def _prepare_use(options) -> None:
    """Finds out before anything is loaded what a mode in `flags.USES` will need."""
    from jaxdl.errors import UserError

    if options.mode == "predict" and not options.input:
        raise UserError("--mode=predict needs --input: a picture, a folder, a pattern, or .npy")
    if options.mode == "export":
        from jaxdl import export

        export.prepare()


def _use_run(options, made, folder) -> int:
    from jaxdl import predict

    return _use(options, predict.of_run(made, folder), folder)


def _use_published(options) -> int:
    from etils import epath

    from jaxdl import host, parallel, predict, workdir
    from jaxdl.errors import UserError

    source = options.config.pretrained.source
    if not source:
        raise UserError(
            f"--mode={options.mode} needs a model: --workdir, the folder of a trained run, or "
            "--config.pretrained.source, a published checkpoint"
        )
    name = options.config.pretrained.model or source
    folder = epath.Path(options.workdir) if options.workdir else workdir.default_path(name)
    workdir.check_folder(folder)
    host.use_compilation_cache()
    parallel.initialize()
    return _use(options, predict.of_checkpoint(options.config), folder)


def _use(options, predictor, folder) -> int:
    from jaxdl import predict

    if options.mode == "export":
        from jaxdl import export

        for file in export.write(predictor, folder / "export", options.input_size):
            print(f"export {file}", flush=True)
        return 0
    found = predict.pictures(options.input, predictor)
    predict.write(predict.run(predictor, found, options.config.eval.batch_size), folder)
    return 0


def _line(figures) -> str:
    return "  ".join(
        f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in figures.items()
    )


if __name__ == "__main__":
    sys.exit(main())
