"""Tokens of an identity provider, from a real one on the loopback, and every way to forge them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.web.service import NOW_NS, Service

NOW_S: Final = NOW_NS // 10**9
AUDIENCE: Final = "gigafactory"


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """A key, made once."""
    assert name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issuer:
    """An identity provider: keys, their JWKS over HTTP, and tokens."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.fetched = 0
        self.broken = False
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetched += 1
                if issuer.broken:
                    self.send_error(500)
                    return
                body = json.dumps({"keys": issuer.jwks()}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.rotate("one", rsa_key("one"))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def rotate(self, key_id: str, key: Any) -> None:
        """Sign with a new key, and publish it alone."""
        self.keys = {key_id: key}

    def jwks(self) -> list[dict[str, Any]]:
        found = []
        for key_id, key in self.keys.items():
            is_rsa = isinstance(key, rsa.RSAPrivateKey)
            algorithm = RSAAlgorithm if is_rsa else ECAlgorithm
            row = json.loads(algorithm.to_jwk(key.public_key()))
            found.append(row | {"kid": key_id, "use": "sig", "alg": "RS256" if is_rsa else "ES256"})
        return found

    def claims(self, **changes: Any) -> dict[str, Any]:
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "anna", "iat": NOW_S - 10,
                  "exp": NOW_S + 600, "groups": ["staff", "gf-operators"]}  # fmt: skip
        return {k: v for k, v in (claims | changes).items() if v is not None}

    def token(self, key_id: str = "", algorithm: str = "", **changes: Any) -> str:
        key_id = key_id or next(iter(self.keys))
        key = self.keys[key_id]
        algorithm = algorithm or ("RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256")
        return jwt.encode(self.claims(**changes), key, algorithm, {"kid": key_id})


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.close()


@pytest.fixture
def service(serve: Callable[..., Service], issuer: Issuer) -> Service:
    grants = [
        {"value": "gf-operators", "role": "operator"},
        {"value": "delta", "role": "tenant", "party": "delta-lab"},
    ]
    one = {"issuer": issuer.url, "audience": AUDIENCE, "jwks_url": f"{issuer.url}/jwks",
           "grants": grants}  # fmt: skip
    return serve(issuers=[one])


def who(service: Service, secret: str) -> tuple[int, str]:
    """The answer to a token: status and role."""
    answer = service.get("/v1/self", secret=secret)
    return answer.status_code, answer.json().get("role", "")


def test_a_good_token_has_the_role_of_its_group(service: Service, issuer: Issuer) -> None:
    assert who(service, issuer.token()) == (200, "operator")
    tenant = issuer.token(groups=["delta"], sub="ben")
    assert service.get("/v1/self", secret=tenant).json() == {
        "name": "ben",
        "role": "tenant",
        "party": "delta-lab",
    }
    assert who(service, issuer.token(groups="delta")) == (200, "tenant")
    assert who(service, issuer.token(groups=["strangers"])) == (403, "")
    assert who(service, issuer.token(groups=None)) == (403, "")
    assert issuer.fetched == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"iat": NOW_S - 100, "exp": NOW_S - 31},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"aud": "another-service"},
        {"aud": None},
        {"iss": "https://elsewhere.example"},
        {"nbf": NOW_S + 60},
        {"iat": NOW_S + 60},
        {"iat": NOW_S - 10, "exp": NOW_S + 86_400},
        {"exp": "soon"},
    ],
    ids=str,
)
def test_a_token_with_a_wrong_claim_is_refused(
    service: Service, issuer: Issuer, changes: dict[str, Any]
) -> None:
    assert who(service, issuer.token())[0] == 200
    assert who(service, issuer.token(**changes))[0] == 401


def test_the_clock_of_the_issuer_may_be_off_by_the_leeway(service: Service, issuer: Issuer) -> None:
    assert who(service, issuer.token(iat=NOW_S - 100, exp=NOW_S - 29))[0] == 200
    assert who(service, issuer.token(iat=NOW_S + 29))[0] == 200


