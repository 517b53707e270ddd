"""Writes the numbers that the parity tests compare with: what PyTorch computes for the same inputs.

    pip install torch==2.15.0 numpy
    python make_fixtures.py

Run it again only to change a fixture; `npm test` reads the files in `fixtures/` and needs no Python. One function makes
one file. Floats of 32 bits are written as the shortest decimals that give back the same bits, those of 64 bits as
Python's repr. On a processor with other vector instructions PyTorch's own last bits may differ.
"""

import itertools
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    OneCycleLR,
    SequentialLR,
    StepLR,
)

FIXTURES = Path(__file__).parent / "fixtures"
PYTORCH = "2.15.0"


# Writing ------------------------------------------------------------------------------------------


def numbers(values):
    """The elements in a flat list; a float32 as the shortest decimal that rounds to it."""
    flat = values.detach().flatten().numpy()
    if flat.dtype != np.float32:
        return flat.tolist()
    short = [float(str(x)) for x in flat]
    assert (np.array(short, np.float32) == flat).all()
    return short


def number(scalar):
    return numbers(scalar)[0]


def tensor(values):
    return {"shape": list(values.shape), "values": numbers(values)}


def state(module):
    return {key: tensor(value) for key, value in module.state_dict().items()}


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def write(name, seed, **content):
    """One JSON file; a list has one line an item, so that changes show up in a diff."""
    lines = [f'"torch": "{PYTORCH}"', f'"seed": {json.dumps(seed)}']
    for key, value in content.items():
        body = "[\n" + ",\n".join(map(compact, value)) + "\n]" if isinstance(value, list) else compact(value)
        lines.append(f'"{key}": {body}')
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    (FIXTURES / f"{name}.json").write_text(text, encoding="utf-8")
    print(f"{name}.json: {len(text) / 1024:.0f} KiB")


# Random numbers -----------------------------------------------------------------------------------


def draw(op, **args):
    """Runs one operation of a program and says what came out."""
    if op == "seed":
        torch.manual_seed(args["seed"])
        return {"op": op, **args}
    run = {
        "rand": lambda: numbers(torch.rand(args["shape"])),
        "uniform": lambda: numbers(torch.empty(args["shape"]).uniform_(args["from"], args["to"])),
        "randn": lambda: numbers(torch.randn(args["shape"])),
        "randint": lambda: numbers(torch.randint(args["low"], args["high"], args["shape"])),
        "randperm": lambda: numbers(torch.randperm(args["n"])),
        "dropout": lambda: numbers(F.dropout(torch.ones(args["shape"]), args["p"], training=True)),
    }
    values = run[op]()
    if op == "dropout":
        kept = "".join("1" if value else "0" for value in values)
        return {"op": op, **args, "kept": kept, "scale": max(values)}
    return {"op": op, **args, "values": values}


def program(name, seed, steps):
    """A seed and operations drawn after it from one stream. The seed is text: it may have 64 bits."""
    torch.manual_seed(seed)
    return {"name": name, "seed": str(seed), "program": [draw(op, **args) for op, args in steps]}


def shapes(op, *sizes):
    return [(op, {"shape": [size]}) for size in sizes]


def dropouts(size, *chances):
    return [("dropout", {"shape": [size], "p": p}) for p in chances]


def randint(low, high, *shape):
    return ("randint", {"low": low, "high": high, "shape": list(shape)})


SIZES = (1, 3, 7, 15, 16, 17, 31, 100)
EACH_KIND = [
    *shapes("rand", *SIZES),
    *shapes("randn", *SIZES),
    *(randint(*args) for args in ((0, 10, 30), (-5, 5, 4, 5), (0, 1, 3), (7, 1007, 2, 3, 2), (0, 2**28 - 1, 5))),
    *(("randperm", {"n": n}) for n in (1, 2, 10, 100)),
    *dropouts(100, 0.3, 0.5),
]
# Fewer than 16 normals come in pairs, and the second of a pair waits for the next call, across other draws; a new seed
# drops it. Dropout with p = 0 and p = 1 draws nothing.
MIXED = [
    *shapes("randn", 1),
    *shapes("rand", 2),
    *shapes("randn", 1, 3, 16, 2, 17),
    randint(0, 10, 3),
    *shapes("randn", 1),
    *dropouts(7, 0.3, 0.0, 1.0),
    ("randperm", {"n": 10}),
    *shapes("randn", 4),
    ("uniform", {"shape": [40], "from": -0.25, "to": 3.5}),
    ("randperm", {"n": 0}),
    ("randperm", {"n": 1}),
    *shapes("randn", 1),
    ("seed", {"seed": 5}),
    *shapes("randn", 1, 2),
    *shapes("rand", 1),
]
LONG = [*shapes("randn", 1000), *shapes("rand", 1000), ("randperm", {"n": 1000}), *dropouts(1000, 0.3, 0.5)]
# A range of 2^28 and more takes 64 bits a number.
WIDE_RANGES = [
    randint(*args)
    for args in ((0, 2**28 - 1, 5), (0, 2**28, 5), (0, 2**31 - 1, 5), (-(2**31), 2**31 - 1, 5), (0, 10, 5))
]


