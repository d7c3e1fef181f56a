"""``--mode=plan``: what the run would cost on chips that may not be there."""

import jax
from etils import epath

from jaxdl import parallel, plan, process
from jaxdl.launch.flags import Options
from jaxdl.runs import workdir


def run(options: Options) -> int:
    """Prints the plan; returns the exit code."""
    folder = epath.Path(options.workdir) if options.workdir else None
    if folder is not None:
        workdir.check_folder(folder)
    process.use_compilation_cache()
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
