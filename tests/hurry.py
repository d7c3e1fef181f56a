"""What makes JAX quicker for tests than for users, where their environment alone cannot.

Nearly all that tests cost is programs: traced, lowered, and compiled or read from the cache. No
program is another for it, but for the optimisations that `compile_less` leaves out.
"""

import contextlib
import threading

# Of MLIR's names, types and constants none is forgotten while its context lives.
LOWERINGS_A_CONTEXT = 20


def set_up() -> None:
    """Changes JAX; called once a process, before the first program."""
    compile_less()
    share_contexts()


def compile_less() -> None:
    """Adds to the environment's choice the older of XLA's two ways to emit loops on a CPU.

    With it a small network's update compiles in 1.2 to 1.6 s of processor time, without in 3.7 to
    4.3, and as for users in 8 to 10 (jax 0.10). From jax 0.12 on there is but one way. Options for
    all programs are read from XLA_FLAGS once a process, which tests of what users get need without;
    jax has no public way to change them later.
    """
    from importlib import metadata

    if tuple(map(int, metadata.version("jaxlib").split(".")[:2])) >= (0, 11):
        return
    import jax
    from jax._src import compiler

    usual = compiler.get_compile_options

    def get_compile_options(*args, **kwargs):
        options = usual(*args, **kwargs)
        if jax.config.read("jax_disable_most_optimizations"):
            given = list(options.env_option_overrides)
            options.env_option_overrides = [*given, ("xla_cpu_use_fusion_emitters", False)]
        return options

    compiler.get_compile_options = get_compile_options


def share_contexts() -> None:
    """Lowers several programs in one MLIR context, as newer versions of JAX do by themselves.

    Making one takes 5 ms, of 12 that a program of two operations takes in all (jax 0.10).
    """
    from jax._src.interpreters import mlir

    if hasattr(mlir, "_thread_local_context"):  # JAX's own
        return
    make, own = mlir.make_ir_context, threading.local()

    def make_ir_context():
        # A program that is lowered on the way to another would become a part of it.
        with contextlib.suppress(ValueError):
            if mlir.ir.Context.current is not None:
                return make()
        if not getattr(own, "left", 0):
            own.context, own.left = make(), LOWERINGS_A_CONTEXT
        own.left -= 1
        return own.context

    mlir.make_ir_context = make_ir_context
