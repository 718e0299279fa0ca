"""
The page: one self-contained file that works offline and runs nothing but its own script.

How this works
--------------
Jinja2 (with autoescape) writes the frame; the style, the script and the data are put into it whole. The data is a JSON island in
which every `<`, `>`, `&` and everything beyond ASCII is a JSON escape, so no byte of traffic can end the element that holds it; the script
sets text by `textContent` alone. A content security policy names the style and the script by their digests and forbids the rest:
no other script, no style, no image, no request, no form.
"""

import base64
import hashlib
import json
from importlib import resources
from typing import Any, Final

from replay.report.bodies import Bodies, check_bodies, withhold
from replay.report.page_data import island
from replay.report.terminal import last_line
from replay.report.text import moment, party_name, visible
from replay.runs import Run

_ESCAPES: Final = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"))


def html(run: Run, bodies: Bodies = "diff") -> str:
    """
    Draw the page.

    *bodies*: `none` (nothing of the traffic but routes), `diff` (of the answers that represent a place what differs) or `full` (all).

    Raises:
        UsageError: *bodies* is another word.

    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    check_bodies(bodies)
    if bodies == "none":
        run = withhold(run)
    style, script = _asset("page.css"), _asset("page.js")
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src '{_digest(script)}'",
            f"style-src '{_digest(style)}'",
            "img-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_asset("page.html.j2")).render(
        policy=policy,
        style=Markup(style),  # noqa: S704  # our own file
        script=Markup(script),  # noqa: S704  # our own file
        data=Markup(escape_json(island(run, bodies))),  # noqa: S704  # escaped for this very place
        verdict=visible(run.verdict),
        because=visible(run.because),
        last_line=last_line(run),
        recorded=visible(party_name(run.recorded)),
        observed=visible(party_name(run.observed)),
        control=visible(party_name(run.control)) if run.control else None,
        cell=visible(run.observed.cell),
        salvaged=run.recorded.salvaged or run.observed.salvaged,
        started=moment(run.started_at),
    )


def escape_json(value: Any) -> str:
    """Give JSON that can stand inside a script element: no byte of it can end the element or begin a comment."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character, escape in _ESCAPES:
        text = text.replace(character, escape)
    return text


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath("page_assets", name).read_text("utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
