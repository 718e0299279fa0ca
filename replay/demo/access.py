"""Who may ask what: modes, bearer tokens, API keys, roles."""

import hmac
import time
from typing import Any, Final

from replay.demo.values import Caller, RefusedError, Reply, Request, refuse
from replay.demo.world import World, new_id
from replay.workspace import tokens

SESSION_S: Final = 24 * 3600
TOKEN_S: Final = 7 * 24 * 3600
CHALLENGE: Final = (("WWW-Authenticate", "Bearer"),)

_PERMISSIONS: Final = {
    "admin": frozenset({"recall", "remember", "modify", "forget", "documents", "diagnostics", "admin"}),
    "operator": frozenset({"recall", "remember", "modify", "forget", "documents", "diagnostics"}),
    "agent": frozenset({"recall", "remember", "documents"}),
    "readonly": frozenset({"recall"}),
}


def mode(world: World) -> str:
    """Give the mode that agent.yaml asks for: `local`, `team` or `hybrid`."""
    settings = world.watcher.configuration.get("auth")
    found = settings.get("mode") if isinstance(settings, dict) else None
    return found if found in ("team", "hybrid") else "local"


def identify(world: World, request: Request) -> Caller | None:
    """
    Say who asks; None where no credential came.

    Raises:
        RefusedError: 401, the credential is no good.
    """
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        return None
    if scheme.lower() != "bearer" or not credential:
        raise _unknown("malformed authorization header")
    if tokens.api_key_prefix(credential):
        return _identify_key(world, credential)
    claims = tokens.verify(world.auth_secret, credential, now_s=time.time())
    if claims is None:
        raise _unknown("invalid token")
    return Caller(claims["sub"], claims["role"], claims)


def _identify_key(world: World, key: str) -> Caller:
    row = world.database.row("SELECT * FROM api_keys WHERE prefix = ? AND revoked_at IS NULL", tokens.api_key_prefix(key))
    if row is None or not tokens.is_api_key(row["key_hash"], key):
        raise _unknown("invalid api key")
    world.database.run("UPDATE api_keys SET last_used_at = ? WHERE id = ?", world.runtime.now(), row["id"])
    return Caller(f"api-key:{row['id']}", row["role"])


def check(world: World, caller: Caller | None, permission: str) -> None:
    """
    Let *caller* pass where *permission* is held.

    Raises:
        RefusedError: 401 without a caller, 403 without the permission. In mode `local` everybody passes.
    """
    if mode(world) != "team":
        return
    if caller is None:
        raise _unknown("authentication required")
    if permission not in _PERMISSIONS.get(caller.role, frozenset()):
        raise refuse(403, f"insufficient permissions: {permission} required")


def _unknown(error: str) -> RefusedError:
    return RefusedError(Reply(401, {"error": error}, headers=CHALLENGE))


def log_in(world: World, request: Request) -> Reply:
    """Give a token for the administrator's name and password."""
    if mode(world) == "local":
        raise refuse(400, "login is not available in local mode")
    given = (str(request.body.get("username", "")), str(request.body.get("password", "")))
    if not all(hmac.compare_digest(a.encode(), b.encode()) for a, b in zip(given, world.administrator, strict=True)):
        raise refuse(401, "invalid credentials")
    token, expires_at = _mint(world, "dashboard:admin", "admin", SESSION_S)
    return Reply(200, {"token": token, "expiresAt": expires_at, "role": "admin", "username": given[0]})


def make_token(world: World, request: Request) -> Reply:
    """Give a token for a role."""
    role = request.body.get("role")
    if role not in tokens.ROLES:
        raise refuse(400, f"role must be one of: {', '.join(tokens.ROLES)}")
    token, expires_at = _mint(world, f"token:{role}", role, TOKEN_S)
    return Reply(200, {"token": token, "expiresAt": expires_at})


def _mint(world: World, subject: str, role: str, lifetime_s: int) -> tuple[str, str]:
    now_s = int(time.time())
    claims: dict[str, Any] = {"sub": subject, "scope": {}, "role": role, "iat": now_s, "exp": now_s + lifetime_s}
    return tokens.mint(world.auth_secret, claims), world.runtime.time_text((now_s + lifetime_s) * 1_000_000_000)


def who_am_i(world: World, request: Request) -> Reply:
    """Say who asks."""
    caller = request.caller
    role = "operator" if caller and "wrong-role" in world.faults else caller.role if caller else None
    return Reply(
        200,
        {
            "authenticated": caller is not None,
            "trustedLocal": mode(world) == "local",
            "effectiveAccess": role or ("admin" if mode(world) == "local" else "none"),
            "claims": dict(caller.claims) if caller and caller.claims else None,
            "mode": mode(world),
            "providers": ["password"],
        },
    )


def methods(world: World, _: Request) -> Reply:
    """Say how one can log in."""
    return Reply(200, {"mode": mode(world), "methods": [{"id": "password", "enabled": mode(world) != "local"}, {"id": "sso", "enabled": False}]})


def make_key(world: World, request: Request) -> Reply:
    """Make an API key; the answer is the only place that shows it."""
    name, role = str(request.body.get("name", "")).strip(), request.body.get("role", "agent")
    if not name or role not in tokens.ROLES:
        raise refuse(400, "name is required")
    key, salt = tokens.make_api_key(), new_id().replace("-", "")
    row = {"id": new_id(), "prefix": str(tokens.api_key_prefix(key)), "name": name, "role": role, "created_at": world.runtime.now()}
    world.database.insert("api_keys", **row, key_hash=tokens.hash_api_key(key, salt))
    return Reply(201, {"apiKey": {**_show_key({**row, "last_used_at": None, "revoked_at": None}), "key": key}})


def list_keys(world: World, _: Request) -> Reply:
    """List the API keys, without what they are."""
    return Reply(200, {"apiKeys": [_show_key(row) for row in world.database.rows("SELECT * FROM api_keys ORDER BY rowid")]})


def revoke_key(world: World, request: Request) -> Reply:
    """Revoke an API key by its id."""
    sql = "UPDATE api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL"
    if not world.database.run(sql, world.runtime.now(), request.parameters["id"]):
        raise refuse(404, "api key not found")
    return Reply(200, {"revoked": True, "id": request.parameters["id"]})


def _show_key(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "prefix": row["prefix"],
        "name": row["name"],
        "role": row["role"],
        "createdAt": row["created_at"],
        "lastUsedAt": row["last_used_at"],
        "revokedAt": row["revoked_at"],
    }
