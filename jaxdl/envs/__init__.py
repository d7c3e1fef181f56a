"""Where agents act: environments as pure functions of one instance; `jax.vmap` makes many.

>>> env = create("cartpole")
>>> state, observation = env.reset(jax.random.key(0))
>>> state, observation, reward, terminated = env.step(state, jnp.int32(1))
"""

import importlib

from jaxdl.envs.environment import Environment
from jaxdl.registry import Registry, choose

__all__ = ["Environment", "create", "names", "register"]

_registry = Registry("environment", "jaxdl.envs")
register = _registry.register
names = _registry.names


# What else there is: environments of other libraries, by "library:name".
_LIBRARIES = {"gymnasium": "jaxdl.envs.of_gymnasium", "gymnax": "jaxdl.envs.of_gymnax"}


def create(name: str) -> Environment:
    """The environment called ``name``, or "gymnax:name", or "gymnasium:name".

    Raises:
      UserError: there is none; the nearest are named. Or its library is not installed, or it
        cannot be had: its actions have no bounds, or its episodes no limit.
    """
    library, colon, own = name.partition(":")
    if colon:
        module = choose("library of environments", library, _LIBRARIES)
        found = importlib.import_module(module).create(own)
    else:
        found = _registry.get(name)()
    return found._replace(name=name)
