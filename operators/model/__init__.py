"""river models, declared in a topology file: scores for opportunities, learned as their labels come.

pipelines.py   which river steps may be named, with which parameters
state.py       what a pipeline has learned as plain data, and back; classes.py what that may hold
metrics.py     progressive validation: log loss, ROC AUC, calibration, MAE
challenge.py   whether a challenger is better, at any look
contest.py     a champion and its challengers on the same rows
labels.py      rows that wait for their labels
control.py     learned states that come by command
settings.py, emit.py, stage.py   the stage ``river.model``
"""
