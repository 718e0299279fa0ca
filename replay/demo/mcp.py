"""`/mcp`: JSON-RPC over one POST, with tools whose results are JSON inside a string."""

import json
from collections.abc import Callable
from typing import Any, Final

from replay.demo import memories
from replay.demo.runtimes import VERSION
from replay.demo.values import Reply, Request
from replay.demo.world import World
from replay.workspace import secrets

PROTOCOL_VERSIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18")
_UNKNOWN_METHOD: Final = -32601
_BROKEN: Final = -32700


class _ToolError(Exception):
    """A tool can't do what it was asked for; the text goes to the caller."""


def serve(world: World, request: Request) -> Reply:
    """Answer one message; the `rust` runtime answers notifications too."""
    pinned = world.runtime.differs("mcp-notification-status")
    accepted = request.headers.get("accept", "")
    if not ("application/json" in accepted and "text/event-stream" in accepted):
        return _failure(406, None, -32000, "Not Acceptable: Client must accept both application/json and text/event-stream")
    try:
        message = json.loads(request.raw.decode())
    except (UnicodeDecodeError, ValueError, RecursionError):
        return _failure(400, None, _BROKEN, "Parse error")
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        return _failure(400, None, -32600, "Invalid Request")
    if "id" not in message:
        return Reply(200, {"jsonrpc": "2.0", "id": None, "result": {}}) if pinned else Reply(202, b"")
    method = _METHODS.get(message["method"])
    if method is None:
        return _failure(200, message["id"], _UNKNOWN_METHOD, "Method not found")
    parameters = message.get("params")
    result = method(world, request, parameters if isinstance(parameters, dict) else {})
    return Reply(200, {"jsonrpc": "2.0", "id": message["id"], "result": result})


def _failure(status: int, message_id: Any, code: int, text: str) -> Reply:
    return Reply(status, {"jsonrpc": "2.0", "error": {"code": code, "message": text}, "id": message_id})


def _initialize(world: World, _: Request, parameters: dict[str, Any]) -> dict[str, Any]:
    asked = parameters.get("protocolVersion")
    pinned = world.runtime.differs("mcp-protocol-pinned") or asked not in PROTOCOL_VERSIONS
    return {
        "protocolVersion": PROTOCOL_VERSIONS[0] if pinned else asked,
        "capabilities": {"tools": {"listChanged": False}},
        "serverInfo": {"name": "signet", "version": VERSION},
    }


def _list_tools(world: World, _: Request, __: dict[str, Any]) -> dict[str, Any]:
    few = world.runtime.differs("mcp-fewer-tools")
    shown = [name for name in _TOOLS if not (few and name in _NOT_IN_RUST)]
    return {
        "tools": [
            {
                "name": name,
                "description": _TOOLS[name][0],
                "inputSchema": {"type": "object", "properties": {key: {"type": kind} for key, kind in _TOOLS[name][1].items()}},
            }
            for name in shown
        ]
    }


def _call_tool(world: World, request: Request, parameters: dict[str, Any]) -> dict[str, Any]:
    name = parameters.get("name")
    arguments = parameters.get("arguments")
    if name not in _TOOLS or (name in _NOT_IN_RUST and world.runtime.differs("mcp-fewer-tools")):
        return {"content": [{"type": "text", "text": f"Tool {name} not found"}], "isError": True}
    try:
        value = _TOOLS[name][2](world, request, arguments if isinstance(arguments, dict) else {})
    except _ToolError as error:
        return {"content": [{"type": "text", "text": str(error)}], "isError": True}
    return {"content": [{"type": "text", "text": json.dumps(value, indent=2, ensure_ascii=False)}]}


def _search(world: World, _: Request, arguments: dict[str, Any]) -> Any:
    rows = memories.find(world, str(arguments.get("query", "")), 5)
    return {"results": [{"id": row["id"], "content": row["content"], "score": round(row["score"], 6)} for row in rows]}


def _store(world: World, _: Request, arguments: dict[str, Any]) -> Any:
    content = str(arguments.get("content", "")).strip()
    if not content:
        raise _ToolError("content is required")
    return memories.remember(world, {**arguments, "content": content}, who="mcp-server")


def _get(world: World, _: Request, arguments: dict[str, Any]) -> Any:
    row = memories.fetch(world, str(arguments.get("id", "")))
    if row is None:
        raise _ToolError("Memory not found")
    return {key: row[key] for key in ("id", "content", "type", "tags", "importance", "who", "version", "created_at")}


def _forget(world: World, _: Request, arguments: dict[str, Any]) -> Any:
    row = memories.fetch(world, str(arguments.get("id", "")))
    if row is None:
        raise _ToolError("Memory not found")
    version = memories.set_deleted(world, row, deleted=True, who="mcp-server", reason=arguments.get("reason"))
    return {"id": row["id"], "status": "deleted", "newVersion": version}


def _list_memories(world: World, _: Request, arguments: dict[str, Any]) -> Any:
    limit = arguments.get("limit")
    return memories.list_memories(world, limit if isinstance(limit, int) and 0 < limit <= 100 else 5, 0)


def _list_secrets(world: World, _: Request, __: dict[str, Any]) -> Any:
    return {"secrets": list(secrets.read(world.workspace / secrets.FILE).names)}


type _Method = Callable[[World, Request, dict[str, Any]], Any]
_METHODS: Final[dict[str, _Method]] = {
    "initialize": _initialize,
    "ping": lambda *_: {},
    "tools/list": _list_tools,
    "tools/call": _call_tool,
}
_TOOLS: Final[dict[str, tuple[str, dict[str, str], _Method]]] = {
    "memory_search": ("Search memories", {"query": "string"}, _search),
    "memory_store": ("Save a memory", {"content": "string", "type": "string"}, _store),
    "memory_get": ("Get a memory by id", {"id": "string"}, _get),
    "memory_forget": ("Forget a memory", {"id": "string", "reason": "string"}, _forget),
    "memory_list": ("List memories", {"limit": "number"}, _list_memories),
    "secret_list": ("List the names of secrets", {}, _list_secrets),
}
_NOT_IN_RUST: Final = frozenset({"memory_list", "secret_list"})
