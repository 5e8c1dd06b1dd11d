"""Session tokens: made by one who knows the secret, shown by one who does not."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrtc.errors import AccessDeniedError, ConfigurationError
from fastrtc.tokens import SessionTokens
from fastrtc.visitor import Visitor

SECRET = "0123456789abcdef0123456789abcdef"
USER = {"name": "ann", "plan": 3}


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def signed(header: Any, claims: Any, secret: str = SECRET) -> str:
    body = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{body}.{b64(hmac.digest(secret.encode(), body.encode(), hashlib.sha256))}"


def test_a_token_names_its_user_until_it_expires() -> None:
    clock = Clock()
    tokens = SessionTokens(SECRET, lifetime_s=60, now=clock)
    token = tokens.mint(USER)
    assert tokens.verify(token) == USER
    clock.now_s += 59.9
    assert tokens.verify(token) == USER
    clock.now_s += 0.2
    with pytest.raises(AccessDeniedError, match="expired") as refused:
        tokens.verify(token)
    assert refused.value.status == 401


def test_a_lifetime_of_its_own() -> None:
    clock = Clock()
    tokens = SessionTokens(SECRET, now=clock)
    token = tokens.mint(USER, lifetime_s=5)
    clock.now_s += 6
    with pytest.raises(AccessDeniedError, match="expired"):
        tokens.verify(token)


def test_a_token_for_one_session_opens_no_other() -> None:
    tokens = SessionTokens(SECRET)
    token = tokens.mint(USER, webrtc_id="a")
    assert tokens.verify(token, webrtc_id="a") == USER
    for other in ("b", None):
        with pytest.raises(AccessDeniedError, match="another session") as refused:
            tokens.verify(token, webrtc_id=other)
        assert refused.value.status == 403


def test_tokens_of_others_are_refused() -> None:
    token = SessionTokens("x" * 32).mint(USER)
    with pytest.raises(AccessDeniedError, match="not valid"):
        SessionTokens(SECRET).verify(token)
    with pytest.raises(AccessDeniedError, match="another service"):
        SessionTokens(SECRET, audience="billing").verify(SessionTokens(SECRET).mint(USER))
    with pytest.raises(AccessDeniedError, match="not valid"):
        SessionTokens().verify(SessionTokens().mint(USER))


def test_a_secret_can_be_replaced() -> None:
    old, new = SessionTokens(SECRET), SessionTokens(["n" * 32, SECRET])
    assert new.verify(old.mint(USER)) == USER
    with pytest.raises(AccessDeniedError):
        old.verify(new.mint(USER))


def test_a_jwt_of_another_program_is_read() -> None:
    claims = {"aud": ["web", "fastrtc"], "exp": 1_000_001, "nbf": 999_999, "user": "bob"}
    clock = Clock()
    tokens = SessionTokens(SECRET, now=clock)
    assert tokens.verify(signed({"typ": "JWT", "alg": "HS256"}, claims)) == "bob"
    clock.now_s = 999_998.0
    with pytest.raises(AccessDeniedError, match="not valid yet"):
        tokens.verify(signed({"alg": "HS256"}, claims))


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"alg": "none"}, {"aud": "fastrtc", "exp": 2e9, "user": 1}),
        ({"alg": "HS512"}, {"aud": "fastrtc", "exp": 2e9, "user": 1}),
        ([], {"aud": "fastrtc", "exp": 2e9, "user": 1}),
        ({"alg": "HS256"}, []),
        ({"alg": "HS256"}, {"aud": "fastrtc", "user": 1}),
        ({"alg": "HS256"}, {"aud": "fastrtc", "exp": "never", "user": 1}),
        ({"alg": "HS256"}, {"aud": "fastrtc", "exp": True, "user": 1}),
        ({"alg": "HS256"}, {"aud": "fastrtc", "exp": 10**400, "user": 1}),
        ({"alg": "HS256"}, {"exp": 2e9, "user": 1}),
    ],
)
def test_a_right_signature_is_not_enough(header: Any, claims: Any) -> None:
    with pytest.raises(AccessDeniedError):
        SessionTokens(SECRET, now=Clock()).verify(signed(header, claims))


TOKEN = SessionTokens(SECRET, now=Clock()).mint(USER)


@given(st.integers(0, len(TOKEN) - 1), st.characters(codec="ascii"))
def test_no_changed_token_is_accepted(at: int, character: str) -> None:
    changed = TOKEN[:at] + character + TOKEN[at + 1 :]
    tokens = SessionTokens(SECRET, now=Clock())
    try:
        user = tokens.verify(changed)
    except AccessDeniedError:
        return
    # Base64 has bits to spare at the end of the signature; what is signed has none.
    assert changed.rpartition(".")[0] == TOKEN.rpartition(".")[0]
    assert user == USER


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")) | st.just("..") | st.just(None))
def test_any_text_is_refused_with_an_error_of_ours(token: Any) -> None:
    with pytest.raises(AccessDeniedError):
        SessionTokens(SECRET).verify(token)


@given(st.recursive(st.integers() | st.text(min_size=1) | st.just(True), lambda inner: st.lists(inner), max_leaves=8))
def test_any_json_can_be_the_user(user: Any) -> None:
    tokens = SessionTokens(SECRET)
    assert tokens.verify(tokens.mint(user)) == user


def test_as_a_hook_it_asks_for_a_token() -> None:
    tokens = SessionTokens(SECRET)
    token = tokens.mint("ann", webrtc_id="a")
    assert tokens(Visitor(via="webrtc", webrtc_id="a", given_token=token)) == "ann"
    with pytest.raises(AccessDeniedError, match="needed"):
        tokens(Visitor(via="webrtc", webrtc_id="a"))
    with pytest.raises(AccessDeniedError, match="another session"):
        tokens(Visitor(via="webrtc", webrtc_id="b", given_token=token))


@pytest.mark.parametrize("secret", ["", "short", b"x" * 31, [], ["x" * 32, "short"]])
def test_a_weak_secret_is_refused(secret: Any) -> None:
    with pytest.raises(ConfigurationError, match="32 bytes"):
        SessionTokens(secret)


def test_wrong_arguments() -> None:
    for lifetime_s in (0, -1, float("inf")):
        with pytest.raises(ConfigurationError, match="lifetime_s"):
            SessionTokens(SECRET, lifetime_s=lifetime_s)
        with pytest.raises(ConfigurationError, match="lifetime_s"):
            SessionTokens(SECRET).mint(USER, lifetime_s=lifetime_s)
    with pytest.raises(ConfigurationError, match="put less into the user"):
        SessionTokens(SECRET).mint({"name": "n" * 8_000})
    for user in (None, False, object(), float("nan")):
        with pytest.raises(ConfigurationError):
            SessionTokens(SECRET).mint(user)