def unsigned(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def test_an_unsigned_token_is_refused(service: Service, issuer: Issuer) -> None:
    for algorithm in ("none", "None", "NONE"):
        head = unsigned({"alg": algorithm, "kid": "one", "typ": "JWT"})
        for end in ("", "x"):
            assert who(service, f"{head}.{unsigned(issuer.claims())}.{end}")[0] == 401


def test_the_public_key_is_no_secret_to_sign_with(service: Service, issuer: Issuer) -> None:
    """HS256 with the public key as the secret, made by hand as libraries refuse to."""
    public = issuer.keys["one"].public_key()
    head = unsigned({"alg": "HS256", "kid": "one", "typ": "JWT"})
    message = f"{head}.{unsigned(issuer.claims())}"
    texts = [
        public.public_bytes(serialization.Encoding.PEM, form)
        for form in (
            serialization.PublicFormat.SubjectPublicKeyInfo,
            serialization.PublicFormat.PKCS1,
        )
    ]
    for secret in (*texts, json.dumps(issuer.jwks()[0]).encode()):
        mac = hmac.new(secret, message.encode(), hashlib.sha256).digest()
        signature = base64.urlsafe_b64encode(mac).decode().rstrip("=")
        assert who(service, f"{message}.{signature}")[0] == 401


def test_another_key_an_embedded_key_and_a_changed_body_are_refused(
    service: Service, issuer: Issuer
) -> None:
    mine = rsa_key("an attacker")
    row = json.loads(RSAAlgorithm.to_jwk(mine.public_key()))
    for extra in ({}, {"jwk": row}, {"jku": "http://127.0.0.1:1/jwks"}, {"x5u": "http://x"}):
        forged = jwt.encode(issuer.claims(), mine, "RS256", {"kid": "one", **extra})
        assert who(service, forged)[0] == 401
    head, body, signature = issuer.token(groups=["delta"]).split(".")
    changed = unsigned(issuer.claims(groups=["gf-operators"]))
    assert who(service, f"{head}.{changed}.{signature}")[0] == 401
    assert body != changed
    other = issuer.token(algorithm="RS512")  # right key, but not among the algorithms accepted
    assert who(service, other)[0] == 401


def test_a_rotated_key_is_noticed_and_the_old_one_forgotten(
    service: Service, issuer: Issuer
) -> None:
    old = issuer.token()
    assert who(service, old)[0] == 200
    issuer.rotate("two", ec.generate_private_key(ec.SECP256R1()))
    fresh = issuer.token()
    service.later(11.0)
    assert who(service, fresh)[0] == 200
    assert issuer.fetched == 2
    service.later(11.0)
    assert who(service, old)[0] == 401


def test_unknown_keys_do_not_make_us_fetch_at_will(service: Service, issuer: Issuer) -> None:
    assert who(service, issuer.token())[0] == 200
    mine = rsa_key("an attacker")
    for i in range(10):
        forged = jwt.encode(issuer.claims(), mine, "RS256", {"kid": f"made-up-{i}"})
        assert who(service, forged)[0] == 401
    assert issuer.fetched == 1


def test_an_issuer_that_is_away_is_done_without_for_a_while(
    service: Service, issuer: Issuer
) -> None:
    assert who(service, issuer.token())[0] == 200
    issuer.broken = True
    service.later(400.0)
    assert who(service, issuer.token(iat=NOW_S + 400, exp=NOW_S + 700))[0] == 200
    service.later(4000.0)
    late = issuer.token(iat=NOW_S + 4400, exp=NOW_S + 4700)
    assert who(service, late)[0] == 401
    issuer.broken = False
    service.later(11.0)
    assert who(service, late)[0] == 200


def test_a_key_set_that_is_none_lets_nobody_in(
    serve: Callable[..., Service], issuer: Issuer
) -> None:
    one = {"issuer": issuer.url, "audience": AUDIENCE, "jwks_url": f"{issuer.url}/jwks",
           "grants": [{"value": "gf-operators", "role": "operator"}]}  # fmt: skip
    for document in (
        {},
        {"keys": 5},
        {"keys": [{"kty": "RSA"}]},
        {"keys": [{"kty": "oct", "k": "x"}]},
    ):
        service = serve(issuers=[one], fetch={issuer.url: lambda found=document: found})
        assert who(service, issuer.token())[0] == 401


def test_garbage_is_refused(service: Service) -> None:
    for text in ("a.b.c", "...", "e30.e30.e30", "eyJhbGciOiJSUzI1NiJ9.e30.", "x." * 3000 + "y"):
        assert who(service, text)[0] == 401
