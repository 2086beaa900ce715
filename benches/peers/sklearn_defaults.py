#!/usr/bin/env python3
"""wgrad's tool beside scikit-learn's MLP, both at their defaults, on scikit-learn's own small data sets: five splits, 80 % of the
rows to train on, the score on the rest (accuracy, or R²). Needs scikit-learn, and the tool:

    cargo build --release --features cli
    python3 benches/peers/sklearn_defaults.py target/release/wgrad
"""

import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor

SETS = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast cancer": datasets.load_breast_cancer,
    "diabetes": lambda **kw: datasets.load_diabetes(scaled=False, **kw),
    "digits": datasets.load_digits,
}


def write(path, x, y):
    names = [f"x{i}" for i in range(x.shape[1])] + ["target"]
    with open(path, "w") as out:
        out.write(",".join(names) + "\n")
        for row, t in zip(x, y):
            out.write(",".join(repr(float(v)) for v in row) + f",{t}\n")


def ours(tool, folder, train, test):
    write(folder / "train.csv", *train)
    write(folder / "test.csv", *test)
    run = str(folder / "run")
    call = [tool, "train", "train.csv", "--plots", "false", "-q", "--run", run]
    subprocess.run(call, cwd=folder, check=True)
    call = [tool, "evaluate", run, "test.csv", "--json"]
    said = subprocess.run(call, cwd=folder, check=True, capture_output=True, text=True).stdout
    report = json.loads(said)["report"]
    epochs = len(json.loads((folder / "run" / "report.json").read_text())["history"]["epochs"])
    accuracy = report["evaluation"]["accuracy"]
    return (accuracy if accuracy is not None else report["scores"]["regression"]["r2"]), epochs


def main():
    tool = str(Path(sys.argv[1]).resolve())
    warnings.filterwarnings("ignore")
    print("| data | rows | wgrad | scikit-learn | epochs of wgrad |\n|---|---|---|---|---|")
    worse = []
    for name, load in SETS.items():
        x, y = load(return_X_y=True)
        regression = name == "diabetes"
        scores, epochs = [], []
        for seed in range(5):
            xs, xt, ys, yt = train_test_split(
                x, y, test_size=0.2, random_state=seed, stratify=None if regression else y
            )
            peer = (MLPRegressor if regression else MLPClassifier)(random_state=seed).fit(xs, ys)
            with tempfile.TemporaryDirectory() as folder:
                score, count = ours(tool, Path(folder), (xs, ys), (xt, yt))
            scores.append((score, peer.score(xt, yt)))
            epochs.append(count)
        mine, theirs = np.mean(scores, axis=0)
        print(f"| {name} | {len(y)} | {mine:.4f} | {theirs:.4f} | {min(epochs)}–{max(epochs)} |", flush=True)
        if mine < theirs:
            worse.append(name)
    if worse:
        sys.exit("worse than scikit-learn: " + ", ".join(worse))


if __name__ == "__main__":
    main()