def make_rng():
    seeds = (0, 1, 42, 2**31 + 5, 2**40 + 12345, 2**64 - 1, -7)
    write(
        "rng",
        list(map(str, seeds)),
        programs=[
            *(program("each kind", seed, EACH_KIND) for seed in seeds),
            *(program("mixed", seed, MIXED) for seed in (0, 42)),
            *(program("long", seed, LONG) for seed in (0, 42)),
            program("wide ranges of randint", 3, WIDE_RANGES),
            program("dropout's factor", 4, dropouts(20, 0.1, 0.15, 0.2, 0.35, 0.45, 0.7, 0.9)),
        ],
    )


# Networks -----------------------------------------------------------------------------------------


class TeacherNet(nn.Module):
    def __init__(self, inputs=784, hidden=(2048, 1024, 512), classes=10):
        super().__init__()
        self.fc1, self.bn1, self.dropout1 = nn.Linear(inputs, hidden[0]), nn.BatchNorm1d(hidden[0]), nn.Dropout(0.3)
        self.fc2, self.bn2, self.dropout2 = nn.Linear(hidden[0], hidden[1]), nn.BatchNorm1d(hidden[1]), nn.Dropout(0.3)
        self.fc3, self.bn3, self.dropout3 = nn.Linear(hidden[1], hidden[2]), nn.BatchNorm1d(hidden[2]), nn.Dropout(0.2)
        self.fc4 = nn.Linear(hidden[2], classes)

    def forward(self, x):
        x = self.dropout1(F.relu(self.bn1(self.fc1(x))))
        x = self.dropout2(F.relu(self.bn2(self.fc2(x))))
        x = self.dropout3(F.relu(self.bn3(self.fc3(x))))
        return self.fc4(x)


class StudentNet(nn.Module):
    def __init__(self, inputs=784, hidden=(512, 256), classes=10):
        super().__init__()
        self.fc1 = nn.Linear(inputs, hidden[0])
        self.fc2 = nn.Linear(hidden[0], hidden[1])
        self.fc3 = nn.Linear(hidden[1], classes)

    def forward(self, x):
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


def digest(values):
    """Of a large tensor: its ends and its sum in float64."""
    flat = values.detach().flatten()
    ends = {"first": numbers(flat[:5]), "last": numbers(flat[-5:])}
    return {"shape": list(values.shape), **ends, "sum": flat.double().sum().item()}


def make_init():
    def layer(seed, inputs, outputs, bias=True):
        torch.manual_seed(seed)
        module = nn.Linear(inputs, outputs, bias)
        return {"seed": seed, "inputs": inputs, "outputs": outputs, "bias": bias, "state": state(module)}

    seed = 0
    torch.manual_seed(seed)
    networks = {"teacher": TeacherNet(), "student": StudentNet()}
    write(
        "init",
        seed,
        linear=[layer(0, 7, 5), layer(42, 784, 4), layer(1, 1, 1), layer(7, 3, 17), layer(9, 6, 2, bias=False)],
        networks={
            name: {key: digest(value) for key, value in network.state_dict().items()}
            for name, network in networks.items()
        },
    )


# Layers -------------------------------------------------------------------------------------------


def randn(*shape, scale=1.0):
    return (torch.randn(shape) * scale).requires_grad_()


