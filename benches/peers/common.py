"""What the Python programs share: the requests, the numbers that training starts from, and the clock. Twin of common.rs."""

import json
import sys
import time

import numpy as np

LEARNING_RATE = 0.01

# Steps between the two losses that a program reports, the same everywhere, so that the losses must agree.
CHECKED_STEPS = 10

# Numbers of the stream that a layer may take, half of them for its bias; the stream's first such block is the batch.
BLOCK = 1 << 26


def uniform(first, count, bound):
    """Numbers in ±bound from an integer hash: the same bits in every program, whatever its random generator."""
    x = np.arange(first, first + count, dtype=np.uint32) * np.uint32(0x9E3779B1)
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x45D9F3B5)
    x = x ^ (x >> np.uint32(16))
    return (bound * (2.0 * (x.astype(np.float64) / 2**32) - 1.0)).astype(np.float32)


def batch(widths, rows):
    """Inputs (rows, inputs) and labels."""
    return uniform(0, rows * widths[0], 1.0).reshape(rows, -1), np.arange(rows) * 31 % widths[-1]


def layers(widths):
    """Of each layer the weight (outputs, inputs) and the bias, distributed as PyTorch and Burn do."""
    for l, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        first, bound = (l + 1) * BLOCK, 1.0 / inputs**0.5
        weight = uniform(first, outputs * inputs, bound).reshape(outputs, inputs)
        yield weight, uniform(first + BLOCK // 2, outputs, bound)


def measure(training, seconds):
    """Seconds a step and the number of steps, in groups long enough that the wait at their end does not count."""
    once, _ = timed(training, 0.0, 1)
    return timed(training, seconds, min(max(int(0.25 * seconds / once), 1), 1000))


def timed(training, seconds, group):
    """Seconds a step and the number of steps, in groups with a wait at the end of each, until `seconds` have passed."""
    start, steps = time.perf_counter(), 0
    while steps == 0 or time.perf_counter() - start < seconds:
        training.steps(group)
        steps += group
    return (time.perf_counter() - start) / steps, steps


class Program:
    """A program of the comparison. `open(widths, rows)` gives a network in training, with steps(count), which waits for the
    last of them, with loss(), and with a device that describes where it runs."""

    def __init__(self, name, version, open):
        self.name, self.version, self.open = name, version, open
        self.task = self.training = self.losses = None

    def run(self, arguments):
        """Answers the request of the command line, or with --serve those on standard input, a line each."""
        if "--serve" not in arguments:
            return self.answer(arguments)
        for line in sys.stdin:
            self.answer(line.split())

    def answer(self, words):
        network, rows, seconds = (words[words.index(n) + 1] for n in ("--network", "--batch", "--seconds"))
        task, seconds = ([int(width) for width in network.split("-")], int(rows)), float(seconds)
        if self.task != task:
            # Two networks at a time might not fit the device.
            self.task = self.training = None
            self.start(task, seconds)
        step, steps = measure(self.training, seconds)
        answer = {
            "program": self.name,
            "network": network,
            "batch": task[1],
            "ms": 1e3 * step,
            "steps": steps,
            "loss_before": self.losses[0],
            "loss_after": self.losses[1],
            "version": self.version,
            "device": self.training.device,
        }
        print(json.dumps(answer), flush=True)

    def start(self, task, seconds):
        """Starts training, and warms up as it will be measured."""
        training = self.open(*task)
        before = training.loss()
        training.steps(CHECKED_STEPS)
        self.losses = before, training.loss()
        measure(training, seconds)
        self.task, self.training = task, training
