"""Training steps in JAX on the CPU: one jitted function from parameters to parameters, which it may overwrite."""

import functools
import os
import platform
import sys

os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp

import common


def loss(parameters, x, labels):
    *hidden, (weight, bias) = parameters
    for w, b in hidden:
        x = jax.nn.relu(x @ w + b)
    log_probabilities = jax.nn.log_softmax(x @ weight + bias)
    return -jnp.take_along_axis(log_probabilities, labels[:, None], axis=1).mean()


@functools.partial(jax.jit, donate_argnums=0)
def step(parameters, x, labels):
    gradients = jax.grad(loss)(parameters, x, labels)
    return jax.tree.map(lambda p, g: p - common.LEARNING_RATE * g, parameters, gradients)


class Jax:
    device = f"CPU, {len(os.sched_getaffinity(0))} threads"

    def __init__(self, widths, rows):
        # The device's memory is the host's.
        self.batch = tuple(jnp.asarray(array) for array in common.batch(widths, rows))
        self.parameters = [(jnp.asarray(weight.T), jnp.asarray(bias)) for weight, bias in common.layers(widths)]

    def steps(self, count):
        for _ in range(count):
            self.parameters = step(self.parameters, *self.batch)
        jax.block_until_ready(self.parameters)

    def loss(self):
        return float(loss(self.parameters, *self.batch))


version = f"JAX {jax.__version__}, Python {platform.python_version()}"
common.Program("jax-cpu", version, Jax).run(sys.argv[1:])
