"""Metrics of scikit-learn and SciPy, and losses of PyTorch, for test/tasks.

pip install scikit-learn torch; python test/tasks/make_fixtures.py
"""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    mean_absolute_error,
    r2_score,
    root_mean_squared_error,
)
from sklearn.metrics.pairwise import cosine_similarity

rng = np.random.default_rng(0)


def regression(truth, predicted, teacher):
    return {
        "truth": truth.tolist(),
        "predicted": predicted.tolist(),
        "teacher": teacher.tolist(),
        "r2": r2_score(truth, predicted),
        "rmse": root_mean_squared_error(truth, predicted),
        "mae": mean_absolute_error(truth, predicted),
        "perTarget": [
            {"r2": a, "rmse": b, "mae": c}
            for a, b, c in zip(
                r2_score(truth, predicted, multioutput="raw_values"),
                root_mean_squared_error(truth, predicted, multioutput="raw_values"),
                mean_absolute_error(truth, predicted, multioutput="raw_values"),
            )
        ],
        "teacherR2": r2_score(truth, teacher),
        "agreement": r2_score(teacher, predicted),
    }


def labels(truth, scores, teacher):
    predicted = (scores > 0).astype(int)
    return {
        "truth": truth.tolist(),
        "scores": scores.tolist(),
        "teacher": teacher.tolist(),
        "averagePrecision": average_precision_score(truth, scores, average="macro"),
        "f1": f1_score(truth, predicted, average="macro", zero_division=0),
        "perTarget": [
            {"averagePrecision": float(a), "f1": float(b)}
            for a, b in zip(
                average_precision_score(truth, scores, average=None),
                f1_score(truth, predicted, average=None, zero_division=0),
            )
        ],
        "teacherAveragePrecision": average_precision_score(truth, teacher, average="macro"),
        "agreement": float(((scores > 0) == (teacher > 0)).mean()),
        "loss": F.binary_cross_entropy_with_logits(torch.tensor(scores), torch.tensor(truth, dtype=torch.float64)).item(),
    }


def nearest(vectors):
    similar = cosine_similarity(vectors)
    np.fill_diagonal(similar, -np.inf)
    return [set(row.tolist()) for row in np.argsort(-similar, axis=1, kind="stable")[:, :10]]


def vectors(truth, given):
    upper = np.triu_indices(len(truth), 1)
    return {
        "truth": truth.tolist(),
        "given": given.tolist(),
        "retrieval": float(np.mean([len(a & b) / 10 for a, b in zip(nearest(truth), nearest(given))])),
        "spearman": float(spearmanr(cosine_similarity(truth)[upper], cosine_similarity(given)[upper]).statistic),
    }


def losses():
    torch.manual_seed(0)
    outputs = torch.randn(6, 3, dtype=torch.float64)
    targets = torch.randn(6, 3, dtype=torch.float64) * 2
    hot = (targets > 0).double()
    ones = torch.ones(6, dtype=torch.float64)

    def of(compute, wanted):
        x = outputs.clone().requires_grad_()
        loss = compute(x, wanted)
        loss.backward()
        return {"value": loss.item(), "gradient": x.grad.tolist()}

    return {
        "outputs": outputs.tolist(),
        "targets": targets.tolist(),
        "hot": hot.tolist(),
        "mse": of(F.mse_loss, targets),
        "mae": of(F.l1_loss, targets),
        "huber": of(F.huber_loss, targets),
        "huber(delta=0.4)": of(lambda x, y: F.huber_loss(x, y, delta=0.4), targets),
        "bce": of(F.binary_cross_entropy_with_logits, hot),
        "cosine": of(lambda x, y: F.cosine_embedding_loss(x, y, ones), targets),
        "vector-kd(cosine=2, mse=0.5)": of(
            lambda x, y: 2 * F.cosine_embedding_loss(x, y, ones) + 0.5 * F.mse_loss(x, y), targets
        ),
    }


truth = rng.normal(size=(40, 3)) * [1, 50, 0.01] + [0, 1000, 5]
predicted = truth + rng.normal(size=(40, 3)) * [0.5, 20, 0.02]
teacher = truth + rng.normal(size=(40, 3)) * [0.2, 10, 0.005]
truth, predicted, teacher = (np.float32(values).astype(float) for values in (truth, predicted, teacher))
constant = np.full((12, 1), 3.5)
# In single precision, as a network gives them; the last label has no sample, and the scores of the first have ties.
hot = (rng.random((50, 4)) < [0.5, 0.2, 0.8, 0]).astype(int)
scores = rng.normal(size=(50, 4)).astype(np.float32).astype(float) + hot
scores[:, 0] = np.round(scores[:, 0])
said = np.float32(rng.normal(size=(50, 4)) + 2 * hot).astype(float)
embeddings = rng.normal(size=(60, 12))
results = {
    "regression": regression(truth, predicted, teacher),
    "constant": {
        "r2": r2_score(constant, constant + 1),
        "exact": r2_score(constant, constant),
    },
    "labels": labels(hot, scores, said),
    "vectors": vectors(embeddings, embeddings @ rng.normal(size=(12, 5)) + 0.1),
    "losses": losses(),
}
(Path(__file__).parent / "fixtures" / "tasks.json").write_text(json.dumps(results))
