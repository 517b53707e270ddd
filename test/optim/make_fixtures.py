"""Writes fixtures/: 200 steps of PyTorch's optimizers and schedulers, their state dicts, chained schedulers, and averaged weights.

    python make_fixtures.py

A case is a quadratic loss around a target, with noise, on parameters of odd shapes: grad = curvature * (w - target) + noise.
"""

import json
from pathlib import Path

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

OUT = Path(__file__).parent / "fixtures"
SHAPES = ((3, 5), (7,), (1,), (2, 3))
STEPS, MIDDLE = 200, 100
SHOWN = (1, 2, 10, 50, 100, 200)
NOISES = 11

OPTIMIZERS = {"SGD": SGD, "Adam": Adam, "AdamW": AdamW}
SCHEDULERS = {
    "StepLR": StepLR,
    "MultiStepLR": MultiStepLR,
    "ExponentialLR": ExponentialLR,
    "CosineAnnealingLR": CosineAnnealingLR,
    "LinearLR": LinearLR,
    "ConstantLR": ConstantLR,
    "OneCycleLR": OneCycleLR,
    "PolynomialLR": PolynomialLR,
    "CosineAnnealingWarmRestarts": CosineAnnealingWarmRestarts,
}


def numbers(tensor):
    return [float(f"{x:.9g}") for x in tensor.detach().flatten().tolist()]


def scheduler_of(optimizer, name, options):
    if name == "LambdaLR":
        return LambdaLR(optimizer, [lambda step: 0.99**step, lambda step: 1 / (1 + step)][: len(optimizer.param_groups)])
    if name == "warmup":
        rise, length = options["steps"], STEPS - options["steps"]
        first = LinearLR(optimizer, start_factor=1 / (rise + 1), total_iters=rise)
        return SequentialLR(optimizer, [first, CosineAnnealingLR(optimizer, T_max=length)], milestones=[rise])
    if name == "SequentialLR":
        schedulers = [scheduler_of(optimizer, *one) for one in options["schedulers"]]
        return SequentialLR(optimizer, schedulers, milestones=options["milestones"])
    return SCHEDULERS[name](optimizer, **options)


class Run:
    def __init__(self, optimizer, options, groups, schedule=None, schedule_options=None):
        torch.manual_seed(3)
        self.params = [torch.randn(shape, requires_grad=True) for shape in SHAPES]
        self.problem = [(torch.rand(shape) + 0.5, torch.randn(shape)) for shape in SHAPES]
        self.noise = [[torch.randn(shape) * 0.3 for shape in SHAPES] for _ in range(NOISES)]
        self.described = {"optimizer": optimizer, "options": options, "groups": groups, "schedule": schedule}
        self.described["scheduleOptions"] = schedule_options
        if groups is None:
            params = self.params
        else:
            params = [{"params": [self.params[i] for i in g["params"]], **{k: v for k, v in g.items() if k != "params"}} for g in groups]
        self.optimizer = OPTIMIZERS[optimizer](params, **options)
        self.scheduler = schedule and scheduler_of(self.optimizer, schedule, schedule_options or {})
        self.middle = None

    def go_on(self, state):
        """The end of a run whose middle this is."""
        with torch.no_grad():
            for param, value in zip(self.params, state["params"]):
                param.copy_(value)
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler:
            self.scheduler.load_state_dict(state["scheduler"])
        return self.run(MIDDLE)["shown"][-1]

    def run(self, start=0):
        shown = []
        for step in range(start + 1, STEPS + 1):
            for param, (curvature, target), noise in zip(self.params, self.problem, self.noise[step % NOISES]):
                param.grad = curvature * (param.detach() - target) + noise
            # One parameter has no gradient in some steps.
            if step % 17 == 3:
                self.params[2].grad = None
            self.optimizer.step()
            if self.scheduler:
                self.scheduler.step()
            if step in SHOWN:
                lrs = [group["lr"] for group in self.optimizer.param_groups]
                shown.append({"step": step, "lr": lrs, "params": [numbers(param) for param in self.params]})
            if step == MIDDLE:
                self.middle = {
                    "params": [param.detach().clone() for param in self.params],
                    "optimizer": clone(self.optimizer.state_dict()),
                    **({"scheduler": self.scheduler.state_dict()} if self.scheduler else {}),
                }
        return {**self.described, "shown": shown}


def clone(value):
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: clone(item) for key, item in value.items()}
    return [clone(item) for item in value] if isinstance(value, list) else value


