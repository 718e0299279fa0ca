"""What the demo's client asks, chapter by chapter, so that each of the nine domains has several exchanges."""

from typing import Final

from replay.demo.client import Answer, Client, forge
from replay.demo.faults import DELETED_SECRET, FORGOTTEN_TYPE

_NOBODY: Final = "00000000-0000-4000-8000-000000000000"
_LOG_EVENTS: Final = 5


def tell(client: Client, name: str, password: str) -> None:
    """Ask everything, in order."""
    _arrive(client, name, password)
    _look_at_the_schema(client)
    _read(client)
    _write_while_listening(client)
    _change(client)
    _forget(client)
    _send_nonsense(client)
    _add_documents(client)
    _run_tasks(client)
    _hand_out_credentials(client)
    _configure(client)
    _synchronise(client)
    _use_tools(client)
    _keep_secrets(client)
    _leave(client)


def _arrive(client: Client, name: str, password: str) -> None:
    client.ask("GET", "/health")
    client.ask("GET", "/api/auth/methods")
    client.ask("GET", "/api/auth/whoami")
    client.ask("GET", "/api/memories")
    client.ask("GET", "/api/auth/api-keys")
    client.ask("GET", "/api/memories", token="not-a-token")  # noqa: S106 (that is the point)
    client.ask("POST", "/api/auth/login", {"username": name, "password": "not the password"})
    client.token = client.ask("POST", "/api/auth/login", {"username": name, "password": password}).value("token")
    client.ask("GET", "/api/memories", token=forge(client.token))
    client.ask("GET", "/api/auth/whoami")
    client.ask("GET", "/api/status")


def _look_at_the_schema(client: Client) -> None:
    client.ask("GET", "/api/diagnostics/database/schema")
    for table in ("connectors", "documents", "schema_migrations", "api_keys", "no_such_table"):
        client.ask("GET", f"/api/diagnostics/database/tables/{table}/sample?limit=5")


def _read(client: Client) -> None:
    listed = client.ask("GET", "/api/memories")
    client.ask("GET", "/api/memories?limit=2&offset=1")
    for place in (0, 3):
        client.ask("GET", f"/api/memory/{listed.value('memories', place, 'id')}")
    client.ask("GET", f"/api/memory/{listed.value('memories', 0, 'id')}/history")
    client.ask("GET", f"/api/memory/{_NOBODY}")
    client.ask("GET", "/memory/search?q=ferry")
    client.ask("GET", "/memory/search?q=islands%20boat&limit=2")
    client.ask("GET", "/api/memory/search?q=ferry")
    client.ask("POST", "/api/memory/recall", {"query": "ferry to the islands"})
    client.ask("POST", "/api/memory/recall", {"query": "harbour master mail", "limit": 3})
    client.ask("POST", "/api/memory/recall", {"query": "breakwater stones"})
    client.ask("POST", "/api/memory/recall", {"query": "zeppelin"})
    client.ask("GET", "/api/no/such/route")
    client.ask("POST", "/api/no/such/route", {})
    client.ask("GET", "/")


def _remember(client: Client, content: str, **more: object) -> str:
    return str(client.ask("POST", "/api/memory/remember", {"content": content, **more}).value("id", default=_NOBODY))


def _write_while_listening(client: Client) -> None:
    stream = client.listen("/api/logs/stream")
    stream.read(1)
    _remember(client, "Seals rest on the sandbank at low tide.", tags=["seals", "tide"])
    _remember(client, "The Ünderground café opens at seven — “only” for sailors.", project="guide", importance=0.95)
    client.ask("POST", "/api/memory/recall", {"query": "seals at the sandbank"})
    _remember(client, "Seals rest on the sandbank at low tide.", tags=["seals", "tide"])
    client.ask("GET", "/api/memories?limit=3")
    stream.read(_LOG_EVENTS - 1)
    stream.leave()
    client.settle()


