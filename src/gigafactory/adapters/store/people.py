"""Tokens of the API: who may do what, by a secret that is shown once.

A secret is `gf_ID_RANDOM`: a public name, then 32 bytes of chance. Only the SHA-256 of it is kept.
A slow hash protects what people make up, which can be guessed; 256 bits of chance cannot be,
however fast the hash, and a fast one keeps a flood of false tokens from becoming work.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import re
import secrets
from typing import Any, Final

import sqlalchemy as sa

from gigafactory.adapters.store.canon import check_texts, is_id, new_id
from gigafactory.adapters.store.chaining import append
from gigafactory.adapters.store.database import Database
from gigafactory.adapters.store.errors import KeyConflict, StoreTrouble
from gigafactory.adapters.store.records import Role, Token
from gigafactory.adapters.store.tables import token, token_key
from gigafactory.engine.errors import refuse
from gigafactory.units import NS_PER_S

#: How long a token once read is believed without asking again, ns: as long as a revocation in
#: another process takes to be heard of here.
BELIEVED_NS: Final = 2 * NS_PER_S
#: How finely the last use is kept, ns.
USED_NS: Final = 3600 * NS_PER_S
_BELIEVED_MAX: Final = 10_000
_SECRET: Final = re.compile(r"gf_([0-9A-Z]{26})_([A-Za-z0-9_-]{43})")
_SEEN: Final = [column for column in token.columns if column.name != "secret_sha256"]
_SECRET_AT: Final = list(token.columns.keys()).index("secret_sha256")
_BY_ID: Final = sa.select(token).where(token.c.id == sa.bindparam("of"))
_USED: Final = (
    sa.update(token).where(token.c.id == sa.bindparam("of")).values(used_ns=sa.bindparam("at"))
)


def _token(row: Any) -> Token:
    return Token(row[0], row[1], Role(row[2]), *row[3:8])


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class People:
    """The store's part for who may come in."""

    _db: Database
    _believed: dict[str, tuple[int, Token, str]]

    def add_token(
        self,
        label: str,
        role: Role,
        party: str,
        expires_ns: int | None,
        at_ns: int,
        by: str = "",
        *,
        key: str | None = None,
    ) -> tuple[Token, str]:
        """Make a token.

        Args:
            label: what it is for.
            role: what it may do.
            party: for whom it speaks; empty where a role has none.
            expires_ns: not valid from then on, ns UTC; None for never.
            at_ns: when, ns UTC.
            by: who asked.
            key: names this request: the same key again makes no second token; None for no name.

        Returns:
            The token and its secret, which nobody can be shown again: empty where the key came
            before.

        Raises:
            KeyConflict: the key made another token before.
            BadInput: a role that speaks for a party has none, or one that does not has one.
        """
        check_texts("token", label=label, party=party, by=by, name=key or "")
        speaks = role in {Role.TENANT, Role.GRID_OPERATOR, Role.ENERGY_PARTNER}
        if speaks != bool(party):
            why = f"a token of role {role} {'names its party' if speaks else 'has no party'}"
            raise refuse("token", "party", party, why)
        name = new_id(at_ns)
        chance = secrets.token_bytes(32)  # random-ok: what the whole secret rests on
        secret = f"gf_{name}_{base64.urlsafe_b64encode(chance).decode().rstrip('=')}"
        made = Token(name, label, Role(role), party, at_ns, expires_ns)
        values = {
            "id": name, "label": label, "role": made.role.value, "party": party,
            "created_ns": at_ns, "expires_ns": expires_ns, "revoked_ns": None, "used_ns": None,
            "secret_sha256": _digest(secret),
        }  # fmt: skip
        detail = {"label": label, "role": made.role.value, "party": party}
        there = (
            sa.select(*_SEEN)
            .join_from(token, token_key, token_key.c.token == token.c.id)
            .where(token_key.c.key == key)
        )

        def put(conn: sa.Connection) -> Token | None:
            row = None if key is None else conn.execute(there).one_or_none()
            if row is not None:
                return _token(row)
            conn.execute(sa.insert(token).values(values))
            if key is not None:
                conn.execute(sa.insert(token_key).values(key=key, token=name))
            append(self._db, conn, by, Role.ADMIN, "add_token", name, "accepted", at_ns, detail)
            return None

        before = self._db.write(put)
        if before is None:
            return made, secret
        same = (before.label, before.role, before.party, before.expires_ns)
        if same != (label, made.role, party, expires_ns):
            raise KeyConflict(key or "", before)
        return before, ""

    def token_by_secret(self, secret: str, now_ns: int) -> Token | None:
        """The token of a secret; None where it is none, expired or revoked.

        A revocation is heard of at once in the process that made it, and within `BELIEVED_NS` in
        others.
        """
        shape = _SECRET.fullmatch(secret)
        if shape is None:
            return None
        name, digest = shape[1], _digest(secret)
        entry = self._believed.get(name)
        if entry is None or not 0 <= now_ns - entry[0] < BELIEVED_NS:
            row = self._db.quick(lambda conn: conn.execute(_BY_ID, {"of": name}).one_or_none())
            if row is None:
                return None
            entry = (now_ns, _token(row), row[_SECRET_AT])
        _, found, kept = entry
        if not hmac.compare_digest(digest, kept) or found.revoked_ns is not None:
            return None
        if found.expires_ns is not None and now_ns >= found.expires_ns:
            return None
        if self._believed.get(name) is not entry:
            self._believe(name, entry)
            self._note_use(found, now_ns)
        return found

    def _believe(self, name: str, entry: tuple[int, Token, str]) -> None:
        if len(self._believed) >= _BELIEVED_MAX:
            self._believed.clear()
        self._believed[name] = entry

    def _note_use(self, found: Token, now_ns: int) -> None:
        """Keep the last use, to the hour: no write per request."""
        if now_ns - (found.used_ns or 0) < USED_NS:
            return
        hour = now_ns // USED_NS * USED_NS
        # a disk that is full keeps nobody from reading: the next request tries again
        with contextlib.suppress(StoreTrouble):
            self._db.write(lambda conn: conn.execute(_USED, {"of": found.id, "at": hour}))

    def revoke_token(self, id: str, at_ns: int, by: str = "") -> bool:  # noqa: A002
        """Take a token back for good; whether there was one to take."""
        check_texts("token", by=by)
        if not is_id(id):
            return False
        change = (
            sa.update(token)
            .where(token.c.id == id, token.c.revoked_ns.is_(None))
            .values(revoked_ns=at_ns)
        )

        def revoke(conn: sa.Connection) -> bool:
            done = conn.execute(change).rowcount > 0
            if done:
                append(self._db, conn, by, Role.ADMIN, "revoke_token", id, "accepted", at_ns)
            return done

        done = self._db.write(revoke)
        self._believed.pop(id, None)
        return done

    def tokens(self) -> list[Token]:
        """Every token ever made, in the order they were."""
        asked = sa.select(*_SEEN).order_by(token.c.id)
        return [_token(row) for row in self._db.read(lambda conn: conn.execute(asked).all())]
