"""What a river pipeline's learned state may hold: its classes, their attributes, and of which kind each is.

This table is the whole of it: a state that names another class, or an attribute of another kind, is refused. A kind is
``num`` (int or float), ``bool``, ``str``, ``none``, a container, or a class by its short name; ``dict|none:num`` is a
dict or None, and the dict holds numbers. It is written for the releases of river that pass ``tests/operators/model``.
"""

from __future__ import annotations

import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from river import drift, linear_model, optim, preprocessing, proba, stats, tree
from river._river_rust.drift import AdaptiveWindowing
from river._river_rust.vectordict import VectorDict
from river.tree.nodes import branch, hatc_nodes, hatr_nodes, htc_nodes, htr_nodes
from river.tree.splitter import ebst_splitter, gaussian_splitter, tebst_splitter

#: Kind -> a fresh container of it.
CONTAINERS: dict[str, Callable[[], Any]] = {
    "list": list,
    "dict": dict,
    "set": set,
    "counter": Counter,
    "floats": lambda: defaultdict(float),
    "mins": lambda: defaultdict(stats.Min),
    "maxs": lambda: defaultdict(stats.Max),
}

_LINEAR = {
    "optimizer": "SGD|Adam",
    "loss": "Log|Squared",
    "l2": "num",
    "l1": "num",
    "intercept_init": "num",
    "intercept": "num",
    "intercept_lr": "Constant",
    "clip_gradient": "num",
    "initializer": "Zeros",
    "_weights": "VectorDict",
    "_y_name": "str|none",
}
_NODES = "NumericBinaryBranch|AdaNumBinaryBranchClass|AdaNumBinaryBranchReg"
_LEAVES = "LeafNaiveBayesAdaptive|LeafAdaptive|AdaLeafClassifier|AdaLeafRegAdaptive"
_TREE = {
    "_split_criterion": "str",
    "_leaf_prediction": "str",
    "max_depth": "num",
    "binary_split": "bool",
    "_max_size": "num",
    "_max_byte_size": "num",
    "memory_estimate_period": "num",
    "stop_mem_management": "bool",
    "remove_poor_attrs": "bool",
    "merit_preprune": "bool",
    "_root": f"{_NODES}|{_LEAVES}|none",
    "_n_active_leaves": "num",
    "_n_inactive_leaves": "num",
    "_inactive_leaf_size_estimate": "num",
    "_active_leaf_size_estimate": "num",
    "_size_estimate_overhead_fraction": "num",
    "_growth_allowed": "bool",
    "_train_weight_seen_by_model": "num",
    "grace_period": "num",
    "delta": "num",
    "tau": "num",
    "nominal_attributes": "none",
}
_CLASSIFIER = _TREE | {
    "nb_threshold": "num",
    "splitter": "GaussianSplitter",
    "min_branch_fraction": "num",
    "max_share_to_split": "num",
    "classes": "set:bool",
}
_REGRESSOR = _TREE | {
    "leaf_model": "LinearRegression",
    "model_selector_decay": "num",
    "min_samples_split": "num",
    "splitter": "TEBSTSplitter",
}
_ADAPTIVE = {
    "bootstrap_sampling": "bool",
    "drift_window_threshold": "num",
    "drift_detector": "ADWIN",
    "switch_significance": "num",
    "seed": "num",
    "_n_alternate_trees": "num",
    "_n_pruned_alternate_trees": "num",
    "_n_switch_alternate_trees": "num",
    "_rng": "Random",
}
_BRANCH = {
    "children": f"list:{_NODES}|{_LEAVES}",
    "stats": "dict|Var:num",
    "feature": "str",
    "threshold": "num",
    "depth": "num",
}
_ADAPTIVE_BRANCH = _BRANCH | {"drift_detector": "ADWIN", "_alternate_tree": f"{_NODES}|{_LEAVES}|none"}
_LEAF = {
    "stats": "dict|Var:num",
    "depth": "num",
    "splitter": "GaussianSplitter|TEBSTSplitter",
    "splitters": "dict|none:GaussianSplitter|TEBSTSplitter",
    "_disabled_attrs": "set|none:str",
    "_last_split_attempt_at": "num",
}
_CLASS_LEAF = _LEAF | {"_mc_correct_weight": "num", "_nb_correct_weight": "num"}
_REGRESSION_LEAF = _LEAF | {
    "_leaf_model": "LinearRegression",
    "_model_supports_weights": "bool",
    "_fmse_mean": "num",
    "_fmse_model": "num",
}
_ADAPTIVE_LEAF = {"drift_detector": "ADWIN", "rng": "Random"}
_OPTIMIZER = {"lr": "Constant", "n_iterations": "num"}

