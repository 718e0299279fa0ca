"""Faults that change an answer on its way out: name → the route it is about, and what it does to the reply."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from replay.demo.faults import FAULTS
from replay.demo.values import Reply, Request
from replay.demo.world import World, new_id

LATE_S: Final = 0.3
_CUT_CHARACTERS: Final = 12

type _Alteration = Callable[[World, Request, Reply], Reply]


def alter(world: World, route: str, request: Request, reply: Reply) -> Reply:
    """Do to *reply* what the world's faults do to answers of *route*."""
    for name in sorted(world.faults & _ALTERATIONS.keys()):
        if FAULTS[name].where == route:
            reply = _ALTERATIONS[name](world, request, reply)
    return reply


def _set(reply: Reply, **values: Any) -> Reply:
    return replace(reply, value={**reply.value, **values})


def _missing_header(_: World, __: Request, reply: Reply) -> Reply:
    return replace(reply, headers=tuple(pair for pair in reply.headers if pair[0] != "WWW-Authenticate"))


def _missing_key(_: World, __: Request, reply: Reply) -> Reply:
    return replace(reply, value={key: value for key, value in reply.value.items() if key != "paused"})


def _null_for_absent(_: World, __: Request, reply: Reply) -> Reply:
    return _set(reply, project=None) if reply.status == 200 and "project" not in reply.value else reply


def _number_as_string(_: World, __: Request, reply: Reply) -> Reply:
    known = "uncommittedChanges" in reply.value
    return _set(reply, uncommittedChanges=str(reply.value["uncommittedChanges"])) if known else reply


def _reordered_recall(_: World, __: Request, reply: Reply) -> Reply:
    return _set(reply, results=reply.value["results"][::-1]) if reply.status == 200 else reply


def _late_answer(_: World, __: Request, reply: Reply) -> Reply:
    time.sleep(LATE_S)
    return reply


def _wrong_id(_: World, __: Request, reply: Reply) -> Reply:
    return _set(reply, id=new_id()) if reply.status == 201 else reply


def _foreign_id(world: World, _: Request, reply: Reply) -> Reply:
    other = world.database.row("SELECT id FROM memories WHERE id <> ? ORDER BY rowid LIMIT 1", reply.value.get("id"))
    return _set(reply, id=other["id"]) if reply.status == 200 and other else reply


def _swapped_memories(_: World, __: Request, reply: Reply) -> Reply:
    if reply.status != 200 or len(reply.value["memories"]) < 2:
        return reply
    first, *between, last = reply.value["memories"]
    swapped = [{**first, "content": last["content"]}, *between, {**last, "content": first["content"]}]
    return _set(reply, memories=swapped)


def _extra_item(_: World, __: Request, reply: Reply) -> Reply:
    listed = reply.value["harnesses"]
    return _set(reply, harnesses=[*listed, {**listed[0], "name": "Ghost", "id": "ghost", "exists": False}])


def _truncated_text(_: World, __: Request, reply: Reply) -> Reply:
    files = reply.value["files"]
    return _set(
        reply, files=[{**file, "content": file["content"][:-_CUT_CHARACTERS]} if file["name"] == "AGENTS.md" else file for file in files]
    )


def _case_changed(_: World, request: Request, reply: Reply) -> Reply:
    if b'"memory_get"' not in request.raw or not isinstance(reply.value, dict) or "isError" in reply.value.get("result", {"isError": True}):
        return reply
    told = json.loads(reply.value["result"]["content"][0]["text"])
    text = json.dumps({**told, "content": told["content"].lower()}, indent=2, ensure_ascii=False)
    return _set(reply, result={"content": [{"type": "text", "text": text}]})


def _error_code(_: World, __: Request, reply: Reply) -> Reply:
    error = reply.value.get("error") if isinstance(reply.value, dict) else None
    return _set(reply, error={**error, "code": -32603}) if error and error["code"] == -32601 else reply


def _off_by_one(_: World, __: Request, reply: Reply) -> Reply:
    if reply.status != 200:
        return reply
    stats = reply.value["stats"]
    return _set(reply, stats={**stats, "total": stats["total"] + 1})


_ALTERATIONS: Final[dict[str, _Alteration]] = {
    "wrong-status": lambda _, __, reply: replace(reply, status=200) if reply.status == 201 else reply,
    "missing-header": _missing_header,
    "missing-key": _missing_key,
    "null-for-absent": _null_for_absent,
    "number-as-string": _number_as_string,
    "reordered-recall": _reordered_recall,
    "late-answer": _late_answer,
    "foreign-id": _foreign_id,
    "flipped-flag": lambda _, __, reply: _set(reply, embedded=True) if reply.status == 200 else reply,
    "swapped-memories": _swapped_memories,
    "extra-item": _extra_item,
    "truncated-text": _truncated_text,
    "case-changed": _case_changed,
    "error-code": _error_code,
    "off-by-one": _off_by_one,
    "wrong-content-type": lambda _, __, reply: replace(reply, value=json.dumps(reply.value), content_type="text/plain; charset=UTF-8"),
}


def announce_document(world: World, request: Request, reply: Reply) -> Reply:
    """Give a new document a wrong id in its answer, where the fault asks for it (it shows at a later route than it is made at)."""
    return _wrong_id(world, request, reply) if "wrong-id-returned" in world.faults else reply
