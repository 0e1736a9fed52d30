"""Which of a stage's chains a model is for, as part of its target: ``decided@solana``.

A command's key names one thing that can be set. A stage has a learner a chain, so a model for one chain must not take
the place of another chain's in the compacted log: a shard that starts later would never see it.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from mevflow.operators.chains import name_of, one_name
from mevflow.operators.errors import MevflowError
from mevflow.operators.learn.state import decode
from mevflow.operators.stage import OF_CHAIN


class _Model(msgspec.Struct):
    """What of a model's payload says which chain it is for."""

    chain: str = ""
    state: str = ""
    policy: str = ""


def scoped(kind: str, target: str, payload: bytes) -> str:
    """The target with the chain that it, a model's payload, or the state in that names; else as it is.

    A chain may have two names (``evm-1`` is ``ethereum``), and has one here: a key is of one thing.
    """
    node, _, chain = target.partition(OF_CHAIN)
    if kind != "model" or not node:
        return target
    try:
        if not chain:
            model = msgspec.json.decode(payload, type=_Model)
            chain = model.chain or _taught_by(model)
        return f"{node}{OF_CHAIN}{one_name(chain)}" if chain else target
    except (msgspec.DecodeError, RecursionError, MevflowError, binascii.Error, ValueError):
        return target  # the stage will say what is wrong with it


def _taught_by(model: _Model) -> str:
    if not model.state:
        return ""
    number = decode(base64.b64decode(model.state, validate=True), model.policy).chain
    return name_of(number) if number else ""
