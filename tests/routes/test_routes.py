"""The route table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.model import DOMAINS
from replay.routes import REPLAY_CLASSES, by_name, match, table


def test_every_route_is_found_by_its_own_template() -> None:
    """A request made from a template is named by that template."""
    for route in table():
        method = "POST" if route.method == "ALL" else route.method
        path = "/".join("x1" if part.startswith(":") else part for part in route.template.split("/"))

        assert match(method, path + "?q=1") == route


def test_names_are_unique() -> None:
    """No two rows have one name."""
    assert len(by_name()) == len(table()) > 300


def test_all_domains_have_routes() -> None:
    """Each of the nine domains is there."""
    assert {route.domain for route in table()} == set(DOMAINS)


@pytest.mark.parametrize(
    ("method", "target", "name", "domain"),
    [
        ("GET", "/api/memory/8f0c?x=/api/status", "GET /api/memory/:id", "read"),
        ("HEAD", "/health", "GET /health", "read"),
        ("DELETE", "/mcp", "ALL /mcp", "mcp"),
        ("GET", "/logo.png", "GET (static)", "read"),
        ("GET", "/api/nope", "GET (unknown)", "read"),
        ("PURGE", "/api/nope", "PURGE (unknown)", "write"),
        ("GET", "http://127.0.0.1:3850/health", "GET /health", "read"),
        ("GET", "/api/memory/", "GET (unknown)", "read"),
    ],
)
def test_requests_are_named(method: str, target: str, name: str, domain: str) -> None:
    """Odd requests get a name and a domain."""
    route = match(method, target)

    assert (route.name, route.domain) == (name, domain)


@given(st.text(), st.text())
def test_match_is_total(method: str, target: str) -> None:
    """Any method and target give a route with a known domain and class."""
    route = match(method, target)

    assert route.domain in DOMAINS
    assert route.replay_class in REPLAY_CLASSES


@pytest.mark.parametrize(
    "target",
    [
        b"/api/auth/login?x=1",
        b"/api/auth/%6Cogin",
        b"/api/x/../auth/./login",
        b"/api/x/%2e%2E/auth/login#top",
        b"/../api\\auth\\login",
    ],
)
def test_a_route_is_found_however_it_is_spelt(target: bytes) -> None:
    """The daemon takes all of these for one route, so its secrets must be found in all of them."""
    assert match("POST", target.decode("latin-1")).name == "POST /api/auth/login"


@pytest.mark.parametrize("target", [b"", b"*", b"/", b"/%", b"/\xff/%ff", b"/a%2Fb", b"//api/auth/login", b"/api/auth/login/"])
def test_other_targets_stay_others(target: bytes) -> None:
    """Nothing that a client sends is too odd, and what the daemon takes for another route is none of these."""
    assert match("POST", target.decode("latin-1")).name != "POST /api/auth/login"
