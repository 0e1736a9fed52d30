"""Tokens: what is accepted, and every way that one can be wrong."""

import base64
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mevflow.control.auth import tokens as module
from mevflow.control.auth.identity import AuthError, Identity, Role
from mevflow.control.auth.keys import KeyFolder
from mevflow.control.auth.tokens import Tokens, make_token
from tests.control.auth.conftest import THREADS_DRAW


@pytest.fixture
def tokens(keys):
    return Tokens(KeyFolder(keys.folder))


def refused(tokens, token):
    with pytest.raises(AuthError) as error:
        tokens.verify(token)
    assert error.value.code == "UNAUTHENTICATED"
    assert len(token) < 9 or token not in str(error.value)
    return error.value.reason


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_good_token_says_who_calls(keys, tokens):
    assert tokens.verify(keys.token(role="risk")) == Identity("ann", Role.RISK)
    made = make_token(keys.private("one"), "one", "bob", "viewer", 60)
    assert tokens.verify(made) == tokens.verify(made) == Identity("bob", Role.VIEWER)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"exp": 1}, "TOKEN_EXPIRED"),
        ({"aud": "else"}, "TOKEN_AUDIENCE"),
        ({"iss": "else"}, "TOKEN_ISSUER"),
        ({"nbf": 1 << 40}, "TOKEN_NOT_YET_VALID"),
        ({"drop": ("exp",)}, "TOKEN_CLAIMS"),
        ({"drop": ("aud",)}, "TOKEN_CLAIMS"),
        ({"drop": ("iss",)}, "TOKEN_CLAIMS"),
        ({"drop": ("role",)}, "TOKEN_CLAIMS"),
        ({"drop": ("sub",)}, "TOKEN_CLAIMS"),
        ({"role": "root"}, "TOKEN_CLAIMS"),
        ({"role": ["admin"]}, "TOKEN_CLAIMS"),
        ({"sub": "a\nb"}, "TOKEN_CLAIMS"),
        ({"sub": "a" * 200}, "TOKEN_CLAIMS"),
        ({"exp": "soon"}, "TOKEN_MALFORMED"),
        ({"header": {"kid": "other"}}, "KEY_UNKNOWN"),
        ({"header": {"kid": "../private/one"}}, "KEY_UNKNOWN"),
        ({"key": Ed25519PrivateKey.generate()}, "TOKEN_SIGNATURE"),
        ({"key": generate_private_key(65537, 2048), "algorithm": "RS256"}, "TOKEN_ALGORITHM"),
        ({"key": "x" * 64, "algorithm": "HS512"}, "TOKEN_ALGORITHM"),
        ({"key": "", "algorithm": "none"}, "TOKEN_ALGORITHM"),
    ],
)
def test_what_is_wrong_is_refused_and_named(keys, tokens, change, reason):
    assert refused(tokens, keys.token(**change)) == reason


def test_no_algorithm_and_the_public_key_as_a_secret(keys, tokens):
    claims = jwt.decode(keys.token(), options={"verify_signature": False})
    for name in ("none", "None", "NONE", "nOnE", "", None, 7, ["EdDSA"]):
        unsigned = f"{part({'alg': name, 'kid': 'one', 'typ': 'JWT'})}.{part(claims)}."
        assert refused(tokens, unsigned) in ("TOKEN_ALGORITHM", "TOKEN_MALFORMED")
    public = (keys.folder / "one.pem").read_bytes()
    for algorithm in ("HS256", "EdDSA"):
        signed = f"{part({'alg': algorithm, 'kid': 'one', 'typ': 'JWT'})}.{part(claims)}"
        mac = base64.urlsafe_b64encode(hmac.digest(public, signed.encode(), "sha256")).rstrip(b"=").decode()
        assert refused(tokens, f"{signed}.{mac}") in ("TOKEN_ALGORITHM", "TOKEN_SIGNATURE")


def test_a_changed_claim_breaks_the_signature(keys, tokens):
    head, body, signature = keys.token(role="viewer").split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    assert refused(tokens, f"{head}.{part({**claims, 'role': 'admin'})}.{signature}") == "TOKEN_SIGNATURE"


def test_keys_are_rotated_without_a_restart(keys, tokens):
    old = keys.token()
    assert tokens.verify(old).name == "ann"
    keys.make("two")
    new = keys.token("two")
    assert tokens.verify(new) == tokens.verify(old)
    (keys.folder / "one.pem").unlink()
    assert refused(tokens, old) == "KEY_UNKNOWN"  # although it was remembered
    assert tokens.verify(new).name == "ann"
    (keys.folder / "two.pem").write_text("no key")
    assert refused(tokens, new) == "KEY_UNKNOWN"


def test_a_remembered_token_still_expires(keys, tokens):
    token = keys.token(exp=int(time.time()) + 2)
    assert tokens.verify(token) == tokens.verify(token)
    time.sleep(2.1)
    assert refused(tokens, token) == "TOKEN_EXPIRED"


def test_no_more_than_so_many_are_remembered(keys, tokens, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 3)
    for number in range(9):
        tokens.verify(keys.token(jti=str(number)))
    assert len(tokens._known) == 3


@THREADS_DRAW
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(max_size=300),
        st.text("abcEyJ.-_0=", max_size=200),
        st.builds(lambda *parts: ".".join(parts), *[st.text("eyJhbGciOi._-", max_size=60)] * 3),
        st.recursive(st.none() | st.integers() | st.text(max_size=9), st.lists, max_leaves=20).map(
            lambda value: f"{part(value)}.{part(value)}.{part(value)}"
        ),
    )
)
def test_noise_is_refused_and_nothing_else(tokens, text):
    refused(tokens, text)


@THREADS_DRAW
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_changed_byte_is_accepted(keys, tokens, data):
    good = keys.token()
    at = data.draw(st.integers(0, len(good) - 3))  # the last character has bits that mean nothing
    other = data.draw(st.sampled_from("ABCxyz019-_.").filter(lambda c: c != good[at]))
    refused(tokens, good[:at] + other + good[at + 1 :])


def test_a_long_token_is_not_even_read(tokens):
    assert refused(tokens, "a." * 4096) == "TOKEN_MALFORMED"
