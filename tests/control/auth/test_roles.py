"""Who may call what: every method with every role, and the table in the documentation."""

import re
from pathlib import Path

import pytest

from mevflow.control.auth.identity import AuthError, Identity, LocalAuthenticator, Role
from mevflow.control.methods import METHODS
from mevflow.control.server.dispatch import SERVICE

DOCUMENT = Path(__file__).parents[3] / "docs" / "security.md"


@pytest.mark.parametrize("role", list(Role), ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_a_method_asks_for_its_role_and_no_less(method, role):
    caller = Identity("ann", role)
    if role >= Role.of(METHODS[method].role):
        LocalAuthenticator().authorise(caller, method)
        return
    with pytest.raises(AuthError) as refused:
        LocalAuthenticator().authorise(caller, method)
    assert (refused.value.code, refused.value.reason) == ("PERMISSION_DENIED", "ROLE_TOO_LOW")
    assert refused.value.identity == caller


def test_every_method_of_the_service_has_a_role():
    assert {method.name for method in SERVICE.methods} <= METHODS.keys()
    assert {method.name for method in SERVICE.methods if method.server_streaming} == {
        name for name, method in METHODS.items() if method.streams
    }


def test_what_changes_something_is_not_a_viewers():
    assert {name for name, method in METHODS.items() if method.changes and method.role == "viewer"} == set()


def test_the_documented_table_is_true():
    documented = {}
    for role in Role:
        row = re.search(rf"^\| {role} \| (.+) \|$", DOCUMENT.read_text(), re.MULTILINE)
        for name in re.findall(r"\b[A-Z][A-Za-z]+\b", row[1]):
            documented[name] = str(role)
    assert documented == {name: method.role for name, method in METHODS.items()}
