"""From a request to its reply: which route it is, who may ask, what its body is; without sockets."""

import json
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from replay.demo import access, git, mcp, memory_routes, system_routes
from replay.demo.alterations import alter, announce_document
from replay.demo.values import TEXT_TYPE, RefusedError, Reply, Request, refuse
from replay.demo.world import World
from replay.model import ParityError

type _Handler = Callable[[World, Request], Reply]
_PARAMETER: Final = re.compile(r":(\w+)")
_DASHBOARD: Final = "<!doctype html>\n<html><head><title>Signet</title></head><body><div id=app></div></body></html>\n"
_HTML_TYPE: Final = "text/html; charset=utf-8"
_TYPE_NAMES: Final[dict[type, str]] = {str: "a string", dict: "a map", list: "a sequence"}
_KINDS: Final[dict[type, str]] = {
    bool: "boolean",
    int: "integer",
    float: "floating point",
    str: "string",
    list: "sequence",
    dict: "map",
    type(None): "null",
}


@dataclass(frozen=True, slots=True)
class Route:
    """One route: what it is for, and what it needs."""

    method: str
    template: str
    handler: _Handler
    permission: str = "recall"
    fields: tuple[tuple[str, type], ...] | None = None
    """None: the route reads no JSON body. Else the fields without which the `rust` runtime refuses it."""
    is_open: bool = False
    """Answers without a credential in every mode."""

    @property
    def name(self) -> str:
        """As reports name it."""
        return f"{self.method} {self.template}"


def _body(**fields: type) -> tuple[tuple[str, type], ...]:
    return tuple(fields.items())


ROUTES: Final = (
    Route("GET", "/health", system_routes.health, is_open=True),
    Route("GET", "/api/status", system_routes.status),
    Route("POST", "/api/auth/login", access.log_in, fields=_body(username=str, password=str), is_open=True),
    Route("GET", "/api/auth/methods", access.methods, is_open=True),
    Route("GET", "/api/auth/whoami", access.who_am_i, is_open=True),
    Route("POST", "/api/auth/token", access.make_token, "admin", _body(role=str)),
    Route("GET", "/api/auth/api-keys", access.list_keys, "admin"),
    Route("POST", "/api/auth/api-keys", access.make_key, "admin", _body(name=str)),
    Route("DELETE", "/api/auth/api-keys/:id", access.revoke_key, "admin"),
    Route("GET", "/api/memories", memory_routes.list_all),
    Route("GET", "/memory/search", memory_routes.search),
    Route("GET", "/api/memory/search", memory_routes.search_under_memory),
    Route("POST", "/api/memory/recall", memory_routes.recall, fields=_body(query=str)),
    Route("POST", "/api/memory/remember", memory_routes.remember, "remember", _body(content=str)),
    Route("POST", "/api/memory/modify", memory_routes.modify, "modify", _body(patches=list)),
    Route("POST", "/api/memory/forget", memory_routes.forget, "forget", ()),
    Route("POST", "/api/memory/feedback", memory_routes.feedback, "remember", _body(feedback=dict)),
    Route("GET", "/api/memory/jobs/:id", memory_routes.show_job),
    Route("GET", "/api/memory/:id", memory_routes.show),
    Route("PATCH", "/api/memory/:id", memory_routes.change, "modify", ()),
    Route("DELETE", "/api/memory/:id", memory_routes.delete, "forget"),
    Route("GET", "/api/memory/:id/history", memory_routes.history),
    Route("POST", "/api/memory/:id/recover", memory_routes.recover, "modify"),
    Route("GET", "/api/documents", memory_routes.list_documents),
    Route("POST", "/api/documents", memory_routes.add_document, "documents", ()),
    Route("GET", "/api/documents/:id", memory_routes.show_document),
    Route("GET", "/api/documents/:id/chunks", memory_routes.show_chunks),
    Route("DELETE", "/api/documents/:id", memory_routes.delete_document, "documents"),
    Route("GET", "/api/telemetry/memory-search/export", memory_routes.export_searches, "diagnostics"),
    Route("GET", "/api/logs/stream", system_routes.stream_log, "diagnostics"),
    Route("GET", "/api/pipeline/status", system_routes.pipeline_status, "diagnostics"),
    Route("POST", "/api/pipeline/nudge", system_routes.nudge, "admin"),
    Route("GET", "/api/tasks", system_routes.list_tasks, "admin"),
    Route("POST", "/api/tasks", system_routes.add_task, "admin", ()),
    Route("POST", "/api/tasks/:id/run", system_routes.run_task, "admin"),
    Route("GET", "/api/tasks/:id/runs", system_routes.list_runs, "admin"),
    Route("GET", "/api/tasks/:id/stream", system_routes.stream_task, "admin"),
    Route("GET", "/api/config", system_routes.list_files, "admin"),
    Route("POST", "/api/config", system_routes.write_file, "admin", ()),
    Route("GET", "/api/identity", system_routes.identity),
    Route("GET", "/api/harnesses", system_routes.harnesses),
    Route("GET", "/api/git/status", git.status, "admin"),
    Route("GET", "/api/git/config", git.configuration, "admin"),
    Route("POST", "/api/git/config", git.configure, "admin", ()),
    Route("POST", "/api/git/sync", git.sync, "admin"),
    Route("GET", "/api/secrets", system_routes.list_secrets, "admin"),
    Route("POST", "/api/secrets/:name", system_routes.put_secret, "admin", _body(value=str)),
    Route("DELETE", "/api/secrets/:name", system_routes.delete_secret, "admin"),
    Route("GET", "/api/diagnostics/database/schema", system_routes.schema, "diagnostics"),
    Route("GET", "/api/diagnostics/database/tables/:table/sample", system_routes.sample, "diagnostics"),
    Route("ALL", "/mcp", mcp.serve),
)
"""In the order in which they are tried."""