#: Class -> attribute -> kind. What has another form than its attributes is in state.py, and here by what is kept of it.
CLASSES: dict[type, dict[str, str]] = {
    preprocessing.StandardScaler: {
        "with_std": "bool",
        "window_size": "none",
        "counts": "counter:num",
        "means": "floats:num",
        "vars": "floats:num",
    },
    preprocessing.MinMaxScaler: {"window_size": "none", "min": "mins:Min", "max": "maxs:Max"},
    stats.Min: {"min": "num"},
    stats.Max: {"max": "num"},
    linear_model.LogisticRegression: _LINEAR,
    linear_model.LinearRegression: _LINEAR,
    optim.SGD: _OPTIMIZER,
    optim.Adam: _OPTIMIZER
    | {"beta_1": "num", "beta_2": "num", "eps": "num", "m": "VectorDict|none", "v": "VectorDict|none"},
    optim.schedulers.Constant: {"learning_rate": "num"},
    optim.losses.Log: {"weight_pos": "num", "weight_neg": "num"},
    optim.losses.Squared: {},
    optim.initializers.Zeros: {"value": "num"},
    VectorDict: {"weights": "dict:num"},
    tree.HoeffdingTreeClassifier: _CLASSIFIER,
    tree.HoeffdingAdaptiveTreeClassifier: _CLASSIFIER | _ADAPTIVE,
    tree.HoeffdingTreeRegressor: _REGRESSOR,
    tree.HoeffdingAdaptiveTreeRegressor: _REGRESSOR | _ADAPTIVE | {"_norm_dist": "NormalDist"},
    branch.NumericBinaryBranch: _BRANCH,
    hatc_nodes.AdaNumBinaryBranchClass: _ADAPTIVE_BRANCH | {"_mean_error": "Mean"},
    hatr_nodes.AdaNumBinaryBranchReg: _ADAPTIVE_BRANCH | {"_error_tracker": "Var"},
    htc_nodes.LeafNaiveBayesAdaptive: _CLASS_LEAF,
    hatc_nodes.AdaLeafClassifier: _CLASS_LEAF | _ADAPTIVE_LEAF | {"_mean_error": "Mean"},
    htr_nodes.LeafAdaptive: _REGRESSION_LEAF,
    hatr_nodes.AdaLeafRegAdaptive: _REGRESSION_LEAF | _ADAPTIVE_LEAF | {"_error_tracker": "Var"},
    gaussian_splitter.GaussianSplitter: {
        "_min_per_class": "dict:num",
        "_max_per_class": "dict:num",
        "_att_dist_per_class": "dict:Gaussian",
        "n_splits": "num",
    },
    tebst_splitter.TEBSTSplitter: {"_root": "EBSTNode|none", "digits": "num"},
    ebst_splitter.EBSTNode: {
        "att_val": "num",
        "estimator": "Var",
        "_left": "EBSTNode|none",
        "_right": "EBSTNode|none",
    },
    proba.Gaussian: {"seed": "none", "_var": "Var"},
    stats.Var: {"ddof": "num", "mean": "Mean", "_S": "num"},
    stats.Mean: {"n": "num", "_mean": "num"},
    drift.ADWIN: {
        "_drift_detected": "bool",
        "delta": "num",
        "clock": "num",
        "max_buckets": "num",
        "min_window_length": "num",
        "grace_period": "num",
        "_helper": "AdaptiveWindowing",
    },
    AdaptiveWindowing: {"arguments": "list:num", "window": "bytes"},
    random.Random: {"words": "bytes", "gauss_next": "num|none"},
    statistics.NormalDist: {"_mu": "num", "_sigma": "num"},
}

#: Short name -> class.
BY_NAME: dict[str, type] = {kind.__name__: kind for kind in CLASSES}

#: What river's ADWIN is made with, which no parameter of a step sets.
WINDOW: dict[str, float] = {
    "delta": 0.002,
    "clock": 32,
    "max_buckets": 5,
    "min_window_length": 5,
    "grace_period": 10,
}

#: Numbers that no parameter of a step sets. A tree makes new splitters and windows by them: a state could have it loop
#: for ever, or come to hold what no state may.
FIXED: dict[tuple[type, str], float] = {
    (gaussian_splitter.GaussianSplitter, "n_splits"): 10,
    (tebst_splitter.TEBSTSplitter, "digits"): 1,
    **{(drift.ADWIN, name): value for name, value in WINDOW.items()},
}