def cases():
    sgd = {"lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": True}
    for options in (
        {"lr": 0.05},
        {"lr": 0.05, "weight_decay": 0.1},
        {"lr": 0.05, "momentum": 0.9},
        {"lr": 0.05, "momentum": 0.8, "dampening": 0.4, "weight_decay": 0.01},
        sgd,
        {"lr": 1e-3, "momentum": 0.5, "maximize": True},
    ):
        yield "SGD", options, None
    for name in ("Adam", "AdamW"):
        for options in (
            {},
            {"lr": 0.01, "weight_decay": 0.1},
            {"lr": 0.01, "betas": (0.7, 0.95), "eps": 1e-4},
            {"lr": 0.01, "amsgrad": True, "weight_decay": 0.05},
            {"lr": 1e-3, "maximize": True},
        ):
            yield name, options, None
    two_rates = [{"params": [0, 3], "lr": 0.002}, {"params": [1, 2]}]
    of_sgd = [{"params": [3, 1], "lr": 0.01, "momentum": 0.5, "nesterov": False}, {"params": [0], "weight_decay": 0.0}, {"params": [2], "momentum": 0.0, "nesterov": False}]
    of_adam = [{"params": [1, 2], "betas": (0.8, 0.9), "weight_decay": 0.0}, {"params": [0, 3], "lr": 0.003, "eps": 1e-3}]
    yield "SGD", sgd, two_rates
    yield "SGD", sgd, of_sgd
    yield "Adam", {"lr": 0.01, "weight_decay": 0.1}, of_adam
    yield "AdamW", {"lr": 0.01}, two_rates
    yield "AdamW", {"lr": 0.01}, of_adam
    schedules = (
        ("StepLR", {"step_size": 30, "gamma": 0.5}),
        ("MultiStepLR", {"milestones": [40, 90, 90, 150], "gamma": 0.3}),
        ("ExponentialLR", {"gamma": 0.98}),
        ("CosineAnnealingLR", {"T_max": 200}),
        ("CosineAnnealingLR", {"T_max": 80, "eta_min": 1e-4}),
        ("LinearLR", {"start_factor": 0.1, "total_iters": 120}),
        ("ConstantLR", {"factor": 0.25, "total_iters": 60}),
        ("OneCycleLR", {"max_lr": [0.004, 0.02], "total_steps": 201, "pct_start": 0.4}),
        ("OneCycleLR", {"max_lr": 0.01, "total_steps": 201, "anneal_strategy": "linear", "cycle_momentum": False}),
        ("LambdaLR", None),
        ("warmup", {"steps": 40}),
        ("PolynomialLR", {"total_iters": 160, "power": 0.9}),
        ("CosineAnnealingWarmRestarts", {"T_0": 30, "T_mult": 2, "eta_min": 1e-4}),
        ("CosineAnnealingWarmRestarts", {"T_0": 25}),
        ("SequentialLR", {"schedulers": [("LinearLR", {"start_factor": 0.1, "total_iters": 30}), ("CosineAnnealingLR", {"T_max": 50}), ("ExponentialLR", {"gamma": 0.97})], "milestones": [30, 90]}),
        ("SequentialLR", {"schedulers": [("ConstantLR", {"factor": 0.5, "total_iters": 20}), ("CosineAnnealingWarmRestarts", {"T_0": 40}), ("PolynomialLR", {"total_iters": 60})], "milestones": [60, 120]}),
    )
    for schedule in schedules:
        yield "SGD", sgd, two_rates, *schedule
        yield "AdamW", {"lr": 0.01}, two_rates, *schedule


def chained_rates():
    """The rates of two groups under several schedulers of one optimizer, at once or one after the other, and a rate set by hand."""
    exponential, multi = ("ExponentialLR", {"gamma": 0.9}), ("MultiStepLR", {"milestones": [3, 8], "gamma": 0.3})
    constant, linear = ("ConstantLR", {"factor": 0.1, "total_iters": 4}), ("LinearLR", {"start_factor": 0.2, "total_iters": 6})
    step, cosine = ("StepLR", {"step_size": 4, "gamma": 0.5}), ("CosineAnnealingLR", {"T_max": 16, "eta_min": 1e-3})
    wave = ("CosineAnnealingLR", {"T_max": 5})
    found = []
    for phases, by_hand in (
        ([[exponential, multi]], {}),
        ([[constant, exponential]], {}),
        ([[linear, cosine]], {}),
        ([[wave, step, exponential]], {}),
        ([[step], [exponential]], {}),
        ([[exponential], [linear, step]], {}),
        ([[multi], [cosine]], {}),
        *(([[one]], {"5": 0.02, "13": 0.3}) for one in (exponential, multi, constant, linear, step, cosine, wave)),
    ):
        optimizer, rates = SGD([{"params": [torch.zeros(1)]}, {"params": [torch.zeros(1)], "lr": 0.4}], lr=0.1), []
        for phase in phases:
            schedulers = [scheduler_of(optimizer, *one) for one in phase]
            for _ in range(16):
                optimizer.step()
                for scheduler in schedulers:
                    scheduler.step()
                rates.append([group["lr"] for group in optimizer.param_groups])
                if str(len(rates)) in by_hand:
                    optimizer.param_groups[1]["lr"] = by_hand[str(len(rates))]
        found.append({"phases": phases, "byHand": by_hand, "rates": rates})
    return found


