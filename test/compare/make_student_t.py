"""Writes fixtures/student_t.json: what SciPy says of Student's t and of paired samples.

    pip install scipy==1.17.1
    python make_student_t.py

`npm test` reads the file and needs no Python.
"""

import json
from pathlib import Path

import numpy as np
import scipy
from scipy import stats

DEGREES = (1, 2, 3, 4, 5, 9, 19, 30, 99, 1000)


def paired(a, b, confidence):
    test = stats.ttest_rel(a, b)
    interval = test.confidence_interval(confidence)
    difference = np.subtract(a, b)
    return {
        "a": list(a),
        "b": list(b),
        "confidence": confidence,
        "mean": float(difference.mean()),
        "std": float(difference.std(ddof=1)),
        "low": float(interval.low),
        "high": float(interval.high),
        "p": float(test.pvalue),
    }


def main():
    tails = [
        {"degrees": n, "t": t, "p": float(2 * stats.t.sf(t, n))}
        for n in DEGREES
        for t in (1e-6, 0.01, 0.5, 1.0, 1.7, 2.5, 4.0, 12.0, 50.0)
    ]
    quantiles = [
        {"degrees": n, "confidence": c, "t": float(stats.t.isf((1 - c) / 2, n))}
        for n in DEGREES
        for c in (0.01, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999)
    ]
    draw = np.random.default_rng(0)
    accuracies = [(0.8921, 0.8934, 0.8902, 0.8951, 0.8917), (0.8889, 0.8911, 0.8895, 0.8899, 0.8907)]
    samples = [
        paired(*accuracies, 0.95),
        paired(*accuracies[::-1], 0.99),
        paired([1.0, 3.0], [0.5, 1.0], 0.9),
        *(paired(draw.normal(size=n).round(6), draw.normal(0.3, size=n).round(6), 0.95) for n in (3, 10, 40)),
    ]
    lines = [f'"scipy": "{scipy.__version__}"']
    for name, cases in (("tails", tails), ("quantiles", quantiles), ("paired", samples)):
        lines.append(f'"{name}": [\n' + ",\n".join(json.dumps(case) for case in cases) + "\n]")
    path = Path(__file__).parent / "fixtures" / "student_t.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
