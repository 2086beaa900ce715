"""Training steps in PyTorch: --device cpu or --device cuda. Eager: torch.compile needs a C++ compiler where it runs."""

import platform
import sys

import torch
from torch import nn

import common

# float32 throughout: no TF32.
torch.set_float32_matmul_precision("highest")

# The ways in which SGD may update; the fastest is taken.
UPDATES = {"for each tensor": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}


class PyTorch:
    def __init__(self, device, widths, rows):
        self.cuda = device == "cuda"
        weights = list(common.layers(widths))
        modules = []
        for weight, _ in weights:
            modules += [nn.Linear(weight.shape[1], weight.shape[0]), nn.ReLU(inplace=True)]
        self.network = nn.Sequential(*modules[:-1]).to(device)
        x, labels = common.batch(widths, rows)
        self.batch = torch.from_numpy(x), torch.from_numpy(labels)
        if self.cuda:
            self.batch = tuple(tensor.pin_memory() for tensor in self.batch)

        def try_update(name):
            self.optimizer = torch.optim.SGD(self.network.parameters(), common.LEARNING_RATE, **UPDATES[name])
            self.steps(3)
            return common.timed(self, 0.2, 3)[0]

        name = min(UPDATES, key=try_update)
        self.optimizer = torch.optim.SGD(self.network.parameters(), common.LEARNING_RATE, **UPDATES[name])
        with torch.no_grad():
            for layer, (weight, bias) in zip(self.network[::2], weights):
                layer.weight.copy_(torch.from_numpy(weight))
                layer.bias.copy_(torch.from_numpy(bias))
        where = torch.cuda.get_device_name() if self.cuda else f"CPU, {torch.get_num_threads()} threads"
        self.device = f"{where}, SGD {name}"

    def forward(self):
        x, labels = self.batch
        if self.cuda:
            x, labels = x.to("cuda", non_blocking=True), labels.to("cuda", non_blocking=True)
        return nn.functional.cross_entropy(self.network(x), labels)

    def steps(self, count):
        for _ in range(count):
            self.optimizer.zero_grad(set_to_none=True)
            self.forward().backward()
            self.optimizer.step()
        if self.cuda:
            torch.cuda.synchronize()

    def loss(self):
        with torch.no_grad():
            return self.forward().item()


arguments = sys.argv[1:]
device = arguments[arguments.index("--device") + 1]
version = f"PyTorch {torch.__version__}, Python {platform.python_version()}"
common.Program(f"pytorch-{device}", version, lambda *task: PyTorch(device, *task)).run(arguments)