def _change(client: Client) -> None:
    buoy = _remember(client, "The red buoy blinks thrice.", tags="buoy")
    bell = _remember(client, "The bell tower rings at noon.", type="fact", project="guide")
    decision = _remember(client, "Moor the survey boat at berth four.", type=FORGOTTEN_TYPE)
    client.settle()
    for memory in (buoy, bell, decision):
        client.ask("GET", f"/api/memory/{memory}")
    client.ask("GET", f"/api/memory/{buoy}/history")
    patch = {"content": "The green buoy blinks twice.", "reason": "was painted", "if_version": 1}
    changed = client.ask("PATCH", f"/api/memory/{buoy}", patch)
    client.ask("PATCH", f"/api/memory/{buoy}", patch)
    client.ask("GET", f"/api/memory/{buoy}")
    client.ask("GET", "/memory/search?q=thrice")
    client.ask("GET", "/memory/search?q=green%20twice")
    client.ask("POST", "/api/memory/recall", {"query": "green buoy"})
    patches = [{"id": bell, "content": "The bell tower rings at one."}, {"id": _NOBODY, "content": "Nothing."}]
    client.ask("POST", "/api/memory/modify", {"patches": patches, "reason": "clock was slow"})
    client.ask("GET", f"/api/memory/{bell}")
    client.ask("POST", "/api/memory/feedback", {"sessionKey": "demo-session", "feedback": {buoy: 1, bell: -1, _NOBODY: 1}})
    client.ask("DELETE", f"/api/memory/{bell}?reason=not%20needed&if_version=1")
    client.ask("DELETE", f"/api/memory/{bell}?reason=not%20needed")
    client.ask("GET", f"/api/memory/{bell}")
    client.ask("POST", f"/api/memory/{bell}/recover")
    client.ask("GET", f"/api/memory/{bell}")
    client.ask("GET", f"/api/memory/{bell}/history")
    version = changed.value("newVersion", default=2)
    client.ask("PATCH", f"/api/memory/{buoy}", {"content": "The green buoy blinks once.", "reason": "again", "if_version": version})
    client.ask("GET", f"/api/memory/{buoy}/history")


def _forget(client: Client) -> None:
    preview = client.ask("POST", "/api/memory/forget", {"query": "seals", "mode": "preview"})
    wanted = {"query": "seals", "mode": "execute", "reason": "out of season"}
    client.ask("POST", "/api/memory/forget", {**wanted, "confirm_token": "no such token"})
    client.ask("POST", "/api/memory/forget", {**wanted, "confirm_token": preview.value("confirmToken")})
    client.ask("GET", "/api/memories")


def _send_nonsense(client: Client) -> None:
    client.ask("POST", "/api/memory/remember", b'{"content": "cut short')
    client.ask("POST", "/api/memory/remember", {"content": 7})
    client.ask("POST", "/api/memory/remember", {"content": "  "})
    client.ask("POST", "/api/memory/recall", b"[1, 2")
    client.ask("POST", "/api/memory/recall", {"query": ""})


def _add_documents(client: Client) -> None:
    paragraph = "Pilots board at the outer mark. They bring charts, and take the wheel until the inner basin. "
    first = client.ask("POST", "/api/documents", {"title": "Pilotage", "content": paragraph * 4})
    client.settle()
    client.ask("GET", f"/api/memory/jobs/{first.value('jobId', default=_NOBODY)}")
    client.ask("GET", f"/api/documents/{first.value('id', default=_NOBODY)}")
    client.ask("GET", f"/api/documents/{first.value('id', default=_NOBODY)}/chunks")
    second = client.ask("POST", "/api/documents", {"title": "Lamps", "content": "Trim the lamps at dusk."})
    client.settle()
    client.ask("GET", f"/api/memory/jobs/{second.value('jobId', default=_NOBODY)}")
    client.ask("GET", "/api/documents")
    client.ask("DELETE", f"/api/documents/{second.value('id', default=_NOBODY)}")
    client.ask("GET", f"/api/documents/{second.value('id', default=_NOBODY)}")
    client.ask("GET", f"/api/memory/jobs/{_NOBODY}")


def _run_tasks(client: Client) -> None:
    client.ask("GET", "/api/pipeline/status")
    client.ask("POST", "/api/pipeline/nudge")
    listed = client.ask("GET", "/api/tasks")
    task = client.ask("POST", "/api/tasks", {"name": "soundings", "prompt": "sound the channel", "cron_expression": "0 7 * * 1"})
    task_id = task.value("id", default=_NOBODY)
    client.ask("POST", f"/api/tasks/{task_id}/run")
    client.settle()
    client.ask("GET", f"/api/tasks/{task_id}/runs")
    client.ask("GET", f"/api/tasks/{task_id}/stream", headers={"Accept": "text/event-stream"})
    client.ask("GET", f"/api/tasks/{listed.value('tasks', 0, 'id', default=_NOBODY)}/stream", headers={"Accept": "text/event-stream"})
    client.ask("GET", f"/api/tasks/{_NOBODY}/runs")
    client.ask("GET", "/api/pipeline/status")


