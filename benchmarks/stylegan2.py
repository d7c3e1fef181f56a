"""Updates of StyleGAN2 at 32 pixels, with all its regularisations, beside the same in PyTorch.

    python -m benchmarks.stylegan2 [--size=32] [--rounds=11] [--form=NAME] [--torch-python=PATH]

Timed are 16 updates of both networks together, of which one has the discriminator's penalty of
slopes and four the generator's of path lengths, with 16 images each. Both sides begin with the same
weights, draw the same, and the losses of their first two updates by Adam, the first with both
penalties, are compared. PyTorch's is the fastest of eager and torch.compile (of the two losses,
since it differentiates nothing twice), each in either memory format, its optimizers in their fused
form; --form=eager_nhwc takes one of them untried, and --rounds=3 then ends in four minutes on 2
cores. Prints the medians of both, and of the rounds' ratios.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import paired

BATCH, UPDATES, COMPARED, RATE = 16, 16, 2, 2e-3
LATENT, WIDTH, DEPTH, MEMORY = 64, 128, 4, 0.99
R1, R1_EVERY, PATH, PATH_EVERY = 1.0, 16, 2.0, 4

# Largest difference of a loss after updates by Adam, whose first ones magnify rounding.
_AGREE = 5e-3


def main() -> int:
    """Runs the command line; 1 if the sides disagree."""
    return paired.main(
        "benchmarks.stylegan2",
        ours,
        theirs,
        size=32,
        agree=_AGREE,
        what="the losses of the first updates",
        of=f"{UPDATES} updates",
        has_forms=True,
    )


def widths(size: int) -> tuple[int, ...]:
    """Features of maps of 4, 8 … size pixels."""
    doublings = (size // 4).bit_length() - 1
    return (128,) * doublings + (64,)


def images(size: int) -> np.ndarray:
    """(batch, size, size, 1) float32 in [0, 1]."""
    rng = np.random.default_rng(0)
    return rng.random((BATCH, size // 4, size // 4, 1), np.float32).repeat(4, 1).repeat(4, 2)


def ours(file: Path, size: int) -> paired.Side:
    """Our side, whose first weights and draws are written to ``file`` by our names."""
    import jax
    from safetensors.numpy import save_file

    from jaxdl import experiment, keys, metrics, tasks
    from jaxdl.launch import flags
    from jaxdl.pretrained.architecture import by_name

    flag = lambda name, value: f"--config.{name}={value}"
    config = flags.parse(
        [
            "--config=experiments/stylegan2.py", flag("data.image_size", size),
            flag("model.widths", widths(size)), flag("model.width", WIDTH),
            flag("model.mapping_depth", DEPTH), flag("batch_size", BATCH),
            flag("task.latent", LATENT), flag("task.r1", R1), flag("task.r1_every", R1_EVERY),
            flag("task.path_length", PATH), flag("task.path_every", PATH_EVERY),
            flag("task.path_memory", MEMORY), flag("task.discriminator_rate", 1.0),
            flag("optimizer.learning_rate", RATE),
            flag("optimizer.schedule", "constant"), flag("optimizer.name", "adam"),
            flag("optimizer.b1", 0.0), flag("optimizer.b2", 0.99), flag("ema", 0.998),
            flag("precision", "float32"), flag("parallel.data", 1), flag("log.layers", "false"),
        ]
    ).config  # fmt: skip
    one = experiment.create(config)
    state = one.init_state()
    weights = by_name({"params": {**state.generator.params, **state.discriminator.params}})
    arrays = {k: np.array(x, order="C") for k, x in weights.items()}
    players, *_ = tasks.create(one.run).train_step.args
    for i in range(COMPARED):
        for what, x in _draws(players, keys.at_step(one.key, i), size):
            arrays[f"draws/{i}/{what}"] = np.array(x, order="C")
    save_file(arrays, file)
    examples = jax.device_put({"image": images(size)})
    step = jax.jit(one.task.train_step, donate_argnums=0)
    kept = [state, 0]

    def update() -> dict[str, Any]:
        kept[0], found = step(kept[0], examples, keys.at_step(one.key, kept[1]))
        kept[1] += 1
        return found

    def say() -> list[float]:
        found = [metrics.divide(update()) for _ in range(COMPARED)]
        names = ("generator_loss", "discriminator_loss")
        first = [found[0][name] for name in ("path_length", "r1_penalty")]
        return [*first, *(one[name] for one in found for name in names)]

    def run() -> None:
        for _ in range(UPDATES):
            found = update()
        jax.block_until_ready(found)

    return say, run


def _draws(players: Any, key: Any, size: int) -> Iterator[tuple[str, np.ndarray]]:
    """What our update draws by its key, by name."""
    import jax

    from jaxdl import keys

    counts = {"path_length": BATCH // 2, "generator": BATCH, "discriminator": BATCH}
    for name, count in counts.items():
        own = keys.named(key, name)
        yield from (
            (f"{name}/{k}", np.asarray(x))
            for k, x in players.inputs(keys.named(own, "inputs"), count).items()
        )
        draw = lambda of, shape, own=own: np.asarray(
            jax.random.normal(keys.named(own, of), shape, np.float32)
        )
        yield f"{name}/noise", draw("noise", (count, players.module.pixels))
        if name == "path_length":
            yield f"{name}/along", draw("along", (count, size, size, 1))


def theirs(file: Path, size: int, form: str) -> paired.Side:
    """The same in PyTorch."""
    import torch
    from safetensors.numpy import load_file

    arrays = load_file(file)
    drawn = {k: torch.from_numpy(x) for k, x in arrays.items() if k.startswith("draws/")}
    weights = {k: x for k, x in arrays.items() if not k.startswith("draws/")}

    def stepper(compiled: bool, layout: torch.memory_format) -> Callable[..., list[float]]:
        return _Updates(weights, size, compiled, layout)

    def run_of(updates: "_Updates") -> Callable[[], None]:
        def run() -> None:
            for _ in range(UPDATES):
                updates(None)

        return run

    def say() -> list[float]:
        updates, found = stepper(False, torch.contiguous_format), []
        for i in range(COMPARED):
            begins = f"draws/{i}/"
            own = {k.removeprefix(begins): x for k, x in drawn.items() if k.startswith(begins)}
            path, r1, generator, discriminator = updates(own)
            found += [path, r1] if i == 0 else []
            found += [generator, discriminator]
        return found

    run = lambda compiled, layout: run_of(stepper(compiled, layout))
    return say, paired.fastest_of_pytorch(run, form)


class _Updates:
    """Updates of both networks, in PyTorch, one after another."""

    def __init__(self, weights: Mapping[str, np.ndarray], size: int, compiled: bool, layout: Any):
        import torch

        from benchmarks import torch_weights
        from benchmarks.torch_models import stylegan2

        model = stylegan2.Model(LATENT, widths(size), 1, WIDTH, DEPTH)
        torch_weights.load(model, weights)
        self.model = model.to(memory_format=layout)
        self.layers, self.size = 2 * len(widths(size)), size
        self.pixels = 16 + sum(2 * (4 * 2**i) ** 2 for i in range(1, len(widths(size))))
        x = torch.from_numpy(2 * images(size) - 1).permute(0, 3, 1, 2)
        self.real = x.contiguous(memory_format=layout)
        self.count, self.length = 0, torch.zeros(())
        self.average = [p.detach().clone() for p in model.generator.parameters()]
        self.optimizers = [
            torch.optim.Adam(
                network.parameters(), lr=RATE * every / (every + 1),
                betas=(0.0, 0.99 ** (every / (every + 1))), fused=True,
            )
            for network, every in ((model.generator, PATH_EVERY), (model.discriminator, R1_EVERY))
        ]  # fmt: skip
        self.losses = self._generator_loss, self._discriminator_loss
        if compiled:
            self.losses = tuple(map(torch.compile, self.losses))

    def __call__(self, draws: Mapping[str, Any] | None) -> list[float]:
        """Path length, penalty of slopes (None where not due), and both losses."""
        import torch

        own = lambda name: self._drawn(draws, name, BATCH // 2 if name == "path_length" else BATCH)
        path = r1 = None
        if self.count % PATH_EVERY == 0:
            loss, path = self._path_loss(own("path_length"))
            self._step(0, loss)
        generator = self.losses[0](*own("generator")[:2])
        self._step(0, generator)
        if self.count % R1_EVERY == 0:
            r1 = self._penalty()
            self._step(1, R1_EVERY * R1 * r1)
        discriminator = self.losses[1](*own("discriminator")[:2])
        self._step(1, discriminator)
        self.count += 1
        with torch.no_grad():
            parameters = list(self.model.generator.parameters())
            torch._foreach_lerp_(self.average, parameters, 1 - 0.998)
        told = (path, r1, generator, discriminator)
        return [None if x is None else float(x.detach()) for x in told]

    def _step(self, which: int, loss: Any) -> None:
        optimizer = self.optimizers[which]
        optimizer.zero_grad(set_to_none=True)
        wanted = [p for group in optimizer.param_groups for p in group["params"]]
        loss.backward(inputs=wanted)
        optimizer.step()

    def _drawn(self, draws: Mapping[str, Any] | None, name: str, count: int) -> tuple[Any, ...]:
        """(latent vectors with their crossover, noise, …)."""
        import torch

        if draws is None:
            crossover = torch.randint(1, self.layers, (count,))
            along = torch.randn(count, 1, self.size, self.size)
            return (
                (torch.randn(count, 2, LATENT), crossover),
                torch.randn(count, self.pixels),
                along,
            )
        along = draws.get(f"{name}/along")
        along = None if along is None else along.permute(0, 3, 1, 2)
        inputs = draws[f"{name}/latent"], draws[f"{name}/crossover"]
        return inputs, draws[f"{name}/noise"], along

    def _styles(self, inputs: tuple[Any, Any]) -> Any:
        import torch

        latent, crossover = inputs
        made = self.model.generator.mapping(latent.flatten(0, 1)).reshape(len(latent), 2, 1, -1)
        is_first = torch.arange(self.layers)[None, :, None] < crossover[:, None, None]
        return torch.where(is_first, made[:, 0], made[:, 1])

    def _generator_loss(self, inputs: Any, noise: Any) -> Any:
        from torch.nn import functional as F

        fake = self.model.generator.synthesis(self._styles(inputs), noise)
        return F.softplus(-self.model.discriminator(fake)).mean()

    def _discriminator_loss(self, inputs: Any, noise: Any) -> Any:
        import torch
        from torch.nn import functional as F

        with torch.no_grad():
            fake = self.model.generator.synthesis(self._styles(inputs), noise)
        judge = self.model.discriminator
        return (F.softplus(judge(fake)) + F.softplus(-judge(self.real))).mean()

    def _penalty(self) -> Any:
        import torch

        real = self.real.detach().requires_grad_()
        slopes = torch.autograd.grad(self.model.discriminator(real).sum(), real, create_graph=True)
        return 0.5 * slopes[0].square().sum((1, 2, 3)).mean()

    def _path_loss(self, drawn: tuple[Any, ...]) -> tuple[Any, Any]:
        import torch

        inputs, noise, along = drawn
        styles = self._styles(inputs)
        made = self.model.generator.synthesis(styles, noise)
        total = (made * along / self.size).sum()
        slopes = torch.autograd.grad(total, styles, create_graph=True)[0]
        lengths = slopes.square().sum(2).mean(1).sqrt()
        loss = PATH_EVERY * PATH * (lengths - self.length).square().mean()
        self.length = self.length + (1 - MEMORY) * (lengths.mean().detach() - self.length)
        return loss, lengths.mean()


if __name__ == "__main__":
    sys.exit(main())