def make_linear():
    def case(rows, inputs, outputs, bias, relu):
        x, weight = randn(rows, inputs), randn(outputs, inputs, scale=0.3)
        vector = randn(outputs) if bias else None
        upstream = torch.randn(rows, outputs)
        out = F.linear(x, weight, vector)
        out = F.relu(out) if relu else out
        out.backward(upstream)
        given = {"x": x, "weight": weight, **({"bias": vector} if bias else {})}
        return {
            "relu": relu,
            "inputs": {name: tensor(value) for name, value in given.items()},
            "upstream": tensor(upstream),
            "out": tensor(out),
            "grads": {name: tensor(value.grad) for name, value in given.items()},
        }

    seed = 11
    torch.manual_seed(seed)
    sizes = ((3, 7, 5), (1, 1, 1), (5, 1, 2), (1, 17, 9), (33, 31, 3), (7, 65, 12))
    cases = [case(*size, bias=True, relu=False) for size in sizes]
    cases += [case(4, 6, 3, bias=False, relu=False), case(9, 8, 7, bias=True, relu=True)]
    write("linear", seed, cases=cases)


def make_batch_norm():
    def step(layer, x):
        upstream = torch.randn_like(x)
        layer.zero_grad()
        out = layer(x)
        out.backward(upstream)
        return {
            "training": layer.training,
            "x": tensor(x),
            "upstream": tensor(upstream),
            "out": tensor(out),
            "grads": {"x": tensor(x.grad), "weight": tensor(layer.weight.grad), "bias": tensor(layer.bias.grad)},
            "running_mean": numbers(layer.running_mean),
            "running_var": numbers(layer.running_var),
            "num_batches_tracked": layer.num_batches_tracked.item(),
        }

    def case(rows, features, scale=1.0, offset=0.0, steps=3, **options):
        layer = nn.BatchNorm1d(features, **options)
        with torch.no_grad():
            layer.weight.copy_(1 + 0.3 * torch.randn(features))
            layer.bias.copy_(0.3 * torch.randn(features))
        given = {"weight": tensor(layer.weight), "bias": tensor(layer.bias)}

        def batch():
            return (torch.randn(rows, features) * scale + offset).requires_grad_()

        done = [step(layer, batch()) for _ in range(steps)]
        layer.eval()
        return {"options": options, **given, "steps": [*done, step(layer, batch())]}

    seed = 12
    torch.manual_seed(seed)
    write(
        "batch_norm",
        seed,
        cases=[
            case(3, 7),
            case(5, 1),
            case(2, 3),
            case(17, 9, scale=3.0, offset=10.0),
            case(65, 3, scale=1e-3),
            case(6, 4, eps=1e-3, momentum=0.25),
            case(15, 31, steps=1),
        ],
    )


def make_activations():
    """ReLU, softmax and log-softmax by rows."""

    def case(x):
        ops = {
            "relu": F.relu,
            "softmax": lambda x: F.softmax(x, dim=1),
            "log_softmax": lambda x: F.log_softmax(x, dim=1),
        }
        upstream = torch.randn_like(x)
        results = {}
        for name, op in ops.items():
            leaf = x.clone().requires_grad_()
            out = op(leaf)
            out.backward(upstream)
            results[name] = {"out": tensor(out), "grad": tensor(leaf.grad)}
        return {"x": tensor(x), "upstream": tensor(upstream), "results": results}

    seed = 13
    torch.manual_seed(seed)
    cases = [case(torch.randn(size) * 3) for size in ((3, 7), (5, 1), (1, 10), (9, 63), (65, 4))]
    cases += [case(torch.tensor([[0.0, -0.0, 1.0], [100.0, -100.0, 0.0], [1000.0, 1000.0, -1000.0], [0.5, 0.5, 0.5]]))]
    write("activations", seed, cases=cases)


# Losses -------------------------------------------------------------------------------------------


def kd_parts(student, teacher, labels, temperature, label_smoothing=0.0):
    """The two halves of the script's loss."""
    soft_targets = F.softmax(teacher / temperature, dim=1)
    soft_student = F.log_softmax(student / temperature, dim=1)
    soft = nn.KLDivLoss(reduction="batchmean")(soft_student, soft_targets) * temperature**2
    return soft, nn.CrossEntropyLoss(label_smoothing=label_smoothing)(student, labels)


def kd_loss(student, teacher, labels, temperature=3.5, alpha=0.6):
    soft, hard = kd_parts(student, teacher, labels, temperature)
    return alpha * soft + (1 - alpha) * hard