def plateaus():
    """The rates of two groups under ReduceLROnPlateau, and its state after half of the figures; null is NaN."""
    figures = [1, 0.5, 0.49996, 0.4, 0.45, 0.41, 0.4, 0.39, 0.5, None, 0.6, 0.395, 0.394, 0.39, 0.2, 0.3, 0.3, 0.3, 1.04, 1.06]
    found = []
    for options in (
        {"patience": 1, "factor": 0.5},
        {"mode": "max", "patience": 0, "factor": 0.6, "threshold": 0.05, "threshold_mode": "abs", "cooldown": 2, "min_lr": [0.02, 0.001]},
        {"mode": "max", "patience": 3, "factor": 0.2},
        {"patience": 2, "factor": 0.3, "threshold": 0.1, "min_lr": 0.01, "cooldown": 1, "eps": 0.02},
        {"patience": 1, "threshold": 0.1, "threshold_mode": "abs"},
    ):
        optimizer, rates = SGD([{"params": [torch.zeros(1)]}, {"params": [torch.zeros(1)], "lr": 0.01}], lr=0.1), []
        scheduler = ReduceLROnPlateau(optimizer, **options)
        for i, figure in enumerate(figures):
            scheduler.step(float("nan") if figure is None else figure)
            rates.append([group["lr"] for group in optimizer.param_groups])
            if i == len(figures) // 2 - 1:
                # JSON has no infinity: what `mode` tells.
                state = {key: value for key, value in scheduler.state_dict().items() if key != "mode_worse"}
        found.append({"options": options, "rates": rates, "state": state})
    return {"figures": figures, "cases": found}


def averaged_weights():
    """A network whose weights and buffers move along a line, and their averages."""
    torch.manual_seed(5)

    def network():
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1, bias=False))

    start, end = network().state_dict(), network().state_dict()
    for state in (start, end):
        for key, value in state.items():
            state[key] = torch.randn(value.shape) if value.is_floating_point() else value
    found = []
    for decay, use_buffers in ((0.9, False), (0.9, True), (0.999, False), (0.0, True)):
        model = network()
        averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=use_buffers)
        for update in range(1, 13):
            for key, value in model.state_dict().items():
                if value.is_floating_point():
                    value.copy_(start[key] + (end[key] - start[key]) * (update / 12))
                else:
                    value.fill_(7 * update)
            averaged.update_parameters(model)
        state = {key: numbers(value) for key, value in averaged.state_dict().items()}
        found.append({"decay": decay, "useBuffers": use_buffers, "state": state})
    floats = [key for key, value in start.items() if value.is_floating_point()]
    lines = {key: [numbers(start[key]), numbers(end[key])] for key in floats}
    return {"lines": lines, "updates": 12, "cases": found}


def main():
    torch.set_num_threads(1)
    OUT.mkdir(exist_ok=True)
    runs = [Run(*case) for case in cases()]
    results = [run.run() for run in runs]
    problem = {
        "shapes": SHAPES,
        "start": [numbers(p) for p in Run(*next(cases())).params],
        "curvature": [numbers(curvature) for curvature, _ in runs[0].problem],
        "target": [numbers(target) for _, target in runs[0].problem],
        "noise": [[numbers(noise) for noise in step] for step in runs[0].noise],
    }
    write = lambda name, value: (OUT / name).write_text(json.dumps(value, separators=(",", ":")) + "\n")
    write("optimizers.json", {"pytorch": torch.__version__, **problem, "cases": results})
    # By the number of the case. A scheduler made of others has a state of its own kind.
    middles = {i: run.middle for i, run in enumerate(runs) if run.described["schedule"] != "warmup"}
    torch.save(middles, OUT / "state_dicts.pth")
    write("chained_rates.json", {"pytorch": torch.__version__, "cases": chained_rates()})
    write("plateaus.json", {"pytorch": torch.__version__, **plateaus()})
    write("averaged_weights.json", {"pytorch": torch.__version__, **averaged_weights()})


if __name__ == "__main__":
    main()
