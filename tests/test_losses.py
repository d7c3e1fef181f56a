"""Losses against their definitions in float64 NumPy: values, gradients, and their extremes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numeric import gradient, softmax
from scipy.special import expit, log_expit, logsumexp, rel_entr
from scipy.stats import norm

from jaxdl import losses

pytestmark = pytest.mark.usefixtures("explicit")

SHAPES = [(4, 5), (3, 2, 5), (2, 3, 2, 4)]  # the last axis: classes
HUGE = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4], [1e4, 1e4, 1e4], [-1e4, -1e4, -1e4], [0, 1, 2]])


def per_example(x):
    return np.array([np.mean(row) for row in x])


def cross_entropy(logits, labels, smoothing=0.0):
    classes = logits.shape[-1]
    if np.issubdtype(labels.dtype, np.integer):
        labels = np.eye(classes)[labels]
    target = (1 - smoothing) * labels + smoothing / classes
    log_p = logits - logsumexp(logits, axis=-1, keepdims=True)
    return per_example(-(target * log_p).sum(-1))


def binary_cross_entropy(logits, targets):
    # Where the weight is 0, so is the term, however large its logarithm.
    return per_example(-(targets * log_expit(logits) + (1 - targets) * log_expit(-logits)))


def focal(logits, targets, gamma=2.0, alpha=0.25):
    sign = np.where(targets == 1, 1, -1)
    weight = 1.0 if alpha is None else np.where(targets == 1, alpha, 1 - alpha)
    return per_example(-weight * expit(-sign * logits) ** gamma * log_expit(sign * logits))


def huber(predictions, targets, delta=1.0):
    e = np.abs(predictions - targets)
    return per_example(np.where(e <= delta, e**2 / 2, delta * (e - delta / 2)))


def kl_divergence(logits_p, logits_q):
    log_p = logits_p - logsumexp(logits_p, axis=-1, keepdims=True)
    log_q = logits_q - logsumexp(logits_q, axis=-1, keepdims=True)
    return per_example((np.exp(log_p) * (log_p - log_q)).sum(-1))


def losses_and_slopes(loss, x, *others):
    """In float32: each example's loss, and its slopes by ``x``."""

    def total(x, *others):
        y = loss(x, *others)
        return y.sum(), y

    f = jax.jit(jax.grad(total, has_aux=True))
    slope, y = f(*(np.asarray(a, np.float32) for a in (x, *others)))
    return y, slope


