"""The `url` of an entry, and the request target, host and lane that are in it; no escape is touched on the way."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^#]*)(#.*)?", re.DOTALL)
_AUTHORITY: Final = re.compile(rb"[A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_PRINTABLE: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "#")
_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}


@dataclass(frozen=True, slots=True)
class Url:
    """A URL, taken apart."""

    scheme: str
    authority: str
    """As it stands, without user and password."""
    target: str
    """Path and query as they stand; `/` where there is no path."""
    fragment: str

    @property
    def lane(self) -> str:
        """Host and port, the scheme's own where the URL names none; lower case."""
        host, colon, port = self.authority.rpartition(":")
        if not colon or not port.isdecimal() or host.endswith(":") or (host.startswith("[") and not host.endswith("]")):
            return f"{self.authority}:{_PORTS[self.scheme]}".lower()
        return f"{host}:{port}".lower()


def read_url(text: str) -> Url | None:
    """Take a URL apart; None where it is none of HTTP's (`data:`, `blob:`, an extension's, …)."""
    found = _URL.fullmatch(text.strip())
    if not found or found[1].lower() not in _PORTS or not found[2].rpartition("@")[2]:
        return None
    rest = found[3]
    target = rest if rest.startswith("/") else f"/{rest}"
    return Url(found[1].lower(), found[2].rpartition("@")[2], target, found[4] or "")


def write_url(target: bytes, host: bytes | None, origin: str) -> str:
    """Give a URL for a request's target and Host header; *origin* stands in for a host that can't stand in a URL."""
    authority = host.decode("ascii") if host is not None and _AUTHORITY.fullmatch(host) else origin
    path = quote(target, safe=_PRINTABLE)
    if read_url(path) is not None:
        return path
    return f"http://{authority}{path}" if path.startswith("/") else f"http://{authority}/{path}"
