"""The benchmark's steps in PyTorch, as a process that replies to lines of JSON.

{"threads": 2}                                             -> {"versions": {"PyTorch": "2.15.0"}}
{"open": "train", "variant": "eager"}                      -> {"losses": [...]}, of the first three steps
{"run": "train", "variant": "eager", "steps": 16}          -> {"seconds": 0.18}
{"whole": "eval", "variant": "eager", "steps": 2400}       -> {"seconds": 19.9}, from networks just made

The reply to a failure is {"error": "..."}. Modes are train, eval, cached and teacher, the name of a convolutional network or of
"transformer", which are trained, and "pass NAME" for the forward pass of a frozen one. Variants are "eager", as people write it; "channels_last", for
images; "compiled", with torch.compile, the fused optimizer and channels last; "bfloat16", the same by autocast.
"""

import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

from networks import NETWORKS

ROWS, EXAMPLES, EPOCHS = 64, 1024, 100_000
COMPILED = ("compiled", "bfloat16")
TEMPERATURE, ALPHA = 3.5, 0.6


class TeacherNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.bn1, self.dropout1 = nn.Linear(784, 2048), nn.BatchNorm1d(2048), nn.Dropout(0.3)
        self.fc2, self.bn2, self.dropout2 = nn.Linear(2048, 1024), nn.BatchNorm1d(1024), nn.Dropout(0.3)
        self.fc3, self.bn3, self.dropout3 = nn.Linear(1024, 512), nn.BatchNorm1d(512), nn.Dropout(0.2)
        self.fc4 = nn.Linear(512, 10)

    def forward(self, x):
        x = self.dropout1(F.relu(self.bn1(self.fc1(x))))
        x = self.dropout2(F.relu(self.bn2(self.fc2(x))))
        x = self.dropout3(F.relu(self.bn3(self.fc3(x))))
        return self.fc4(x)


class StudentNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(784, 512), nn.Linear(512, 256), nn.Linear(256, 10)

    def forward(self, x):
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


def kd_loss(student_logits, teacher_logits, labels):
    soft_targets = F.softmax(teacher_logits / TEMPERATURE, dim=1)
    log_probabilities = F.log_softmax(student_logits / TEMPERATURE, dim=1)
    soft = F.kl_div(log_probabilities, soft_targets, reduction="batchmean") * TEMPERATURE**2
    return ALPHA * soft + (1 - ALPHA) * F.cross_entropy(student_logits, labels)


class Session:
    """Networks, data and optimizer of one mode, drawn from seed 0 in the script's order."""

    def __init__(self, mode, variant):
        torch.manual_seed(0)
        self.mode, self.at = mode, 0
        self.teacher = TeacherNet()
        self.student = StudentNet() if mode != "teacher" else None
        self.x, self.y = torch.randn(EXAMPLES, 784), torch.randint(0, 10, (EXAMPLES,))
        self.trained = self.teacher if mode == "teacher" else self.student
        if mode in ("eval", "cached"):
            self.teacher.eval()
        with torch.no_grad():
            self.logits = self.teacher(self.x) if mode == "cached" else None
        compiled = variant in COMPILED
        self.optimizer = torch.optim.AdamW(self.trained.parameters(), lr=6e-4, weight_decay=1e-5, fused=compiled or None)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=6e-4, epochs=EPOCHS, steps_per_epoch=EXAMPLES // ROWS,
            pct_start=0.3, div_factor=20, final_div_factor=100,
        )
        self.loss = variant_of(self.compute_loss, variant)

    def compute_loss(self, inputs, labels, known):
        if self.mode == "teacher":
            return F.cross_entropy(self.teacher(inputs), labels)
        if known is None:
            with torch.no_grad():
                known = self.teacher(inputs)
        return kd_loss(self.student(inputs), known, labels)

    def step(self):
        rows = slice(self.at, self.at + ROWS)
        self.at = (self.at + ROWS) % EXAMPLES
        loss = self.loss(self.x[rows], self.y[rows], None if self.logits is None else self.logits[rows])
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained.parameters(), max_norm=1.0)
        self.optimizer.step()
        self.scheduler.step()
        return loss.item()

    def seconds(self, steps):
        begun = time.perf_counter()
        for _ in range(steps):
            self.step()
        return time.perf_counter() - begun


class NetworkSession:
    """The training of a network by SGD, or the forward pass of a frozen one: on images of 3x32x32, or texts of 64 tokens."""

    def __init__(self, mode, variant):
        torch.manual_seed(0)
        name = mode.removeprefix("pass ")
        self.at, self.is_frozen, self.network = 0, name != mode, NETWORKS[name]()
        self.rows, is_text = (32, True) if name == "transformer" else (ROWS, False)
        samples = self.rows if self.is_frozen else 2 * self.rows
        self.x = torch.randint(1, 1000, (samples, 64)) if is_text else torch.randn(samples, 3, 32, 32)
        self.y = torch.randint(0, 10 if is_text else 100, (samples,))
        if variant != "eager" and not is_text:
            self.network, self.x = (value.to(memory_format=torch.channels_last) for value in (self.network, self.x))
        if self.is_frozen:
            self.network.eval().requires_grad_(False)
        more = {} if is_text else {"momentum": 0.9, "weight_decay": 5e-4}
        self.optimizer = self.is_frozen or torch.optim.SGD(
            self.network.parameters(), lr=0.01, fused=variant in COMPILED or None, **more
        )
        self.forward = variant_of(self.network if self.is_frozen else self.compute_loss, variant)

    def compute_loss(self, inputs, labels):
        return F.cross_entropy(self.network(inputs), labels)

    def step(self):
        if self.is_frozen:
            with torch.no_grad():
                return self.forward(self.x).mean().item()
        rows = slice(self.at, self.at + self.rows)
        self.at = (self.at + self.rows) % len(self.x)
        loss = self.forward(self.x[rows], self.y[rows])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    seconds = Session.seconds


def variant_of(body, variant):
    """A function as a variant runs it."""
    if variant not in COMPILED:
        return body
    compiled = torch.compile(body)
    if variant == "compiled":
        return compiled

    def by_autocast(*args):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return compiled(*args)

    return by_autocast


def open_session(mode, variant):
    return (Session if mode in ("train", "eval", "cached", "teacher") else NetworkSession)(mode, variant)


sessions = {}


def reply_to(request):
    variant = request.get("variant")
    if "threads" in request:
        torch.set_num_threads(request["threads"])
        return {"versions": {"PyTorch": torch.__version__}}
    if "open" in request:
        session = sessions[request["open"], variant] = open_session(request["open"], variant)
        return {"losses": [session.step() for _ in range(3)]}
    if "whole" in request:
        return {"seconds": Session(request["whole"], variant).seconds(request["steps"])}
    return {"seconds": sessions[request["run"], variant].seconds(request["steps"])}


for line in sys.stdin:
    try:
        reply = reply_to(json.loads(line))
    except Exception as error:
        reply = {"error": (str(error).strip() or type(error).__name__).splitlines()[0]}
    print(json.dumps(reply), flush=True)