def make_losses():
    def logits(kind, shape):
        if kind == "extreme":
            return torch.randint(0, 2, shape) * 200.0 - 100.0
        return torch.randn(shape) * {"usual": 2.0, "wide": 20.0}[kind]

    def kd_case(kind, shape, temperature, alpha):
        student, teacher = logits(kind, shape).requires_grad_(), logits(kind, shape)
        labels = torch.randint(0, shape[1], (shape[0],))
        soft, hard = kd_parts(student, teacher, labels, temperature)
        loss = kd_loss(student, teacher, labels, temperature, alpha)
        loss.backward()
        return {
            "kind": kind,
            "temperature": temperature,
            "alpha": alpha,
            "student": tensor(student),
            "teacher": tensor(teacher),
            "labels": numbers(labels),
            "loss": number(loss),
            "soft": number(soft),
            "hard": number(hard),
            "grad": numbers(student.grad),
        }

    def cross_entropy_case(kind, shape):
        student, labels = logits(kind, shape).requires_grad_(), torch.randint(0, shape[1], (shape[0],))
        loss = F.cross_entropy(student, labels)
        loss.backward()
        return {
            "kind": kind,
            "logits": tensor(student),
            "labels": numbers(labels),
            "loss": number(loss),
            "grad": numbers(student.grad),
        }

    seed = 14
    torch.manual_seed(seed)
    sizes = ((3, 7), (1, 10), (5, 2), (16, 10))
    plan = [("usual", size, t, a) for size, t, a in itertools.product(sizes, (1.0, 3.5, 10.0), (0.0, 0.6, 1.0))]
    plan += [("usual", (4, 1), 3.5, 0.6), ("usual", (6, 10), 0.5, 0.3), ("wide", (33, 10), 3.5, 0.6)]
    plan += [("extreme", (8, 5), t, a) for t, a in itertools.product((1.0, 3.5, 20.0), (0.0, 0.6, 1.0))]
    write(
        "losses",
        seed,
        kd=[kd_case(*args) for args in plan],
        cross_entropy=[
            cross_entropy_case(*args)
            for args in (
                ("usual", (3, 7)),
                ("usual", (5, 1)),
                ("usual", (1, 10)),
                ("wide", (65, 10)),
                ("extreme", (8, 5)),
            )
        ],
    )


def make_label_smoothing():
    """Smoothed cross-entropy, alone and as the hard half of the script's loss."""

    def cross_entropy_case(shape, smoothing, scale):
        logits, labels = (torch.randn(shape) * scale).requires_grad_(), torch.randint(0, shape[1], (shape[0],))
        loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)
        loss.backward()
        return {
            "smoothing": smoothing,
            "logits": tensor(logits),
            "labels": numbers(labels),
            "loss": number(loss),
            "grad": numbers(logits.grad),
        }

    def kd_case(shape, smoothing, alpha, temperature=3.5):
        student, teacher = (torch.randn(shape) * 2).requires_grad_(), torch.randn(shape) * 3
        labels = torch.randint(0, shape[1], (shape[0],))
        soft, hard = kd_parts(student, teacher, labels, temperature, smoothing)
        loss = alpha * soft + (1 - alpha) * hard
        loss.backward()
        return {
            "smoothing": smoothing,
            "temperature": temperature,
            "alpha": alpha,
            "student": tensor(student),
            "teacher": tensor(teacher),
            "labels": numbers(labels),
            "loss": number(loss),
            "soft": number(soft),
            "hard": number(hard),
            "grad": numbers(student.grad),
        }

    seed = 17
    torch.manual_seed(seed)
    plan = itertools.product(((3, 7), (1, 10), (5, 1), (16, 10)), (0.1, 0.5, 1.0), (2.0,))
    write(
        "label_smoothing",
        seed,
        cross_entropy=[cross_entropy_case(*args) for args in [*plan, ((9, 10), 0.0, 2.0), ((33, 10), 0.1, 20.0)]],
        kd=[kd_case(*args) for args in itertools.product(((5, 4), (16, 10)), (0.1, 1.0), (0.0, 0.6, 1.0))],
    )


# Optimizer and scheduler --------------------------------------------------------------------------


SHOWN_STEPS = (1, 2, 3, 5, 10, 15, 20, 25)


