"""``--mode=lr_find``: the learning rate to begin with."""

import jax
from etils import epath

from jaxdl import experiment, parallel, process
from jaxdl.experiment import sweep
from jaxdl.launch.flags import Options
from jaxdl.runs import workdir
from jaxdl.train import lr_find


def run(options: Options) -> int:
    """Prints the rate and writes the curve; returns the exit code."""
    folder = epath.Path(options.workdir) if options.workdir else workdir.default_path(options.file)
    workdir.check_folder(folder)
    sweep.need_single(options.config, "--mode=lr_find")
    experiment.check(options.config)
    process.use_compilation_cache()
    parallel.initialize()
    found = lr_find.run(options.config)
    if jax.process_index() == 0:
        print(lr_find.describe(found), flush=True)
        title = options.file.removesuffix(".py")
        print(f"report {lr_find.write(folder, title, found, options.config)}", flush=True)
    return 0
