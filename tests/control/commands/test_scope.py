"""The key of a model's command names one chain, by one name."""

import pytest

from mevflow.control.commands.scope import scoped


@pytest.mark.parametrize(
    ("target", "payload", "wanted"),
    [
        ("decided", b'{"chain": "solana"}', "decided@solana"),
        ("decided", b'{"chain": "evm-1"}', "decided@ethereum"),
        ("decided@evm-1", b"{}", "decided@ethereum"),
        ("decided@base", b'{"chain": "solana"}', "decided@base"),  # the stage says that they differ
        ("decided", b"{}", "decided"),
        ("", b'{"chain": "solana"}', ""),
        ("decided", b'{"chain": "no such"}', "decided"),  # the stage says so
        ("decided@no such", b"{}", "decided@no such"),
        ("decided", b"not JSON", "decided"),
    ],
)
def test_a_model_is_for_one_chain_by_one_name(target, payload, wanted):
    assert scoped("model", target, payload) == wanted


def test_a_policy_is_for_all_chains():
    assert scoped("policy", "decided", b'{"chain": "solana"}') == "decided"
