"""DeepCNN in five epochs on 500 random images, on jaxdl's pure functions.

python -m benchmarks.course.ours
"""

from jaxdl import process

if __name__ == "__main__":
    process.use_huge_pages()
process.tune()  # before jax is imported, as the launcher does it

import jax  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402

from jaxdl import keys, losses, metrics, models  # noqa: E402
from jaxdl.tasks import learner  # noqa: E402

EPOCHS, EXAMPLES, BATCH = 5, 500, 32


def main() -> None:
    """Trains, and prints each epoch's mean loss."""
    process.use_compilation_cache()
    rng = np.random.default_rng(0)
    images = rng.standard_normal((EXAMPLES, 28, 28, 1), np.float32)
    labels = rng.integers(0, 10, EXAMPLES)
    model, optimizer = models.create("deep_cnn", num_classes=10), optax.adam(1e-3)

    def loss_fn(params, model_state, batch, key):
        logits, model_state = model.apply(
            {"params": params, **model_state},
            batch["x"],
            train=True,
            rngs={"dropout": key},
            mutable=["batch_stats"],
        )
        loss = losses.cross_entropy(logits, batch["y"])
        return learner.Loss(metrics.Mean.of(loss), model_state, {})

    update = jax.jit(learner.make_update(loss_fn, optimizer), donate_argnums=0)
    init = jax.jit(lambda key: learner.create(model.init(key, images[:1]), optimizer))
    root = keys.root(0)
    state = init(keys.named(root, "init"))
    step = 0
    for epoch in range(EPOCHS):
        order = rng.permutation(EXAMPLES)
        found = []
        for i in range(0, EXAMPLES - BATCH + 1, BATCH):
            rows = order[i : i + BATCH]
            batch = {"x": images[rows], "y": labels[rows]}
            state, figures = update(state, batch, keys.at_step(root, step))
            found.append(figures["loss"])
            step += 1
        total = sum(float(loss.total) for loss in found)
        print(f"epoch {epoch + 1}  loss {total / (len(found) * BATCH):.4f}")


if __name__ == "__main__":
    main()
