"""Contract checks for whatever plugs in: stages, sources, sinks and policies, our own and anyone's.

    from mevflow.testing import StageCase, check_stage

    def test_my_stage_keeps_the_contract():
        check_stage(StageCase("mine.only-big", make, feed))

A case says how to make the part and what to feed it; a check tries every rule of ``docs/extend.md`` and raises
:class:`ContractBroken`, an AssertionError that names the part, the rule and the first difference. Needs no pytest.
To see each rule as a test of its own, parametrize over ``STAGE_RULES``, ``SOURCE_RULES``, ``SINK_RULES`` or
``POLICY_RULES``: name -> function of the case.

- :mod:`.feed`: what is fed, the same rows cut elsewhere, the same rows later
- :mod:`.stage`, :mod:`.source`, :mod:`.sink`, :mod:`.policy`: the rules of each contract
- :mod:`.surroundings`: a run under another clock that opens no file and no socket
- :mod:`.memory`: what a part holds on to
"""

from mevflow.testing.errors import ContractBroken
from mevflow.testing.feed import END, Item, Outputs, assert_same, cut, later
from mevflow.testing.policy import POLICY_RULES, PolicyCase, check_policy
from mevflow.testing.sink import SINK_RULES, SinkCase, check_sink
from mevflow.testing.source import SOURCE_RULES, SourceCase, check_source
from mevflow.testing.stage import STAGE_RULES, StageCase, check_stage

__all__ = [
    "END",
    "POLICY_RULES",
    "SINK_RULES",
    "SOURCE_RULES",
    "STAGE_RULES",
    "ContractBroken",
    "Item",
    "Outputs",
    "PolicyCase",
    "SinkCase",
    "SourceCase",
    "StageCase",
    "assert_same",
    "check_policy",
    "check_sink",
    "check_source",
    "check_stage",
    "cut",
    "later",
]
