"""
Which fields of which route's body are secret.

A field is a dotted path of object keys; arrays are passed through. Everything below a named field is secret. `**.name` means that key at
any depth. The login's `username` stays: it is an identity, which tokens and answers repeat and a replay needs.
"""

from typing import Final

_MCP_CONFIG: Final = ("config.env", "config.headers", "env", "headers")
_MCP_CONFIGS: Final = ("**.env", "**.headers")
_EXEC: Final = ("command", "env", "args")
_VAULT: Final = ("session", "token", "password", "clientSecret", "masterPassword", "folderId")

REQUEST_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "POST /api/auth/login": ("password",),
    "POST /api/auth/saml/acs": ("SAMLResponse", "RelayState"),
    "POST /api/secrets/:name": ("value",),
    "POST /api/secrets/exec": _EXEC,
    "POST /api/secrets/:name/exec": _EXEC,
    "POST /api/secrets/bitwarden/connect": _VAULT,
    "POST /api/secrets/bitwarden/migrate": _VAULT,
    "POST /api/secrets/bitwarden/provider": _VAULT,
    "POST /api/secrets/1password/connect": _VAULT,
    "POST /api/secrets/1password/import": _VAULT,
    "POST /api/marketplace/mcp/register": _MCP_CONFIG,
    "POST /api/marketplace/mcp/test": _MCP_CONFIG,
    "POST /api/marketplace/mcp/install": _MCP_CONFIG,
    "PATCH /api/marketplace/mcp/:id": _MCP_CONFIG,
}
"""What a client sends, by route."""

RESPONSE_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "POST /api/auth/login": ("token",),
    "POST /api/auth/token": ("token",),
    "POST /api/auth/api-keys": ("apiKey.key", "key"),
    "GET /api/secrets/exec/:jobId": ("**.stdout", "**.stderr"),
    "POST /api/secrets/exec": ("**.stdout", "**.stderr"),
    "POST /api/secrets/:name/exec": ("**.stdout", "**.stderr"),
    "POST /api/secrets/bitwarden/connect": ("**.session", "**.token", "**.folderId"),
    "GET /api/secrets/bitwarden/status": ("**.session", "**.token", "**.folderId"),
    "POST /api/marketplace/mcp/register": _MCP_CONFIGS,
    "POST /api/marketplace/mcp/install": _MCP_CONFIGS,
    "PATCH /api/marketplace/mcp/:id": _MCP_CONFIGS,
    "GET /api/marketplace/mcp": _MCP_CONFIGS,
    "GET /api/marketplace/mcp/:id": _MCP_CONFIGS,
    "GET /api/status": ("**.posthogApiKey",),
    "GET /api/diagnostics/database/tables/:table/sample": (
        "**.key_hash",
        "**.token",
        "**.token_hash",
        "**.secret",
        "**.password",
        "**.password_hash",
        "**.ciphertext",
        "**.salt",
    ),
}
"""What the daemon answers, by route."""

RPC_ROUTE: Final = "ALL /mcp"
RPC_NAMES: Final = frozenset({b"stdout", b"stderr"})
"""Keys that hold what a `secret_*` tool gave back, also where the result is JSON in a string."""
RPC_IDS: Final = frozenset({"id", "jobId", "job_id"})
"""Arguments of `secret_*` tools that the daemon gave out: a replay needs them."""

QUERY_NAMES: Final = frozenset({b"code", b"session", b"sig", b"signature", b"x-amz-signature", b"samlresponse"})
"""Parameters that carry credentials, beside all names that do so anywhere."""
QUERY_MORE: Final[dict[str, frozenset[bytes]]] = {
    "GET /api/auth/sso/callback": frozenset({b"state"}),
    "GET /api/auth/sso/start": frozenset({b"state"}),
    "GET /api/auth/saml/start": frozenset({b"state", b"relaystate"}),
}
QUERY_KEPT: Final[dict[str, frozenset[bytes]]] = {"GET /api/os/agent-events": frozenset({b"session"})}
"""Here `session` is an id that the daemon gave out, not a credential, and a replay must find it again."""