def check(loss, reference, *inputs, wrt=(0,)):
    """Value and gradients in float64 against ``reference``; the value in float32 too."""
    out = reference(*inputs)
    # Unequal weights: an example's loss must not leak into its neighbour's.
    weights = np.arange(1.0, len(out) + 1)

    def total(*x):
        y = loss(*x)
        return (y * weights).sum(), y

    with jax.enable_x64(True):
        f = jax.jit(jax.grad(total, argnums=wrt, has_aux=True))
        got_gradients, got = f(*(jnp.asarray(x) for x in inputs))
    assert got.shape == (len(inputs[0]),)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, out, rtol=1e-12, atol=1e-13)
    for i, g in zip(wrt, got_gradients, strict=True):
        at = lambda x, i=i: (reference(*inputs[:i], x, *inputs[i + 1 :]) * weights).sum()
        np.testing.assert_allclose(g, gradient(at, inputs[i]), rtol=1e-6, atol=1e-8)
    narrow = [x if x.dtype.kind == "i" else x.astype(np.float32) for x in inputs]
    got = jax.jit(loss)(*narrow)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, out, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy_of_integer_labels(shape, smoothing):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, shape[-1], shape[:-1])
    check(
        lambda x, labels: losses.cross_entropy(x, labels, label_smoothing=smoothing),
        lambda x, labels: cross_entropy(x, labels, smoothing),
        3 * rng.normal(size=shape),
        labels,
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_of_distributions(shape, smoothing):
    rng = np.random.default_rng(1)
    labels = softmax(2 * rng.normal(size=shape))
    check(
        lambda x, labels: losses.cross_entropy(x, labels, label_smoothing=smoothing),
        lambda x, labels: cross_entropy(x, labels, smoothing),
        3 * rng.normal(size=shape),
        labels,
    )


@pytest.mark.parametrize("kind", ["integers", "distributions"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_right_at_logits_of_1e4(kind, smoothing):
    labels = np.array([0, 0, 1, 2, 1])
    p = softmax(HUGE)
    target = (1 - smoothing) * np.eye(3)[labels] + smoothing / 3
    given = labels if kind == "integers" else np.eye(3, dtype=np.float32)[labels]

    def total(x):
        y = losses.cross_entropy(x, jnp.asarray(given), label_smoothing=smoothing)
        return y.sum(), y

    slope, got = jax.jit(jax.grad(total, has_aux=True))(jnp.asarray(HUGE, jnp.float32))
    np.testing.assert_allclose(got, cross_entropy(HUGE, labels, smoothing), rtol=1e-6)
    np.testing.assert_allclose(slope, p - target, atol=3e-7)


@pytest.mark.parametrize("dtype", [np.int32, np.int8, np.uint8])
def test_a_label_out_of_range_gives_nan_and_only_there(dtype):
    labels = np.array([0, 2, 3, 100, -1 if np.iinfo(dtype).min else 255, 1]).astype(dtype)
    logits = np.random.default_rng(2).normal(size=(6, 3))
    good = np.array([True, True, False, False, False, True])
    loss = jax.jit(losses.cross_entropy)
    for smoothing in (0.0, 0.1, 1.0):
        got = loss(logits.astype(np.float32), labels, label_smoothing=smoothing)
        assert np.isnan(got[~good]).all(), (smoothing, got)
        expected = cross_entropy(logits[good], labels[good].astype(int), smoothing)
        np.testing.assert_allclose(got[good], expected, rtol=1e-6)


def test_label_smoothing_may_be_traced_and_vmapped():
    rng = np.random.default_rng(3)
    logits, labels = rng.normal(size=(4, 3)), rng.integers(0, 3, 4)
    epsilons = np.array([0.0, 0.1, 0.5, 1.0])
    with jax.enable_x64(True):
        loss = jax.jit(
            lambda e: losses.cross_entropy(jnp.asarray(logits), labels, label_smoothing=e)
        )
        one = [loss(e) for e in epsilons]
        mapped = jax.vmap(loss)(jnp.asarray(epsilons))
        slope = jax.jit(jax.grad(lambda e: loss(e).sum()))(0.3)
    expected = [cross_entropy(logits, labels, e) for e in epsilons]
    np.testing.assert_allclose(one, expected, rtol=1e-12)
    np.testing.assert_allclose(mapped, expected, rtol=1e-12)
    by_epsilon = gradient(lambda e: cross_entropy(logits, labels, e).sum(), np.array(0.3))
    np.testing.assert_allclose(slope, by_epsilon, rtol=1e-8)


@pytest.mark.parametrize("shape", [(6,), (3, 4), (2, 3, 2)])
def test_binary_cross_entropy(shape):
    rng = np.random.default_rng(4)
    targets = rng.choice([0.0, 0.3, 1.0], shape)
    check(
        losses.binary_cross_entropy,
        binary_cross_entropy,
        4 * rng.normal(size=shape),
        targets,
        wrt=(0, 1),
    )


def test_binary_cross_entropy_is_right_at_logits_of_1e4():
    x, t = (a.reshape(-1) for a in np.meshgrid([-1e4, -100.0, 0.0, 100.0, 1e4], [0.0, 0.5, 1.0]))
    got, slope = losses_and_slopes(losses.binary_cross_entropy, x, t)
    np.testing.assert_allclose(got, binary_cross_entropy(x, t), rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(slope, expit(x) - t, rtol=1e-6, atol=1e-30)


def test_binary_cross_entropy_of_a_sure_right_answer_keeps_its_digits_in_float32():
    # max(x, 0) - x t + log(1 + e^-|x|), as promised, does not cancel at t = 1; log(1 + e^x) - x t
    # has lost every digit at 15.
    x = np.array([2.0, 5.0, 10.0, 15.0, 20.0])
    for sign in (1, -1):
        t = np.full(5, (1 + sign) / 2)
        got, slope = losses_and_slopes(losses.binary_cross_entropy, sign * x, t)
        np.testing.assert_allclose(got, -log_expit(x), rtol=1e-5)
        np.testing.assert_allclose(slope, -sign * expit(-x), rtol=1e-5)


@pytest.mark.parametrize("gamma", [0, 0.5, 2])
@pytest.mark.parametrize("alpha", [0.25, None])
def test_focal(gamma, alpha):
    rng = np.random.default_rng(5)
    targets = rng.integers(0, 2, (3, 4)).astype(float)
    check(
        lambda x, targets: losses.focal(x, targets, gamma=gamma, alpha=alpha),
        lambda x, targets: focal(x, targets, gamma, alpha),
        3 * rng.normal(size=(3, 4)),
        targets,
    )


def test_focal_defaults_are_the_papers():
    rng = np.random.default_rng(6)
    targets = rng.integers(0, 2, (5,)).astype(float)
    check(losses.focal, focal, rng.normal(size=5), targets)


def test_focal_without_focus_is_binary_cross_entropy():
    rng = np.random.default_rng(7)
    x, t = 3 * rng.normal(size=(8, 2)), rng.integers(0, 2, (8, 2)).astype(float)
    with jax.enable_x64(True):
        got = jax.jit(lambda x, t: losses.focal(x, t, gamma=0, alpha=None))(x, t)
    np.testing.assert_allclose(got, binary_cross_entropy(x, t), rtol=1e-12)


@pytest.mark.parametrize("gamma", [0, 0.5, 2])
def test_focal_is_right_at_logits_of_1e4(gamma):
    x = np.array([-1e4, -1e4, -200, 200, 1e4, 1e4])
    t = np.array([0.0, 1.0, 1.0, 0.0, 0.0, 1.0])
    loss = lambda x, t: losses.focal(x, t, gamma=gamma, alpha=None)
    got, slope = losses_and_slopes(loss, x, t)
    np.testing.assert_allclose(got, focal(x, t, gamma, None), rtol=1e-6, atol=1e-30)
    # A wrong answer this far out has the slope of |x|, a right one none.
    np.testing.assert_allclose(slope, [0, -1, -1, 1, 1, 0], rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 2)])
@pytest.mark.parametrize(
    "loss, reference",
    [
        (losses.mse, lambda p, t: per_example((p - t) ** 2)),
        (losses.mae, lambda p, t: per_example(np.maximum(p, t) - np.minimum(p, t))),
        (losses.huber, huber),
    ],
    ids=["mse", "mae", "huber"],
)
def test_regression_losses(loss, reference, shape):
    rng = np.random.default_rng(8)
    check(loss, reference, 2 * rng.normal(size=shape), rng.normal(size=shape), wrt=(0, 1))


@pytest.mark.parametrize("delta", [0.3, 2.0])
def test_huber_takes_its_delta(delta):
    rng = np.random.default_rng(9)
    check(
        lambda p, t: losses.huber(p, t, delta=delta),
        lambda p, t: huber(p, t, delta),
        3 * rng.normal(size=(4, 3)),
        rng.normal(size=(4, 3)),
        wrt=(0, 1),
    )


def test_huber_is_smooth_at_its_seam_and_linear_behind_it():
    e = np.array([-1e4, -2.0, -0.5, 0.0, 0.5, 2.0, 1e4])
    _, slope = losses_and_slopes(lambda e: losses.huber(e, jnp.zeros(7), delta=2.0), e)
    np.testing.assert_allclose(slope, [-2, -2, -0.5, 0, 0.5, 2, 2], rtol=1e-6)


@pytest.mark.parametrize("shape", [(5,), (3, 2)])
def test_quantile_loss(shape):
    rng = np.random.default_rng(6)
    levels = np.array([0.05, 0.5, 0.9])

    def reference(predictions, targets):
        error = targets[..., None] - predictions
        return per_example(np.where(error > 0, levels * error, (levels - 1) * error))

    x = rng.normal(size=(*shape, 3))
    check(lambda x, y: losses.quantile(x, y, levels), reference, x, rng.normal(size=shape))


def test_what_the_quantile_loss_is_least_at_is_the_quantile():
    targets = np.random.default_rng(7).exponential(size=999)
    tried = np.linspace(0, 6, 601)
    for level in (0.1, 0.5, 0.95):
        at = lambda x, level=level: losses.quantile(
            np.full((999, 1), x, np.float32), np.float32(targets), np.float32([level])
        ).mean()
        best = tried[np.argmin([at(x) for x in tried[::10]]) * 10]
        assert best == pytest.approx(np.quantile(targets, level), abs=0.1)


def test_positives_may_weigh_more_in_binary_cross_entropy():
    rng = np.random.default_rng(8)
    x, t = 2 * rng.normal(size=(4, 3)), (rng.random((4, 3)) < 0.5).astype(np.float64)
    weight = np.array([[1.0, 3.0, 0.5]])
    reference = lambda x, t: per_example(-(weight * t * log_expit(x) + (1 - t) * log_expit(-x)))
    weighed = lambda x, t: losses.binary_cross_entropy(x, t, positive_weight=jnp.asarray(weight))
    check(weighed, reference, x, t)


@pytest.mark.parametrize("shape", SHAPES)
def test_kl_divergence(shape):
    rng = np.random.default_rng(10)
    p, q = 2 * rng.normal(size=shape), 2 * rng.normal(size=shape)
    check(losses.kl_divergence, kl_divergence, p, q, wrt=(0, 1))
    # And the reference against SciPy's terms p log(p / q).
    expected = per_example(rel_entr(softmax(p), softmax(q)).sum(-1))
    np.testing.assert_allclose(kl_divergence(p, q), expected, rtol=1e-12)


def test_kl_divergence_is_0_of_equal_distributions_whatever_their_offsets():
    x = 3 * np.random.default_rng(11).normal(size=(4, 5))
    got, _ = losses_and_slopes(losses.kl_divergence, x, x + 7)
    np.testing.assert_allclose(got, 0, atol=3e-6)  # logits of 10 hold 1e-6


def test_kl_divergence_is_right_at_logits_of_1e4():
    p, q = HUGE, HUGE[::-1].copy()
    expected = kl_divergence(p, q)
    got, slope_p = losses_and_slopes(losses.kl_divergence, p, q)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)
    _, slope_q = losses_and_slopes(lambda q, p: losses.kl_divergence(p, q), q, p)
    np.testing.assert_allclose(slope_q, softmax(q) - softmax(p), atol=3e-7)
    log_p, log_q = (x - logsumexp(x, axis=-1, keepdims=True) for x in (p, q))
    by_p = softmax(p) * (log_p - log_q - expected[:, None])
    np.testing.assert_allclose(slope_p, by_p, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "loss, reference",
    [
        (losses.cross_entropy, cross_entropy),
        (losses.binary_cross_entropy, binary_cross_entropy),
        (losses.focal, focal),
        (losses.mse, lambda p, t: per_example((p - t) ** 2)),
        (losses.mae, lambda p, t: per_example(np.abs(p - t))),
        (losses.huber, huber),
        (losses.kl_divergence, kl_divergence),
        (losses.normal_kl, lambda m, v: (m**2 + np.exp(v) - 1 - v).sum(-1) / 2),
    ],
    ids=lambda f: getattr(f, "__name__", ""),
)
def test_bf16_inputs_are_computed_in_float32(loss, reference):
    x = jnp.asarray(5 * np.random.default_rng(12).normal(size=(4, 3)), jnp.bfloat16)
    t = jnp.asarray(np.eye(3)[[0, 2, 1, 1]], jnp.bfloat16)
    got = jax.jit(loss)(x, t)
    assert got.dtype == jnp.float32
    expected = reference(np.asarray(x, np.float64), np.asarray(t, np.float64))
    np.testing.assert_allclose(got, expected, rtol=1e-5)  # bf16 itself would be off by 4e-3


def test_vmap_and_jit_give_each_model_of_an_ensemble_its_own_loss():
    rng = np.random.default_rng(13)
    logits, labels = rng.normal(size=(3, 4, 5)), rng.integers(0, 5, 4)
    got = jax.jit(jax.vmap(losses.cross_entropy, in_axes=(0, None)))(
        jnp.asarray(logits, jnp.float32), jnp.asarray(labels)
    )
    np.testing.assert_allclose(got, [cross_entropy(x, labels) for x in logits], rtol=2e-6)


@pytest.mark.parametrize("shape", [(5, 1), (3, 4), (2, 3, 2, 1)])
def test_normal_log_likelihood(shape):
    rng = np.random.default_rng(14)
    x, mean, log_variance = rng.normal(size=(3, *shape))
    reference = lambda x, mean, log_variance: (
        norm.logpdf(x, mean, np.exp(log_variance / 2)).reshape(len(x), -1).sum(-1)
    )
    check(losses.normal_log_likelihood, reference, x, mean, log_variance, wrt=(0, 1, 2))


def test_normal_log_likelihood_of_one_variance_for_all_counts_it_for_each():
    x = np.random.default_rng(15).normal(size=(3, 4)).astype(np.float32)
    got = jax.jit(losses.normal_log_likelihood)(x, x - 2, np.float32(-1.5))
    np.testing.assert_allclose(got, np.full(3, 4 * norm.logpdf(2, 0, np.exp(-0.75))), rtol=1e-6)


@pytest.mark.parametrize("shape", [(5, 1), (3, 4)])
def test_normal_kl(shape):
    rng = np.random.default_rng(16)
    mean, log_variance = rng.normal(size=(2, *shape))

    def reference(mean, log_variance):  # a mean of the log ratio, by Gauss-Hermite quadrature
        nodes, weights = np.polynomial.hermite_e.hermegauss(20)
        z = mean[..., None] + np.exp(log_variance / 2)[..., None] * nodes
        q = norm.logpdf(z, mean[..., None], np.exp(log_variance / 2)[..., None])
        ratio = ((q - norm.logpdf(z)) * weights).sum(-1) / np.sqrt(2 * np.pi)
        return ratio.sum(-1)

    check(losses.normal_kl, reference, mean, log_variance, wrt=(0, 1))


def test_normal_kl_keeps_its_digits_near_the_prior_in_float32():
    small = np.array([[1e-3], [-1e-3], [1e-4], [0.0]])
    got, slope = losses_and_slopes(lambda v, m: losses.normal_kl(m, v), small, np.zeros((4, 1)))
    # x²/4 + x³/12: the first terms of (eˣ - 1 - x) / 2.
    np.testing.assert_allclose(got, (small**2 / 4 + small**3 / 12)[:, 0], rtol=2e-3, atol=0)
    np.testing.assert_allclose(slope, np.expm1(small) / 2, atol=1e-7)


@pytest.mark.parametrize("beta", [1.0, 0.0, 4.0])
def test_elbo(beta):
    rng = np.random.default_rng(17)
    log_likelihood, mean, log_variance = rng.normal(size=3), *rng.normal(size=(2, 3, 4))
    kl = lambda m, v: (m**2 + np.exp(v) - 1 - v).sum(-1) / 2
    check(
        lambda *parts: losses.elbo(*parts, beta=beta),
        lambda likely, m, v: likely - beta * kl(m, v),
        log_likelihood, mean, log_variance, wrt=(0, 1, 2),
    )  # fmt: skip


def test_sparsity():
    rates, target = np.array([0.01, 0.05, 0.3, 0.9, 0.999]), 0.05
    two = lambda p: np.stack([p, 1 - p], -1)
    reference = lambda rates: rel_entr(two(np.full(5, target)), two(rates)).sum()
    with jax.enable_x64(True):
        loss = jax.jit(jax.value_and_grad(lambda rates: losses.sparsity(rates, target)))
        got, slope = loss(jnp.asarray(rates))
    assert got.shape == ()
    np.testing.assert_allclose(got, reference(rates), rtol=1e-12)
    np.testing.assert_allclose(slope, gradient(reference, rates, step=1e-7), rtol=1e-5, atol=1e-6)
    assert losses.sparsity(jnp.full(4, 0.2), 0.2) == pytest.approx(0, abs=1e-6)
    assert losses.sparsity(jnp.full(4, 0.2, jnp.bfloat16), 0.1).dtype == jnp.float32


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_poly_1_and_the_focal_loss_of_a_softmax(smoothing):
    rng = np.random.default_rng(5)
    logits, labels = rng.normal(0, 3, (6, 4)), rng.integers(0, 4, 6)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = (1 - smoothing) * np.eye(4)[labels] + smoothing / 4
    plain = -(target * np.log(shares)).sum(axis=1)
    poly = plain + 1.5 * (1 - (target * shares).sum(axis=1))
    focused = -(target * (1 - shares) ** 1.7 * np.log(shares)).sum(axis=1)
    own = dict(label_smoothing=smoothing)
    given = jnp.asarray(logits, jnp.float32)
    for truth in (labels, np.eye(4, dtype=np.float32)[labels]):
        np.testing.assert_allclose(losses.poly1(given, truth, epsilon=1.5, **own), poly, rtol=1e-5)
        found = losses.softmax_focal(given, truth, gamma=1.7, **own)
        np.testing.assert_allclose(found, focused, rtol=2e-5)
        for found in (
            losses.poly1(given, truth, epsilon=0.0, **own),
            losses.softmax_focal(given, truth, gamma=0.0, **own),
        ):
            np.testing.assert_allclose(found, plain, rtol=1e-5)


@pytest.mark.parametrize("loss", [losses.poly1, losses.softmax_focal])
def test_what_is_sure_has_a_finite_gradient_and_no_class_no_loss(loss):
    logits = jnp.array([[1e4, -1e4, 0.0], [1e4, -1e4, 0.0]])
    value, gradient = jax.value_and_grad(lambda x: loss(x, jnp.array([0, 1])).sum())(logits)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert np.isnan(loss(logits, jnp.array([3, -1]))).all()
