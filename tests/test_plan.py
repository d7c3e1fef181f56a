"""Plans: what is counted, that it is the run's own step, and what is said when it does not fit."""

import importlib.util
import json
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import ad_checkpoint, lax
from launching import ROOT, run

from jaxdl import experiment, keys, launch, models, parallel, plan, process
from jaxdl.anatomy import flops
from jaxdl.errors import UserError
from jaxdl.launch import flags
from jaxdl.ops import forms
from jaxdl.plan import chips, module, remedies, step
from jaxdl.plan import topology as topologies
from jaxdl.train import advance

needs_libtpu = pytest.mark.skipif(
    not importlib.util.find_spec("libtpu"), reason="libtpu is not installed (extra tpu)"
)

TINY_VIT = ("--config.model.depth=1", "--config.model.width=32", "--config.model.heads=4")


def config(name, *overrides):
    return flags.parse([f"--config={ROOT}/experiments/{name}.py", *overrides]).config


# Products.


def count(f, *shapes):
    return flops.count(jax.make_jaxpr(f)(*(jnp.zeros(shape) for shape in shapes)))


def test_a_matrix_product_counts_two_a_term():
    assert count(jnp.matmul, (3, 4, 5), (5, 7)) == (2 * 3 * 4 * 5 * 7,) * 2
    batched = lambda a, b: jnp.einsum("bij,bjk->bik", a, b)
    assert count(batched, (6, 3, 5), (6, 5, 7)).full == 2 * 6 * 3 * 5 * 7


def test_loops_count_in_full_and_branches_by_the_cheapest():
    def loops(x, w):
        body = lambda c, _: (c @ w, ())
        return lax.scan(lambda c, _: (lax.scan(body, c, length=3)[0], ()), x, length=5)[0] @ w

    one = 2 * 2 * 4 * 4
    assert count(loops, (2, 4), (4, 4)) == (16 * one, 2 * one)
    branch = lambda x, w: lax.cond(x.sum() > 0, lambda: x @ w @ w, lambda: x @ w)
    assert count(branch, (2, 4), (4, 4)).full == one


def test_of_forms_by_platform_the_reference_counts():
    twice, once = (lambda x, w: x @ w @ w), (lambda x, w: x @ w)
    f = lambda x, w: forms.by_platform(twice, x, w, cpu=once, tpu=once)
    assert count(f, (2, 4), (4, 4)).full == 2 * 2 * 2 * 4 * 4


