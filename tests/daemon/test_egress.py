"""A daemon in a namespace cell reaches nothing of the host and nothing of the world, whatever it tries."""

import json
import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from replay.daemon import linux

pytestmark = pytest.mark.usefixtures("namespaces")

TRIES = """
def attempt(name, family, kind, address, data=b""):
    with socket.socket(family, kind) as outward:
        outward.settimeout(3)
        try:
            outward.connect(address)
            outward.send(data or b"x")
            seen[name] = "REACHED"
        except OSError as error:
            seen[name] = os.strerror(error.errno) if error.errno else str(error)

tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
attempt("tcp", socket.AF_INET, tcp, ("192.0.2.1", 80))
attempt("udp", socket.AF_INET, udp, ("192.0.2.1", 53))
attempt("tcp6", socket.AF_INET6, tcp, ("2001:db8::1", 80))
attempt("udp6", socket.AF_INET6, udp, ("2001:db8::1", 53))
attempt("link-local", socket.AF_INET, tcp, ("169.254.169.254", 80))
attempt("host's loopback", socket.AF_INET, tcp, ("127.0.0.1", HOST["tcp"]))
attempt("host's loopback, IPv6", socket.AF_INET6, tcp, ("::1", HOST["tcp6"]))
for address in HOST["addresses"]:
    attempt(f"host's address {address}", socket.AF_INET, tcp, (address, HOST["tcp"]))
attempt("host's abstract socket", socket.AF_UNIX, tcp, "\\0" + HOST["abstract"])
for path in HOST["sockets"]:
    attempt(path, socket.AF_UNIX, tcp, path)
try:
    seen["dns"] = f"REACHED {socket.getaddrinfo('example.com', 80)}"
except OSError as error:
    seen["dns"] = str(error)
seen["run"] = os.listdir("/run")
try:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    seen["raw"] = "its own network only"
except (OSError, AttributeError) as error:
    seen["raw"] = str(error)
"""


def test_nothing_is_reached_from_inside(bench: Any) -> None:
    """TCP, UDP, DNS, IPv6, the host's loopback and its Unix sockets, abstract or by path, hidden or shown, are refused; the facts say so."""
    # A socket in a place that the cell shows, read-only: connecting needs no writing.
    shown = bench.folder / "shown"
    shown.mkdir()
    with ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        tcp6 = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_STREAM))
        if socket.has_ipv6:
            try:
                tcp6.bind(("::1", 0))
            except OSError:
                pass
            else:
                tcp6.listen()
        unix = []
        for address in (f"\0signet-parity-{os.getpid()}", str(bench.folder / "hidden.sock"), str(shown / "agent.sock")):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            listener.bind(address)
            listener.listen()
            unix.append(listener)
        runtime = os.environ.get("XDG_RUNTIME_DIR", "/run/user/1000")
        known = ["/var/run/docker.sock", "/run/docker.sock", "/run/dbus/system_bus_socket", f"{runtime}/bus", *linux.listening_sockets()]
        host = {
            "tcp": tcp.getsockname()[1],
            "tcp6": tcp6.getsockname()[1] or 1,
            "addresses": sorted({info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}),
            "abstract": f"signet-parity-{os.getpid()}",
            "sockets": [str(bench.folder / "hidden.sock"), str(shown / "agent.sock"), *known],
        }
        report = bench.run(bench.spec(visible=(str(bench.program), str(shown))), f"HOST = json.loads({json.dumps(host)!r})\n{TRIES}")
        for listener in (tcp, *unix):
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()
    seen = bench.seen()
    assert not [name for name, said in seen.items() if "REACHED" in said]
    assert {seen[name] for name in ("tcp", "udp", "link-local")} == {"Network is unreachable"}
    assert {seen["tcp6"], seen["udp6"]} <= {
        "Network is unreachable",
        "Cannot assign requested address",
        "Address family not supported by protocol",
    }
    assert {seen["host's loopback"], seen["host's abstract socket"], seen[str(shown / "agent.sock")]} == {"Connection refused"}
    assert seen[str(bench.folder / "hidden.sock")] == "No such file or directory"
    assert seen["run"] == []
    assert report.facts["routes"]["egress"] == "blocked"


def test_a_socket_that_belongs_to_the_run_can_be_reached(bench: Any) -> None:
    """What lies in a place that was made writable for the run, such as the socket at which two replays take turns, is not masked."""
    own = bench.folder / "out"
    own.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(own / "turns"))
        listener.listen()
        bench.run(
            bench.spec(), f"inward = socket.socket(socket.AF_UNIX); seen['errno'] = inward.connect_ex({str(own / 'turns')!r}); inward.close()"
        )
    assert bench.seen() == {"errno": 0}
    assert Path(own / "turns").is_socket()
