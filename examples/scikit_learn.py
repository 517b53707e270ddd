"""Tables of scikit-learn and a gradient-boosting teacher's outputs, for the sections "Regression" of docs/guide.md and "Trees as
teachers" of docs/methods.md.

python examples/scikit_learn.py FOLDER     (needs scikit-learn)

Writes diabetes.csv and breast_cancer.csv, each with a part for testing beside it, and of each the outputs of a
GradientBoostingRegressor or GradientBoostingClassifier for all rows to train on, cross-validated so that the teacher has
not seen the rows that it speaks of:
diabetes_teacher.npy [samples], in the target's own unit, and breast_cancer_teacher.npy [samples, 2], log-probabilities.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import cross_val_predict, train_test_split

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)


def write(name, header, x, y):
    with open(folder / name, "w") as file:
        file.write(",".join(header) + "\n")
        for row, target in zip(x, y):
            file.write(",".join(repr(float(value)) for value in row) + f",{target}\n")


data = load_diabetes(scaled=False)
x, test_x, y, test_y = train_test_split(data.data, data.target, test_size=0.2, random_state=0)
header = [*data.feature_names, "progression"]
write("diabetes.csv", header, x, y)
write("diabetes_test.csv", header, test_x, test_y)
teacher = GradientBoostingRegressor(n_estimators=100, max_depth=2, learning_rate=0.05, subsample=0.5, random_state=0)
np.save(folder / "diabetes_teacher.npy", cross_val_predict(teacher, x, y, cv=10).astype(np.float32))
print("diabetes: R2 of the teacher on the test part", r2_score(test_y, teacher.fit(x, y).predict(test_x)))

data = load_breast_cancer()
names = data.target_names[data.target]
x, test_x, y, test_y = train_test_split(data.data, names, test_size=0.2, random_state=0, stratify=names)
header = [*(name.replace(" ", "_") for name in data.feature_names), "diagnosis"]
write("breast_cancer.csv", header, x, y)
write("breast_cancer_test.csv", header, test_x, test_y)
teacher = GradientBoostingClassifier(random_state=0)
probabilities = cross_val_predict(teacher, x, y, cv=10, method="predict_proba")
np.save(folder / "breast_cancer_teacher.npy", np.log(np.clip(probabilities, 1e-6, 1)).astype(np.float32))
print("breast_cancer: accuracy of the teacher on the test part", accuracy_score(test_y, teacher.fit(x, y).predict(test_x)))
