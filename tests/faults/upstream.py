"""
The server behind the proxy: `python -m tests.faults.upstream PORT` answers as `truth` says, and says its port on standard output.

It is a process of its own, so that it can be killed. Port 0 takes a free one.
"""

import asyncio
import contextlib
import json
import socket
import struct
import sys
import zlib
from typing import Final

from tests.faults.truth import Ask, answer_pieces, ask_of, document

_TYPES: Final = {"stream": "text/event-stream", "endless": "text/event-stream; charset=utf-8"}
_IN_CHUNKS: Final = frozenset({"stream", "endless", "chunked"})


async def serve(port: int) -> None:
    """Serve until the process ends."""
    server = await asyncio.start_server(_converse, "127.0.0.1", port, limit=1 << 17, backlog=512)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while await answer(await reader.readuntil(b"\r\n\r\n"), reader, writer):
            pass
    writer.close()


async def answer(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Answer a request whose head was read; False where the connection is no longer good."""
    line, *lines = head[:-4].decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (item.partition(":") for item in lines)}
    body = await _read_body(reader, headers)
    ask = ask_of(line.split(" ")[1])
    if ask is None:
        writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
    elif ask.die == "before":
        return _reset(writer)
    elif not await _write(writer, ask, body):
        return False
    await writer.drain()
    return True


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    pieces = []
    while size := int(await reader.readline(), 16):
        pieces.append((await reader.readexactly(size + 2))[:-2])
    await reader.readline()
    return b"".join(pieces)


async def _write(writer: asyncio.StreamWriter, ask: Ask, body: bytes) -> bool:
    """Send the answer; False where the connection is no longer good."""
    head = f"HTTP/1.1 {204 if ask.kind == 'empty' else 200} {'No Content' if ask.kind == 'empty' else 'OK'}\r\nX-Ask: {ask.id}\r\n"
    head += f"content-type: {_TYPES.get(ask.kind, 'application/json')}\r\nX-Twice: 1\r\nx-twice: 2\r\n"
    if ask.kind in _IN_CHUNKS:
        return await _write_pieces(writer, ask, head)
    if ask.method == "POST":
        answer = json.dumps({"id": ask.id, "received": len(body), "checksum": zlib.crc32(body)}).encode()
    else:
        answer = document(ask.id, ask.size) if ask.kind == "head" else b"".join(answer_pieces(ask))
    writer.write((head + ("" if ask.kind == "empty" else f"content-length: {len(answer)}\r\n") + "\r\n").encode())
    if ask.die == "head":
        return _reset(writer)
    if ask.die == "middle":
        writer.write(answer[: len(answer) // 2])
        await writer.drain()
        return _reset(writer)
    if ask.kind != "head":
        writer.write(answer)
    return True


async def _write_pieces(writer: asyncio.StreamWriter, ask: Ask, head: str) -> bool:
    writer.write(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
    if ask.die == "head":
        return _reset(writer)
    for number, piece in enumerate(answer_pieces(ask)):
        if ask.die == "middle" and number:
            return _reset(writer)
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await writer.drain()
        if ask.pause_ms:
            await asyncio.sleep(ask.pause_ms / 1000)
    writer.write(b"0\r\n\r\n")
    return True


def _reset(writer: asyncio.StreamWriter) -> bool:
    """Break the connection off as a process that dies would, once what was written is gone."""
    link: socket.socket = writer.get_extra_info("socket")
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
