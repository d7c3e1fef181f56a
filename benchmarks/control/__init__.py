"""Time to a mean return of 475 on CartPole-v1, from the command to its exit: jaxdl, SBX, SB3."""
