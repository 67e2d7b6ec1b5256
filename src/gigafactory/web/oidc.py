"""Tokens of an identity provider (OpenID Connect): signed, dated, meant for us, mapped to a role.

Only asymmetric signatures count, from a pinned list; the key comes from the provider's own JWKS and
never from the token. Keys are kept for some minutes; an unknown key id fetches them again, at most
once in a while, so that a rotation is noticed and nobody can make us fetch at will.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
import jwt

from gigafactory.runtime.apisettings import Issuer
from gigafactory.units import NS_PER_S
from gigafactory.web.identity import Who

_LOG = logging.getLogger("gigafactory.web.oidc")
#: A key set larger than this is not one.
_JWKS_BYTES: Final = 256 * 1024
#: Between two fetches for the sake of an unknown key id, or after a failed one.
_AGAIN_NS: Final = 10 * NS_PER_S
#: Keys older than this are not used, even when the provider is away.
_TOO_OLD_NS: Final = 3600 * NS_PER_S
_NEEDED: Final = ["exp", "iat", "iss", "aud", "sub"]


class KeySet:
    """The public keys of one provider.

    Args:
        issuer: its settings.
        fetch: gets the JWKS document; over HTTP when left out.
    """

    def __init__(
        self, issuer: Issuer, fetch: Callable[[], Mapping[str, Any]] | None = None
    ) -> None:
        self._issuer = issuer
        self._fetch = fetch or self._over_http
        self._keys: dict[str, jwt.PyJWK] = {}
        self._got_ns = 0
        self._tried_ns = 0
        self._lock = threading.Lock()

    def key(self, key_id: str, now_ns: int) -> jwt.PyJWK | None:
        """The key of an id; None when there is none, or no key set can be had."""
        with self._lock:  # one caller fetches, the others wait for it
            age_ns = now_ns - self._got_ns
            old = not self._got_ns or age_ns >= int(self._issuer.refresh_s * NS_PER_S)
            if (old or key_id not in self._keys) and now_ns - self._tried_ns >= _AGAIN_NS:
                self._refresh(now_ns)
            if now_ns - self._got_ns >= _TOO_OLD_NS:
                return None
            return self._keys.get(key_id)

    def _refresh(self, now_ns: int) -> None:
        self._tried_ns = now_ns
        try:
            document = self._fetch()
            rows = document["keys"]
            keys = {}
            for row in rows:
                if row.get("use", "sig") == "sig" and row.get("kty") in {"RSA", "EC"}:
                    keys[str(row.get("kid", ""))] = jwt.PyJWK(row, _algorithm(row))
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as why:
            _LOG.warning("keys of %s cannot be fetched: %s", self._issuer.issuer, why)
            return
        except jwt.PyJWTError as why:
            _LOG.warning("keys of %s cannot be read: %s", self._issuer.issuer, why)
            return
        self._keys, self._got_ns = keys, now_ns

    def _over_http(self) -> Mapping[str, Any]:
        limit_s = self._issuer.timeout_s
        with (
            httpx.Client(timeout=limit_s, follow_redirects=False) as client,
            client.stream("GET", self._issuer.jwks_url) as got,
        ):
            got.raise_for_status()
            body = b""
            for part in got.iter_bytes():
                body += part
                if len(body) > _JWKS_BYTES:
                    raise ValueError("the key set is too large")
        found: Mapping[str, Any] = httpx.Response(200, content=body).json()
        return found


def _algorithm(row: Mapping[str, Any]) -> str:
    """The signature a key is for: as it says itself, or the usual one of its kind."""
    curves = {"P-256": "ES256", "P-384": "ES384"}
    usual = "RS256" if row["kty"] == "RSA" else curves.get(str(row.get("crv")), "ES256")
    return str(row.get("alg", usual))


class Provider:
    """Checks the tokens of identity providers.

    Args:
        issuers: those accepted.
        fetch: by the name of a provider, what gets its key set; over HTTP for the others.
    """

    def __init__(
        self,
        issuers: tuple[Issuer, ...],
        fetch: Mapping[str, Callable[[], Mapping[str, Any]]] | None = None,
    ) -> None:
        given = fetch or {}
        self._issuers = {one.issuer: (one, KeySet(one, given.get(one.issuer))) for one in issuers}

    def knows(self, secret: str) -> bool:
        """Whether it has the form of a JSON Web Token."""
        return bool(self._issuers) and secret.count(".") == 2

    def check(self, secret: str, now_ns: int) -> Who | None:
        """Whose token it is; None when anything about it is wrong."""
        try:
            header = jwt.get_unverified_header(secret)
            claims = jwt.decode(secret, options={"verify_signature": False})
            found = self._issuers.get(str(claims.get("iss")))
            if found is None:
                return None
            issuer, keys = found
            if header.get("alg") not in issuer.algorithms:
                return None
            key = keys.key(str(header.get("kid", "")), now_ns)
            if key is None or not _fits(key, str(header["alg"])):
                return None
            claims = self._verified(secret, key, issuer, now_ns)
        except (jwt.PyJWTError, ValueError, TypeError):
            return None
        return _who(issuer, claims)

    @staticmethod
    def _verified(secret: str, key: jwt.PyJWK, issuer: Issuer, now_ns: int) -> dict[str, Any]:
        """The claims of a token whose signature, issuer, audience and dates are right.

        The dates are judged by our own clock, so that a test can set it.

        Raises:
            jwt.PyJWTError: anything is wrong.
        """
        claims: dict[str, Any] = jwt.decode(
            secret,
            key,
            algorithms=list(issuer.algorithms),
            audience=issuer.audience,
            issuer=issuer.issuer,
            options={
                "require": _NEEDED,
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
        now_s, leeway_s = now_ns / NS_PER_S, issuer.leeway_s
        begin_s, end_s = float(claims["iat"]), float(claims["exp"])
        if end_s + leeway_s <= now_s:
            raise jwt.ExpiredSignatureError
        if max(begin_s, float(claims.get("nbf", begin_s))) - leeway_s > now_s:
            raise jwt.ImmatureSignatureError
        if not 0.0 < end_s - begin_s <= issuer.lifetime_s:
            raise jwt.InvalidTokenError("valid for too long")
        return claims


def _fits(key: jwt.PyJWK, algorithm: str) -> bool:
    """Whether a key may make this signature: an RSA key any of RSA's, an EC key its own."""
    if key.key_type == "RSA":
        return algorithm[:2] in {"RS", "PS"} and key.algorithm_name[:2] in {"RS", "PS"}
    return algorithm == key.algorithm_name


def _who(issuer: Issuer, claims: Mapping[str, Any]) -> Who | None:
    """What the claims stand for; a valid token without a role is somebody without rights."""
    values = claims.get(issuer.claim, [])
    values = [values] if isinstance(values, str) else values
    held = {str(value) for value in values} if isinstance(values, list) else set()
    subject = str(claims["sub"])
    until_ns = int((float(claims["exp"]) + issuer.leeway_s) * NS_PER_S)
    key = f"oidc:{issuer.issuer}:{subject}"
    for grant in issuer.grants:
        if grant.value in held:
            return Who(subject, grant.role, grant.party or "", key, until_ns)
    return Who(subject, "", "", key, until_ns)
