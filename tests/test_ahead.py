"""What a run will wait for later is done on a thread, once, and nothing of it can end the run."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from launching import built

from jaxdl import keys, train
from jaxdl.envs import speed
from jaxdl.train import ahead
from jaxdl.train.evaluate import Evaluator


def test_work_is_done_in_order_on_a_thread_of_its_own():
    seen = []
    note = lambda i: lambda: seen.append((i, threading.current_thread().name)) or i
    with train.Ahead() as thread:
        futures = [thread.begin(note(i)) for i in range(3)]
    assert [future.result() for future in futures] == [0, 1, 2]
    assert [i for i, _ in seen] == [0, 1, 2]
    assert {name for _, name in seen} != {threading.current_thread().name}


def test_what_fails_there_is_left_for_where_it_is_needed():
    with train.Ahead() as thread:
        failed, fine = thread.begin(lambda: 1 / 0), thread.begin(lambda: 7)
    assert failed.result() is None
    assert fine.result() == 7


def test_a_run_that_fails_waits_for_nothing_that_has_not_begun():
    may_end, seen = threading.Event(), []
    thread = train.Ahead()
    thread.begin(may_end.wait)
    later = thread.begin(lambda: seen.append("later"))
    thread.__exit__(KeyError, KeyError(), None)
    assert later.cancelled()
    may_end.set()
    assert not seen


@pytest.mark.parametrize(
    ("backend", "hosts", "may"),
    [("cpu", 1, True), ("tpu", 1, True), ("gpu", 1, False), ("cpu", 2, False)],
)
def test_a_gpus_compiler_is_alone_and_hosts_compile_in_one_order(monkeypatch, backend, hosts, may):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr(jax, "process_count", lambda: hosts)
    assert ahead.may_compile() is may


@pytest.fixture
def compiled():
    """Programs that were compiled, in the order in which they were."""
    found = []
    note = lambda event, *_, **__: found.append(event) if "backend_compile" in event else None
    jax.monitoring.register_event_duration_secs_listener(note)
    yield found
    jax.monitoring.unregister_event_duration_listener(note)


@pytest.mark.parametrize("name", ["mlp", "ppo", "dqn"])
def test_evaluation_and_report_compile_nothing_that_was_compiled_ahead(name, compiled):
    made = built(name)
    evaluator, key = Evaluator(made, learning=True), keys.named(made.key, "artifacts")
    with train.Ahead() as thread:
        thread.begin(lambda: evaluator.compile(made.abstract_state))
        task, data = made.task, made.run.data.watched
        thread.begin(lambda: task.compile_artifacts(made.abstract_state, data, key))
        init = thread.begin(made.compile_init)
    before = len(compiled)
    assert before >= 2
    state = made.init_state(init.result())
    assert np.isfinite(list(evaluator(state).values())).all()
    # At most a program of one operation: the sum over a split's batches, or the mean of returns.
    assert len(compiled) - before <= 1


def test_a_pace_that_was_compiled_ahead_is_that_of_the_variables_given_later(compiled):
    env = speed.Environment(
        reset=lambda key: (jnp.zeros(()), jnp.zeros(1)),
        step=lambda state, action: (state, jnp.zeros(1), jnp.float32(1), jnp.bool_(False)),
        draw=None, observation_size=1, max_steps=3, actions=2,
    )  # fmt: skip
    pace = speed.OnDevice(env, lambda w, x, keys: jnp.int32(x[:, 0] > w), 4, 2)
    pace.compile(jax.ShapeDtypeStruct((), jnp.float32))
    before = len(compiled)
    assert pace.turn(np.float32(2))(1e-6) > 0
    assert len(compiled) == before