def make_adamw():
    """25 steps on three parameters with recorded gradients; `skips` names steps at which the last has no gradient."""
    seed, steps = 15, 25
    torch.manual_seed(seed)
    sizes = ((3, 4), (5,), (1,))
    start = [torch.randn(size) for size in sizes]
    # Gradients of very different lengths, some exactly zero.
    grads = [[torch.randn(size) * 10.0 ** (-(i + step % 4)) for i, size in enumerate(sizes)] for step in range(steps)]
    for step in (6, 7):
        grads[step][1].zero_()

    def case(name, options, schedule=None, skips=()):
        params = [value.clone().requires_grad_() for value in start]
        optimizer = AdamW(params, **options)
        scheduler = OneCycleLR(optimizer, **schedule) if schedule else None
        shown = []
        for step in range(1, steps + 1):
            for param, grad in zip(params, grads[step - 1]):
                param.grad = grad.clone()
            if step in skips:
                params[-1].grad = None
            optimizer.step()
            if scheduler:
                scheduler.step()
            if step in SHOWN_STEPS:
                group = optimizer.param_groups[0]
                values = [numbers(param) for param in params]
                shown.append({"step": step, "params": values, "lr": group["lr"], "beta1": group["betas"][0]})
        moments = [
            {
                "exp_avg": numbers(optimizer.state[p]["exp_avg"]),
                "exp_avg_sq": numbers(optimizer.state[p]["exp_avg_sq"]),
                "step": int(optimizer.state[p]["step"]),
            }
            for p in params
        ]
        return {
            "name": name,
            "options": options,
            "schedule": schedule,
            "skips": list(skips),
            "shown": shown,
            "state": moments,
        }

    script = {"lr": 6e-4, "weight_decay": 1e-5}
    cycle = {"max_lr": 6e-4, "total_steps": 25, "pct_start": 0.3, "div_factor": 20, "final_div_factor": 100}
    write(
        "adamw",
        seed,
        start=[tensor(value) for value in start],
        grads=[[numbers(grad) for grad in step] for step in grads],
        cases=[
            case("defaults", {}),
            case("the script's", script),
            case("the script's with its schedule", script, schedule=cycle),
            case("large steps", {"lr": 0.1, "weight_decay": 0.1}),
            case("no decay, other betas", {"lr": 0.01, "weight_decay": 0.0, "betas": (0.8, 0.9)}),
            case("large eps", {"lr": 0.01, "eps": 1e-3}),
            case("betas of zero", {"lr": 0.01, "betas": (0.0, 0.0)}),
            case("steps without a gradient", {"lr": 0.01}, skips=(1, 2, 9, 20)),
        ],
    )


def make_clip_grad_norm():
    def case(name, max_norm, grads):
        params = [nn.Parameter(torch.zeros_like(grad)) for grad in grads]
        for param, grad in zip(params, grads):
            param.grad = grad.clone()
        without = nn.Parameter(torch.zeros(3))
        norm = nn.utils.clip_grad_norm_([*params, without], max_norm)
        return {
            "name": name,
            "max_norm": max_norm,
            "grads": [tensor(grad) for grad in grads],
            "norm": number(norm),
            "clipped": [numbers(param.grad) for param in params],
        }

    seed = 16
    torch.manual_seed(seed)

    def some(scale):
        return [torch.randn(size) * scale for size in ((3, 4), (5,), (1,))]

    write(
        "clip_grad_norm",
        seed,
        cases=[
            case("below", 1.0, some(0.01)),
            case("above", 1.0, some(3.0)),
            case("far above", 0.5, some(1e6)),
            case("zero", 1.0, [torch.zeros(2, 3), torch.zeros(1)]),
            case("exactly at the limit", 5.0, [torch.tensor([3.0, 0.0]), torch.tensor([4.0])]),
            case("a limit of zero", 0.0, some(1.0)),
            case("tiny", 1e-6, some(1e-7)),
            case("many values", 1.0, [torch.randn(1000)]),
        ],
    )