_COMPILED: Final = tuple((route, re.compile(_PARAMETER.sub(r"(?P<\1>[^/]+)", route.template))) for route in ROUTES)


def find_route(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Give the first route that fits, and what its template names; None where none does."""
    for route, pattern in _COMPILED:
        match = pattern.fullmatch(path)
        if match and route.method in (method, "ALL"):
            return route, match.groupdict()
    return None


def answer(world: World, request: Request) -> Reply:
    """Give the reply to a request. Never raises for what a client can send."""
    found = find_route(request.method, request.path)
    try:
        caller = access.identify(world, request)
        if found is None:
            return _answer_unknown(world, request, caller)
        route, parameters = found
        request = replace(request, parameters=parameters, caller=caller)
        if not route.is_open:
            access.check(world, caller, route.permission)
        if route.name == "ALL /mcp" and request.method != "POST":
            raise refuse(405, "Method not allowed")
        if route.fields is not None:
            request = replace(request, body=_read_body(world, request, route.fields))
        reply = route.handler(world, request)
    except RefusedError as refusal:
        reply = refusal.reply
    except ParityError as error:
        reply = Reply(500, {"error": str(error)})
    except (ArithmeticError, LookupError, TypeError, ValueError, sqlite3.Error):
        # As the real one's framework does with what a handler did not foresee; the demo's tests tell no handler from another by it.
        reply = Reply(500, "Internal Server Error", TEXT_TYPE)
    if found is None:
        return reply
    if found[0].name == "POST /api/documents":
        reply = announce_document(world, request, reply)
    return alter(world, found[0].name, request, reply)


def _answer_unknown(world: World, request: Request, caller: Any) -> Reply:
    if request.method == "OPTIONS":
        return Reply(204, b"", TEXT_TYPE)
    if request.path.startswith("/api/"):
        access.check(world, caller, "recall")
        if not (world.runtime.differs("unknown-path") and request.method == "GET"):
            return Reply(404, "404 Not Found", TEXT_TYPE)
    return Reply(200, _DASHBOARD, _HTML_TYPE)


def _read_body(world: World, request: Request, fields: tuple[tuple[str, type], ...]) -> dict[str, Any]:
    strict = world.runtime.differs("body-extractor")
    if strict and request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise RefusedError(Reply(415, "Expected request with `Content-Type: application/json`", "text/plain; charset=utf-8"))
    try:
        body = json.loads(request.raw.decode())
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        if strict:
            text = f"Failed to parse the request body as JSON: {error}"
            raise RefusedError(Reply(400, text, "text/plain; charset=utf-8")) from error
        raise refuse(400, "Invalid JSON body") from error
    if not isinstance(body, dict):
        body = {}
    for name, kind in fields:
        if strict and not isinstance(body.get(name), kind):
            found = f"invalid type: {_KINDS.get(type(body[name]), 'value')}, expected {_TYPE_NAMES[kind]}" if name in body else "missing field"
            text = f"Failed to deserialize the JSON body into the target type: {name}: {found}"
            raise RefusedError(Reply(422, text, "text/plain; charset=utf-8"))
    return body