def _hand_out_credentials(client: Client) -> None:
    reader = client.ask("POST", "/api/auth/token", {"role": "readonly"}).value("token")
    client.ask("GET", "/api/auth/whoami", token=reader)
    client.ask("POST", "/api/memory/recall", {"query": "lighthouse"}, token=reader)
    client.ask("POST", "/api/memory/remember", {"content": "Readers do not write."}, token=reader)
    client.ask("POST", "/api/auth/token", {"role": "captain"})
    client.ask("POST", "/api/auth/token", {"role": "agent"}, headers={"Content-Type": "text/plain"})
    made = client.ask("POST", "/api/auth/api-keys", {"name": "demo connector", "role": "agent"})
    key, key_id = made.value("apiKey", "key"), made.value("apiKey", "id", default=_NOBODY)
    client.ask("POST", "/api/memory/recall", {"query": "lighthouse spring tide"}, token=key)
    client.ask("GET", "/api/secrets", token=key)
    client.ask("GET", "/api/auth/api-keys")
    client.ask("DELETE", f"/api/auth/api-keys/{key_id}")
    client.ask("GET", "/api/memories?limit=1", token=key)
    client.ask("DELETE", f"/api/auth/api-keys/{key_id}")


def _configure(client: Client) -> None:
    client.ask("GET", "/api/config")
    client.ask("GET", "/api/identity")
    client.ask("GET", "/api/harnesses")
    identity = "# Identity\n\n- name: Ada\n- creature: otter\n- vibe: playful\n"
    client.ask("POST", "/api/config", {"file": "IDENTITY.md", "content": identity})
    client.settle()
    client.ask("GET", "/api/identity")
    client.ask("POST", "/api/config", {"file": "AGENTS.md", "content": "# Agents\n\nAnswer briefly, and in the harbour's own words.\n"})
    client.settle()
    client.ask("GET", "/api/harnesses")
    client.ask("GET", "/api/config")
    client.ask("POST", "/api/config", {"file": "../AGENTS.md", "content": "x"})


def _synchronise(client: Client) -> None:
    client.ask("GET", "/api/git/status")
    client.ask("GET", "/api/git/config")
    client.ask("POST", "/api/git/config", {"autoSync": True, "syncInterval": 30})
    client.ask("GET", "/api/git/config")
    client.ask("POST", "/api/git/sync")
    client.ask("GET", "/api/git/status")


def _tool(client: Client, message_id: int, name: str, **arguments: object) -> Answer:
    return client.call(message_id, "tools/call", name=name, arguments=arguments)


def _use_tools(client: Client) -> None:
    client.call(1, "initialize", protocolVersion="2025-03-26", capabilities={}, clientInfo={"name": "demo", "version": "1"})
    client.call(None, "notifications/initialized")
    client.call(2, "tools/list")
    stored = _tool(client, 3, "memory_store", content="The Cormorant sails on Thursdays.", type="fact")
    client.settle()
    inner = Answer(stored.status, str(stored.value("result", "content", 0, "text")).encode())
    memory = inner.value("id", default=_NOBODY)
    _tool(client, 4, "memory_search", query="cormorant")
    _tool(client, 5, "memory_get", id=memory)
    _tool(client, 6, "memory_forget", id=memory, reason="cancelled")
    _tool(client, 7, "memory_get", id=memory)
    _tool(client, 8, "no_such_tool")
    client.call(9, "no/such/method")
    client.ask("POST", "/mcp", b"{", headers={"Accept": "application/json, text/event-stream"})
    client.ask("POST", "/mcp", {"jsonrpc": "2.0", "id": 10, "method": "ping"})


def _keep_secrets(client: Client) -> None:
    client.ask("GET", "/api/secrets")
    client.ask("POST", "/api/secrets/DEMO_API_KEY", {"value": "made-up-value-one-of-the-demo"})
    client.ask("POST", "/api/secrets/DEMO_PASSWORD", {"value": "made-up-välue-two"})
    client.ask("POST", f"/api/secrets/{DELETED_SECRET}", {"value": "made-up-value-three"})
    client.ask("GET", "/api/secrets")
    client.ask("POST", "/api/secrets/DEMO_API_KEY", {"value": "made-up-value-four"})
    client.ask("POST", "/api/secrets/DEMO_PASSWORD", {"value": ""})
    client.ask("POST", "/api/secrets/not-a-name", {"value": "x"})
    client.ask("DELETE", f"/api/secrets/{DELETED_SECRET}")
    client.ask("GET", "/api/secrets")
    client.ask("DELETE", "/api/secrets/NEVER_STORED")


def _leave(client: Client) -> None:
    client.ask("GET", "/api/telemetry/memory-search/export")
    client.ask("GET", "/api/pipeline/status")
    client.ask("GET", "/api/memories?limit=100")
    client.ask("GET", "/health")