def test_recomputation_is_counted():
    f = lambda x, w: jnp.sin(jnp.sin(x @ w) @ w).sum()
    plain, again = (count(jax.grad(g, 1), (2, 4), (4, 4)).full for g in (f, jax.checkpoint(f)))
    one = 2 * 2 * 4 * 4
    assert (plain, again) == (5 * one, 7 * one)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("stride, padding, lhs, rhs", [
    (1, ((0, 0), (0, 0)), (1, 1), (1, 1)),
    (2, ((1, 1), (2, 0)), (1, 1), (1, 1)),
    (1, ((1, 2), (1, 1)), (2, 3), (1, 1)),
    (2, ((2, 2), (1, 3)), (1, 2), (2, 1)),
])  # fmt: skip
def test_convolutions_count_only_taps_on_elements(stride, padding, lhs, rhs, groups):
    f = lambda x, k: lax.conv_general_dilated(
        x, k, (stride, stride), padding, lhs, rhs, ("NHWC", "HWIO", "NHWC"), groups
    )
    # With ones for inputs each output is the number of its terms.
    terms = f(jnp.ones((2, 6, 7, 4)), jnp.ones((3, 2, 4 // groups, 8))).sum()
    assert count(f, (2, 6, 7, 4), (3, 2, 4 // groups, 8)).full == 2 * terms


# Compiled modules.

MODULE = """\
%add (x: f32[], y: f32[]) -> f32[] {
  ROOT %s = f32[] add(%x, %y)
}

%all-reduce-scatter.1 (p: f32[8,64]) -> f32[2,64] {
  %p = f32[8,64]{1,0} parameter(0)
  %all-reduce.9 = f32[8,64]{1,0:T(8,128)} all-reduce(%p), channel_id=4, replica_groups={{0,1,2,3}}
  ROOT %slice = f32[2,64]{1,0} dynamic-slice(%all-reduce.9, %i, %z)
}

%async.1 (p: bf16[4,64]) -> bf16[16,64] {
  %p = bf16[4,64]{1,0} parameter(0)
  ROOT %all-gather.1 = bf16[16,64]{1,0:T(8,128)(2,1)S(1)} all-gather(%p), channel_id=7, \
replica_groups=mesh['a'=2,'b'=2,'c'=2], device_ids=([2,4]T(1,0)) {'a','b'}, dimensions={0}
}

%async.2 (p: bf16[4,64]) -> bf16[16,64] {
  %p = bf16[4,64]{1,0} parameter(0)
  ROOT %all-gather.2 = bf16[16,64]{1,0:T(8,128)(2,1)} all-gather(%p), channel_id=7, \
replica_groups=mesh['a'=2,'b'=2,'c'=2], device_ids=([2,4]T(1,0)) {'a','b'}, dimensions={0}
}

%body (t: (s32[], f32[32])) -> (s32[], f32[32]) {
  %t = (s32[]{:T(128)}, f32[32]{0}) parameter(0)
  %x = f32[32]{0} get-tuple-element(%t), index=1
  %all-reduce.2 = f32[32]{0} all-reduce(%x), channel_id=2, replica_groups=[4,2]<=[8], to_apply=%add
  ROOT %out = (s32[], f32[32]{0}) tuple(%i, %all-reduce.2)
}

%condition (t: (s32[], f32[32])) -> pred[] {
  %n = s32[]{:T(128)} constant(5)
  ROOT %lt = pred[]{:T(512)} compare(%i, %n), direction=LT
}

%until (t: (s32[], f32[32])) -> pred[] {
  ROOT %found = pred[] custom-call(%t)
}

%dear (p: f32[4]) -> f32[4] {
  ROOT %r = f32[4]{0} all-to-all(%p), channel_id=11, replica_groups={{0,1},{2,3},{4,5},{6,7}}
}

%cheap (p: f32[4]) -> f32[4] {
  ROOT %r = f32[4]{0} copy(%p)
}

%one-row (s: f32[5,64], i: s32[]) -> f32[1,64] {
  %s = f32[5,64]{1,0} parameter(0)
  %i = s32[]{:S(6)} parameter(1)
  ROOT %row = f32[1,64]{1,0} dynamic-slice(%s, %i, %i), dynamic_slice_sizes={1,64}
}

ENTRY %main (a: f32[8,64], b: bf16[4,64], s: f32[5,64]) -> f32[2,64] {
  %a = f32[8,64]{1,0} parameter(0)
  %b = bf16[4,64]{1,0:T(8,128)(2,1)} parameter(1)
  %s = f32[5,64]{1,0} parameter(2)
  %fusion.4 = f32[1,64]{1,0:T(8,128)S(1)} fusion(%s, %j), kind=kLoop, calls=%one-row
  %cut = ((f32[8,64]{1,0}), f32[2,64]{1,0:S(1)}, s32[]{:S(4)}) slice-start(%a)
  %cut.1 = f32[2,64]{1,0:S(1)} slice-done(%cut)
  %save = (f32[2,64]{1,0}, f32[2,64]{1,0}, u32[]{:S(2)}) copy-start(%fusion.1)
  %save.1 = f32[2,64]{1,0} copy-done(%save)
  %fusion.1 = f32[2,64]{1,0} fusion(%a), kind=kCustom, calls=%all-reduce-scatter.1
  %fusion.2 = bf16[16,64]{1,0} fusion(%b), kind=kOutput, calls=%async.1
  %fusion.3 = bf16[16,64]{1,0} fusion(%b), kind=kOutput, calls=%async.2
  %loop = (s32[], f32[32]{0}) while(%t), condition=%condition, body=%body
  %open = (s32[], f32[32]{0}) while(%t), condition=%until, body=%body
  %cp = (f32[16]{0}, f32[16]{0}, u32[], u32[]) collective-permute-start(%y), channel_id=5
  %cp.1 = f32[16]{0} collective-permute-done(%cp)
  %branch = f32[4]{0} conditional(%p, %q, %q), branch_computations={%dear, %cheap}
  %alone = f32[4]{0} all-reduce(%q), channel_id=9, replica_groups={{0},{1}}, to_apply=%add
  ROOT %result = f32[2,64]{1,0} copy(%fusion.1)
}
"""


def test_collectives_are_counted_once_a_channel_and_as_often_as_loops_run():
    found = module.read(MODULE, 8)
    assert found.collectives == {
        # Five times and, where the length is not known, once more: 2 (n - 1) / n of 128 bytes.
        "all-reduce": (6, 6 * 128, 6 * 128),
        "all-gather": (1, 16 * 64 * 2, 16 * 64 * 2 * 3 / 4),
        "reduce-scatter": (1, 2 * 64 * 4, 8 * 64 * 4 * 3 / 4),
        "collective-permute": (1, 64, 64),
    }
    assert (found.loops, found.unknown) == (2, 1)


def test_collectives_of_one_channel_in_one_computation_are_several():
    """As `jax.shard_map` writes them."""
    gather = "all-gather(%p), channel_id=1, replica_groups={{0,1},{2,3}}, dimensions={0}"
    lines = [f"  %g.{i} = f32[8,4]{{1,0}} {gather}" for i in range(3)]
    entry = ["ENTRY %main (p: f32[4,4]) -> f32[8,4] {", "  %p = f32[4,4]{1,0} parameter(0)", *lines]
    text = "\n".join([*entry, "  ROOT %r = f32[8,4]{1,0} copy(%g.2)", "}", ""])
    found = module.read(text, 4).collectives
    assert found == {"all-gather": (3, 3 * 8 * 4 * 4, 3 * 8 * 4 * 4 / 2)}


def test_bytes_moved_are_those_of_the_main_memory():
    outside = {
        "fusion.1 reads a, writes": 8 * 64 * 4 + 2 * 64 * 4,
        "fusion.2 reads b, writes": 4 * 64 * 2 + 16 * 64 * 2,
        "fusion.3": 4 * 64 * 2 + 16 * 64 * 2,
        "fusion.4 reads one of five rows, writes on the chip": 64 * 4,
        "slice-start reads what it cuts out, and writes on the chip": 2 * 64 * 4,
        "copy-start within the main memory": 2 * 2 * 64 * 4,
        "collective-permute": 64,
        "alone": 16,
        "result": 2 * 2 * 64 * 4,
    }
    cheap = 16  # the branch's own copy
    body = 2 * 128  # six times: the loop of five, and the one of unknown length
    expected = sum(outside.values()) + cheap + 6 * body
    assert module.read(MODULE, 8).moved == expected


def test_loops_of_a_compiled_step_have_their_length():
    scan = lambda x: lax.scan(lambda c, _: (jnp.sin(c) * 2, ()), x, length=7)[0]
    text = jax.jit(scan).lower(jnp.zeros(100)).compile().as_text()
    found = module.read(text, 1)
    assert (found.loops, found.unknown) == (1, 0)
    assert found.moved >= 7 * 2 * 400


# Bounds.


def test_bounds_are_work_over_rate_and_the_largest_binds():
    chip = chips.Chip("toy", flops=1e3, bandwidth=100, memory=1, interconnect=10)
    found = chips.bounds(chip, 2000, 50, 40, model_flops=1000, examples=8)
    assert {k: found[k] for k in ("compute", "memory", "interconnect")} == {
        "compute": 2, "memory": 0.5, "interconnect": 4,
    }  # fmt: skip
    assert found["binds"] == "interconnect"
    assert found["examples_per_second"] == 2
    assert found["model_flops_utilisation"] == 0.25


# Plans for host devices.


@pytest.mark.parametrize("flags", [(), ("--config.parallel.strategy=pmap",)])
def test_the_plan_is_of_the_very_program_that_the_loop_compiles(flags, tmp_path, monkeypatch):
    programs, compile_ = [], parallel.Layout.compile

    def spy(layout, advance, arguments, *meanwhile):
        programs.append(layout.lower(advance, arguments).as_text())
        return compile_(layout, advance, arguments, *meanwhile)

    monkeypatch.setattr(parallel.Layout, "compile", spy)
    settings = ("--config.batch_size=16", "--config.epochs=none", "--config.steps=12",
                "--config.optimizer.warmup=0", "--config.parallel.data=4",
                "--config.steps_per_call=1", "--config.log.layers=false", *flags)  # fmt: skip
    assert run("mlp", tmp_path / "run", *settings) == 0
    made = experiment.create(config("mlp", *settings, "--config.precision=float32"), jax.devices())
    planned = made.layout.lower(advance.create(made.task), step.arguments(made))
    assert programs == [planned.as_text()]


def test_bytes_a_chip_follow_the_mesh():
    split = ("--config.parallel.data=1", "--config.parallel.fsdp_min_size=1", *TINY_VIT)
    one = plan.plan(config("vit", *split), "cpu:1")
    eight = plan.plan(config("vit", *split, "--config.parallel.fsdp=8"), "cpu:8")
    assert eight["chips"] == 8
    # All but what eight does not divide: the head's ten biases.
    assert one["memory"]["parameters"] - 40 == 8 * (eight["memory"]["parameters"] - 40)
    assert one["memory"]["batch"] == 8 * eight["memory"]["batch"] == 32 * (8 * 8 * 4 + 4)
    assert "all-gather" in eight["collectives"]
    assert one["collectives"] == {}
    for found in (one, eight):
        memory = dict(found["memory"])
        assert memory.pop("chip") is None
        assert memory.pop("total") == sum(memory.values())
        assert found["bounds"] is None
        assert "unknown chip 'cpu'" in plan.describe(found)


def test_a_data_parallel_step_sums_every_gradient_once():
    found = plan.plan(config("mlp"), "cpu:4")
    sums = found["collectives"]["all-reduce"]
    assert found["memory"]["parameters"] <= sums["bytes"] < 1.1 * found["memory"]["parameters"]
    assert sums["sent"] == pytest.approx(1.5 * sums["bytes"])


def test_flops_are_the_same_with_any_number_of_microbatches():
    flags = ("--config.parallel.data=1", "--config.batch_size=64", *TINY_VIT)
    one, four = (
        plan.plan(config("vit", *flags, f"--config.accumulate={n}"), "cpu:1") for n in (1, 4)
    )
    assert one["model_flops"] == four["model_flops"]
    # A loop's body counts as often as it runs by its products alone; all else counts once. Of four
    # microbatches one stands before the loop and one is its body, so that half of it is counted.
    beside = lambda found: found["flops"] - found["model_flops"]
    assert beside(four) == pytest.approx(beside(one) / 2, rel=0.1)
    assert 0 < beside(one) < 0.2 * one["model_flops"]
    assert four["bytes_moved"] > 0.7 * one["bytes_moved"]
    assert four["memory"]["temporaries"] < one["memory"]["temporaries"]


def test_a_plan_needs_no_more_data_than_shapes(tmp_path, capsys):
    large = ("--config.batch_size=4096", "--config.parallel.data=8")
    assert plan.plan(config("mlp", *large), "cpu:8")["batch_size"] == 4096
    assert run("mlp", tmp_path / "run", *large) == 2
    assert "larger than the training data" in capsys.readouterr().err


def chip_of(memory):
    return chips.Chip("toy", 1e12, 1e11, memory, 1e10)


def test_what_does_not_fit_is_told_what_would_make_it_fit(monkeypatch):
    flags = ("--config.batch_size=1024", "--config.model.hidden=64")
    settings = config("mlp", *flags)
    monkeypatch.setitem(chips.CHIPS, "cpu", chip_of(2**40))
    free = plan.plan(settings, "cpu:2")
    assert free["fits"]
    assert free["bounds"]["binds"]
    assert "remedies" not in free
    monkeypatch.setitem(chips.CHIPS, "cpu", chip_of(0.75 * free["memory"]["total"]))
    tight = plan.plan(settings, "cpu:2")
    assert tight["fits"] is False
    accumulation, fsdp = tight["remedies"]
    assert accumulation["fits"]
    times = accumulation["settings"]["accumulate"]
    again = plan.plan(config("mlp", *flags, f"--config.accumulate={times}"), "cpu:2")
    assert again["fits"]
    assert again["memory"]["total"] == accumulation["total"]
    # Temporaries are what is too large here: splitting parameters is ruled out by arithmetic.
    assert set(fsdp["settings"]) == {"parallel.data", "parallel.fsdp"}
    assert fsdp["fits"] is None
    page = plan.describe(tight)
    assert "does not fit" in page
    assert f"--config.accumulate={times}: " in page


def test_remat_is_proposed_where_the_model_has_it_and_it_is_off():
    proposed = lambda name, *flags: remedies.by_remat(experiment.create(config(name, *flags)))
    assert proposed("vit").settings == {"model.remat": True}
    assert proposed("vit", "--config.model.remat=true") is None
    assert proposed("mlp") is None


def test_fsdp_is_proposed_where_parameters_are_too_large(monkeypatch):
    settings = config("mlp", "--config.model.hidden=1024,1024", "--config.parallel.fsdp_min_size=1")
    monkeypatch.setitem(chips.CHIPS, "cpu", chip_of(2**40))
    memory = plan.plan(settings, "cpu:4")["memory"]
    state = memory["parameters"] + memory["optimizer"]
    monkeypatch.setitem(chips.CHIPS, "cpu", chip_of(memory["total"] - state // 3))
    (fsdp,) = [
        r for r in plan.plan(settings, "cpu:4")["remedies"] if "parallel.fsdp" in r["settings"]
    ]
    assert fsdp["settings"] == {"parallel.data": 2, "parallel.fsdp": 2}
    assert fsdp["fits"]


# The door.


def test_mode_plan_prints_and_writes_one_file_if_asked(tmp_path, capsys, monkeypatch):
    flags = [f"--config={ROOT}/experiments/mlp.py", "--mode=plan", "--topology=cpu:2"]
    monkeypatch.chdir(tmp_path)
    assert launch.main(flags) == 0
    assert list(tmp_path.iterdir()) == []
    page = capsys.readouterr().out
    assert "2 x cpu (data=2, fsdp=1, tensor=1; jit), batch 64, float32" in page
    assert launch.main([*flags, "--workdir=run"]) == 0
    assert [f.name for f in (tmp_path / "run").iterdir()] == ["plan.json"]
    found = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert found["topology"] == "cpu:2"
    assert found["flops"] > 0


BAD = {
    "unknown kind": (["--topology=nonsense"], "use one like v5e:2x2"),
    "no number": (["--topology=cpu:x"], "such as cpu:8"),
    "too many": (["--topology=cpu:4096"], "xla_force_host_platform_device_count=4096"),
    "batch": (["--topology=cpu:3"], "does not divide over 3 devices: use 66"),
    "another mode": (["--topology=cpu:3", "--mode=train"], "--mode=plan"),
    "mode": (["--mode=plann"], "did you mean 'plan'"),
}


@pytest.mark.parametrize("name", BAD)
def test_topology_that_cannot_be_is_one_line(name, capsys):
    flags, says = BAD[name]
    assert launch.main([f"--config={ROOT}/experiments/mlp.py", "--mode=plan", *flags]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert says in message


def test_without_libtpu_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.delenv("TPU_LIBRARY_PATH", raising=False)
    with pytest.raises(UserError, match=r"pip install -e '\.\[tpu\]'"):
        plan.plan(config("mlp"), "v5e:2x2")


@pytest.mark.parametrize("argv, platforms, xla", [
    (["--mode=plan", "--topology=cpu:3"], "cpu", "--a=1 --xla_force_host_platform_device_count=3"),
    (["--mode", "plan", "--topology", "v5e:2x2"], "cpu", "--a=1"),
    (["--mode=plan"], "gpu", "--a=1"),
    (["--mode=train", "--workdir=topology"], "gpu", "--a=1"),
])  # fmt: skip
def test_the_platform_is_chosen_before_jax_starts(argv, platforms, xla, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "gpu")
    monkeypatch.setenv("XLA_FLAGS", "--a=1")
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "jax")
        process.choose_platform(argv)
    found = process.os.environ
    assert (found["JAX_PLATFORMS"], found["XLA_FLAGS"]) == (platforms, xla)


# The TPU's compiler.


@needs_libtpu
@pytest.mark.parametrize("name", ["mlp", "deep_cnn", "vit"])
def test_default_experiments_compile_for_a_tpu_slice(name):
    found = plan.plan(config(name), "v5e:2x2")
    assert found["device_kind"] == "TPU v5 lite"
    assert (found["chips"], found["precision"], found["fits"]) == (4, "bf16", True)
    assert jax.default_backend() == "cpu"  # nothing was taken
    assert found["flops"] >= 0.9 * found["model_flops"] / 4
    # Gradients of convolutions and products are summed in bf16 or float32.
    sums = found["collectives"]["all-reduce"]["bytes"]
    assert 0.5 * found["memory"]["parameters"] <= sums < 2 * found["memory"]["parameters"]
    limits = found["bounds"]
    assert limits["memory"] == found["bytes_moved"] / 819e9
    assert 0 < limits["model_flops_utilisation"] < 1
    assert "bound, not a promise" in plan.describe(found)


@needs_libtpu
@pytest.mark.parametrize("topology, count", [("v5e:1x1", 1), ("v5e:16x16", 256), ("v6e:2x2", 4)])
def test_topologies_that_libtpu_knows(topology, count):
    devices = topologies.devices(topology)
    assert len(devices) == count
    assert devices[0].device_kind in chips.CHIPS


@needs_libtpu
@pytest.mark.parametrize("topology", ["v5e:3x3", "v99:2x2"])
def test_topologies_that_it_does_not_know(topology):
    with pytest.raises(UserError, match="use one like v5e:2x2"):
        topologies.devices(topology)


# Rematerialisation.


def test_remat_changes_neither_parameters_nor_results():
    x = jax.random.normal(keys.root(0), (4, 16, 16, 3))
    fields = dict(num_classes=5, patch_size=4, width=32, depth=2, heads=4, dropout=0.1)
    plain, again = (
        models.create("vit", **fields, drop_path=0.2, remat=remat) for remat in (False, True)
    )
    variables = plain.init(keys.root(1), x)
    # The head begins at zero, which would hide all that is before it.
    variables = jax.tree.map(
        lambda a: a + 0.02 * jnp.cos(jnp.arange(a.size)).reshape(a.shape), variables
    )
    ours = again.init(keys.root(1), x)
    assert jax.tree.structure(ours) == jax.tree.structure(variables)
    assert models.call_order(plain, x) == models.call_order(again, x)

    def loss(module, variables):
        rngs = {"dropout": keys.root(2)}
        return (module.apply(variables, x, train=True, rngs=rngs) ** 2).sum()

    results = [
        jax.jit(jax.value_and_grad(lambda v, m=module: loss(m, v)))(variables)
        for module in (plain, again)
    ]
    for a, b in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_remat_keeps_less_and_model_flops_leave_recomputation_out(capsys):
    x, kept, work = jnp.ones((4, 16, 16, 3)), [], []
    for on in ("false", "true"):
        made = experiment.create(config("vit", f"--config.model.remat={on}"), jax.devices()[:1])
        work.append((step.products_of(made).full, step.products_of(step.without_remat(made)).full))
        vit = models.create("vit", patch_size=4, width=32, depth=2, heads=4, remat=on == "true")
        variables = vit.init(keys.root(0), x)
        ad_checkpoint.print_saved_residuals(lambda v, m=vit: m.apply(v, x).sum(), variables)
        found = re.findall(r"f32\[([\d,]*)\](?! from the argument)", capsys.readouterr().out)
        kept.append(sum(np.prod([int(n) for n in shape.split(",") if n]) for shape in found))
    assert kept[1] < 0.3 * kept[0]
    (plain, model), (again, also_model) = work
    assert plain == model == also_model
    assert 1.15 < again / plain < 4 / 3