def make_one_cycle_lr():
    """The rate and beta1 before the first step and after each: total_steps + 1 values where PyTorch gets that far."""

    def case(name, steps=None, **options):
        optimizer = AdamW([nn.Parameter(torch.zeros(1))], lr=1e-3)
        scheduler = OneCycleLR(optimizer, **options)
        lrs, betas = [], []
        for step in range((steps or scheduler.total_steps) + 1):
            if step > 0:
                optimizer.step()
                scheduler.step()
            lrs.append(scheduler.get_last_lr()[0])
            betas.append(optimizer.param_groups[0]["betas"][0])
        return {"name": name, "options": options, "lr": lrs, "beta1": betas}

    script = {"max_lr": 6e-4, "pct_start": 0.3, "div_factor": 20, "final_div_factor": 100}
    seven = {"max_lr": 0.01, "total_steps": 7}
    write(
        "one_cycle_lr",
        None,
        cases=[
            case("the script's", epochs=150, steps_per_epoch=16, **script),
            case("defaults", **seven),
            case("top before the first step", **seven, pct_start=0.1),
            case("half", **seven, pct_start=0.5),
            case("no rise", **seven, pct_start=0.0),
            # PyTorch divides by zero in the step after the last one of a cycle that only rises.
            case("only rise", steps=6, **seven, pct_start=1.0),
            case("other factors", **seven, div_factor=2.5, final_div_factor=1.0),
            case("other momenta", **seven, base_momentum=0.7, max_momentum=0.99),
            case("beta1 left alone", **seven, cycle_momentum=False),
            case("linear", **seven, anneal_strategy="linear"),
            case("three phases", max_lr=0.01, total_steps=17, three_phase=True),
            case("three phases, the second beyond the end", **seven, pct_start=0.6, three_phase=True),
            case("epochs and steps", max_lr=0.1, epochs=3, steps_per_epoch=5, pct_start=0.4),
            case("one step", max_lr=0.1, total_steps=1),
            case("two steps", max_lr=0.1, total_steps=2),
        ],
    )


def make_schedules():
    """The rate before the first step and after each, from a top rate of 0.2, by the name and the options of here."""
    top, steps = 0.2, 30

    def case(schedule, options, scheduler_of, total=steps):
        optimizer = AdamW([nn.Parameter(torch.zeros(1))], lr=top)
        scheduler = scheduler_of(optimizer)
        rates = [scheduler.get_last_lr()[0]]
        for _ in range(total):
            optimizer.step()
            scheduler.step()
            rates.append(scheduler.get_last_lr()[0])
        return {"schedule": schedule, "options": options, "steps": total, "top": top, "lr": rates}

    def warm_up(rise, then):
        def scheduler_of(optimizer):
            first = LinearLR(optimizer, start_factor=1 / (rise + 1), total_iters=rise)
            return SequentialLR(optimizer, [first, then(optimizer)], milestones=[rise])

        return scheduler_of

    def cosine_of(length):
        return lambda optimizer: CosineAnnealingLR(optimizer, T_max=length)

    def one_cycle(**options):
        return lambda optimizer: OneCycleLR(optimizer, max_lr=top, total_steps=steps, **options)

    cycle = {"pctStart": 0.4, "divFactor": 20, "finalDivFactor": 100}
    write(
        "schedules",
        None,
        cases=[
            case("constant", {}, lambda o: ConstantLR(o, factor=1.0)),
            case("cosine", {}, cosine_of(steps)),
            case("cosine", {"end": 0.05}, lambda o: CosineAnnealingLR(o, T_max=steps, eta_min=0.05 * top)),
            case("cosine", {}, cosine_of(1), 1),
            case("linear", {}, lambda o: LinearLR(o, start_factor=1.0, end_factor=0.0, total_iters=steps)),
            case("linear", {"start": 0.25, "end": 0.5}, lambda o: LinearLR(o, 0.25, 0.5, total_iters=steps)),
            case("step", {"stepSize": 7, "gamma": 0.5}, lambda o: StepLR(o, 7, gamma=0.5)),
            case("step", {"stepSize": 0.2}, lambda o: StepLR(o, 6)),
            case("step", {"stepSize": 0.7}, lambda o: StepLR(o, 7), 10),
            case("step", {"stepSize": 1 / 3, "gamma": 0.9}, lambda o: StepLR(o, 10, gamma=0.9)),
            case("oneCycle", {}, one_cycle()),
            case("oneCycle", cycle, one_cycle(pct_start=0.4, div_factor=20, final_div_factor=100)),
            case("oneCycle", {"annealStrategy": "linear"}, one_cycle(anneal_strategy="linear")),
            case("oneCycle", {"threePhase": True}, one_cycle(three_phase=True)),
            case("oneCycle", {"threePhase": True, "pctStart": 0.7}, one_cycle(three_phase=True, pct_start=0.7)),
            case("oneCycle", {"threePhase": True, "annealStrategy": "linear", "finalDivFactor": 10},
                 one_cycle(three_phase=True, anneal_strategy="linear", final_div_factor=10)),
            case("warmup", {"steps": 6, "then": "cosine"}, warm_up(6, cosine_of(steps - 6))),
            case("warmup", {"steps": 0.2, "then": "cosine"}, warm_up(6, cosine_of(steps - 6))),
            case("warmup", {"steps": 4, "then": "constant"}, warm_up(4, lambda o: ConstantLR(o, factor=1.0))),
            case("inverseRoot", {}, lambda o: LambdaLR(o, lambda step: (1 + step) ** -0.5)),
        ],
    )


