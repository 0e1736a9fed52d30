"""From settings to guards: what is refused before anything listens."""

import pytest

from mevflow.control.auth.identity import AuthError, Role
from mevflow.control.auth.setup import guards
from mevflow.flows.config import ControlConfig
from mevflow.operators.errors import UsageError


def test_without_anything_loopback_only_and_it_says_so():
    made = guards(ControlConfig(), "127.0.0.1")
    assert (made.authenticator.authenticates, made.credentials, made.context) == (False, None, None)
    assert "no authentication" in made.said()
    for host in ("0.0.0.0", "::", "10.0.0.1", "example.org"):
        with pytest.raises(UsageError, match="without authentication"):
            guards(ControlConfig(), host)


def test_tokens_do_not_leave_the_machine_without_tls(keys, make_authority):
    settings = ControlConfig(jwt_keys=keys.folder)
    assert "loopback only" in guards(settings, "localhost").said()
    with pytest.raises(UsageError, match="without TLS"):
        guards(settings, "0.0.0.0")
    certificate, key = make_authority().make("server")
    made = guards(ControlConfig(jwt_keys=keys.folder, tls_cert=certificate, tls_key=key), "0.0.0.0")
    assert made.credentials is not None
    assert made.context is not None
    assert made.authenticator.authenticate({"authorization": f"Bearer {keys.token()}"}, "", None).name == "ann"


def test_who_calls(keys, make_authority, tmp_path):
    authority = make_authority()
    certificate, key = authority.make("server")
    roles = tmp_path / "roles.toml"
    roles.write_text('[identities]\n"desk" = "risk"\n')
    settings = ControlConfig(
        jwt_keys=keys.folder, tls_cert=certificate, tls_key=key, client_ca=authority.file, client_roles=roles
    )
    auth = guards(settings, "127.0.0.1").authenticator
    desk = auth.authenticate({}, "", "desk")
    assert (desk.name, desk.role) == ("desk", Role.RISK)
    bearer = {"authorization": f"bearer {keys.token()}"}
    assert auth.authenticate(bearer, "", "desk").name == "ann"
    for metadata, name, reason in (
        ({}, None, "TOKEN_MISSING"),
        ({}, "nobody", "CERTIFICATE_UNKNOWN"),
        ({"authorization": "Basic YTpi"}, "desk", "TOKEN_MALFORMED"),
        ({"authorization": "Bearer x"}, "desk", "TOKEN_MALFORMED"),
    ):
        with pytest.raises(AuthError) as refused:
            auth.authenticate(metadata, "", name)
        assert (refused.value.code, refused.value.reason) == ("UNAUTHENTICATED", reason)
    roles.write_text('[identities]\n"desk" = "viewer"\n"night" = "operator"\n')
    assert auth.authenticate({}, "", "desk").role == Role.VIEWER
    roles.write_text("[identities\n")  # half written: what was read before stays
    assert auth.authenticate({}, "", "night").role == Role.OPERATOR
    with pytest.raises(AuthError) as refused:
        auth.authorise(desk, "Deploy")
    assert (refused.value.code, refused.value.reason) == ("PERMISSION_DENIED", "ROLE_TOO_LOW")


@pytest.mark.parametrize(
    ("text", "said"),
    [('desk = "risk"', "one table"), ('[identities]\ndesk = "root"', "no role"), ("[", "not TOML"), (None, "read")],
)
def test_a_wrong_file_of_roles(make_authority, tmp_path, text, said):
    authority = make_authority()
    certificate, key = authority.make("server")
    roles = tmp_path / "roles.toml"
    if text is not None:
        roles.write_text(text)
    settings = ControlConfig(tls_cert=certificate, tls_key=key, client_ca=authority.file, client_roles=roles)
    with pytest.raises(UsageError, match=said):
        guards(settings, "127.0.0.1")


def test_settings_that_do_not_fit(make_authority, tmp_path):
    authority = make_authority()
    certificate, key = authority.make("server")
    other = authority.make("other")[1]
    for settings, said in (
        ({"tls_cert": certificate}, "go together"),
        ({"client_ca": authority.file}, "needs tls_cert"),
        ({"client_roles": key}, "needs client_ca"),
        ({"jwt_keys": tmp_path / "none"}, "cannot be read"),
        ({"tls_cert": certificate, "tls_key": other}, "do not load"),
        ({"tls_cert": tmp_path / "none", "tls_key": key}, "do not load"),
    ):
        with pytest.raises(UsageError, match=said):
            guards(ControlConfig(**settings), "127.0.0.1")