# Whole runs ---------------------------------------------------------------------------------------


ROWS, INPUTS, CLASSES, BATCH, EPOCHS = 64, 20, 4, 16, 10
TEACHER, STUDENT = (32, 24, 16), (12, 8)


def train(model, x, y, loss_of, lr):
    """The script's loop. Returns the loss of each step and the rate after each epoch."""
    optimizer = AdamW(model.parameters(), lr=lr, weight_decay=1e-5)
    scheduler = OneCycleLR(
        optimizer,
        max_lr=lr,
        epochs=EPOCHS,
        steps_per_epoch=ROWS // BATCH,
        pct_start=0.3,
        anneal_strategy="cos",
        div_factor=20,
        final_div_factor=100,
    )
    losses, lrs = [], []
    for _ in range(EPOCHS):
        for i in range(0, ROWS, BATCH):
            inputs, labels = x[i : i + BATCH], y[i : i + BATCH]
            loss = loss_of(inputs, labels)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
            optimizer.step()
            scheduler.step()
            losses.append(number(loss))
        lrs.append(scheduler.get_last_lr()[0])
    return {"losses": losses, "lrs": lrs}


def make_small_run():
    """The script and the training of a teacher, shrunk, with the script's order of draws."""

    def distil(seed, mode, lr):
        torch.manual_seed(seed)
        teacher, student = TeacherNet(INPUTS, TEACHER, CLASSES), StudentNet(INPUTS, STUDENT, CLASSES)
        teacher.train(mode == "train")
        x, y = torch.randn(ROWS, INPUTS), torch.randint(0, CLASSES, (ROWS,))

        def loss_of(inputs, labels):
            with torch.no_grad():
                teacher_logits = teacher(inputs)
            return kd_loss(student(inputs), teacher_logits, labels)

        run = train(student, x, y, loss_of, lr)
        buffers = {key: tensor(value) for key, value in teacher.named_buffers()}
        return {"seed": seed, "mode": mode, "lr": lr, **run, "student": state(student), "teacher_buffers": buffers}

    def teach(seed, lr):
        torch.manual_seed(seed)
        teacher = TeacherNet(INPUTS, TEACHER, CLASSES)
        x, y = torch.randn(ROWS, INPUTS), torch.randint(0, CLASSES, (ROWS,))
        run = train(teacher, x, y, lambda inputs, labels: F.cross_entropy(teacher(inputs), labels), lr)
        return {"seed": seed, "lr": lr, **run, "teacher": state(teacher)}

    seeds = (7, 123)
    write(
        "small_run",
        list(seeds),
        sizes={
            "rows": ROWS,
            "inputs": INPUTS,
            "classes": CLASSES,
            "batch": BATCH,
            "epochs": EPOCHS,
            "teacher": TEACHER,
            "student": STUDENT,
        },
        distil=[
            *(distil(seed, mode, 6e-4) for seed in seeds for mode in ("train", "eval")),
            distil(7, "train", 0.02),
        ],
        teach=[teach(seed, 6e-4) for seed in seeds],
    )


def main():
    assert torch.__version__.split("+")[0] == PYTORCH, f"expected PyTorch {PYTORCH}, got {torch.__version__}"
    torch.set_num_threads(1)
    FIXTURES.mkdir(exist_ok=True)
    make_rng()
    make_init()
    make_linear()
    make_batch_norm()
    make_activations()
    make_losses()
    make_label_smoothing()
    make_adamw()
    make_clip_grad_norm()
    make_one_cycle_lr()
    make_schedules()
    make_small_run()


if __name__ == "__main__":
    main()
