"""The page: what is in the file, and what a real browser makes of it."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from replay.model import Divergence, UsageError
from replay.report import html, last_line, page, page_data
from replay.report.bodies import withhold
from replay.report.page import escape_json
from replay.report.page_data import island
from replay.runs import Run

ALONE = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"]


class Reader(HTMLParser):
    """Collects elements and the text of script and style elements."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the element."""
        self.elements.append((tag, dict(attrs)))
        if tag in self.CDATA_CONTENT_ELEMENTS:
            self.texts.append("")

    def handle_data(self, data: str) -> None:
        """Keep the text of a script or style."""
        if self.cdata_elem is not None:
            self.texts[-1] += data


def _read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


def _hashed(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def test_the_policy_names_style_and_script_and_nothing_else(sample: Run) -> None:
    """The content security policy has the digests of the very style and script in the file, and forbids all else."""
    reader = _read(html(sample))
    policy = next(attributes["content"] for tag, attributes in reader.elements if attributes.get("http-equiv") == "Content-Security-Policy")
    style, _, script = reader.texts
    assert policy == (
        f"default-src 'none'; script-src {_hashed(script)}; style-src {_hashed(style)}; img-src 'none'; base-uri 'none'; form-action 'none'"
    )
    assert reader.elements.index(("meta", {"http-equiv": "Content-Security-Policy", "content": policy})) < [
        tag for tag, _ in reader.elements
    ].index("style")


def test_the_page_is_one_file_without_handlers(sample: Run) -> None:
    """There is no reference to anything outside, no inline style, no handler; the data is one island that decodes to what went in."""
    for bodies in ("none", "diff", "full"):
        reader = _read(html(sample, bodies))
        assert [tag for tag, _ in reader.elements if tag in {"script", "style", "img", "link", "iframe", "form"}] == [
            "style",
            "script",
            "script",
        ]
        names = {name for _, attributes in reader.elements for name in attributes}
        assert not {name for name in names if name.startswith("on") or name in {"style", "src", "href", "action"}}
        assert json.loads(reader.texts[1]) == json.loads(json.dumps(island(withhold(sample) if bodies == "none" else sample, bodies)))


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
@example("half \ud800 pair")
def test_no_data_ends_its_element(value: Any) -> None:
    """Whatever the data holds, the island has no byte that HTML or JavaScript takes for its own, and decodes to the same."""
    text = escape_json(value)
    assert text.isascii()
    assert not set(text) & set("<>&")
    assert json.loads(text) == value


def test_hostile_words_in_the_frame_are_text(sample: Run, hostile: str) -> None:
    """Words that stand in the frame itself are escaped by the template."""
    reader = _read(html(replace(sample, because=hostile, verdict=hostile, observed=replace(sample.observed, daemon=hostile, cell=hostile))))
    assert [tag for tag, _ in reader.elements].count("script") == 2
    assert "img" not in {tag for tag, _ in reader.elements}


def test_a_page_without_bodies_holds_nothing_of_the_traffic(sample: Run) -> None:
    """With bodies `none` there are no bodies, headers, leaf values, ids or queries in the file."""
    text = html(sample, "none")
    for secret in ("heron", "dark roast", "hunter2", "Bearer", "7d1f0c52", "q=coffee", "2026-11-14T09:12:03.511Z"):
        assert secret in html(sample, "full")
        assert secret not in text


def test_a_page_of_differences_holds_the_representatives(sample: Run) -> None:
    """With bodies `diff` the answers of each place's representative are there as far as they differ, with `full` all of all."""
    representatives = {cluster.subjects[0].id for cluster in sample.clusters if cluster.subjects[0].kind == "exchange"}
    there = {str(answers.exchange) for answers in sample.answers}
    assert set(island(sample, "diff")["exchanges"]) == representatives & there
    assert set(island(sample, "full")["exchanges"]) == there
    exchange = sample.clusters[1].subjects[0].id
    pruned, whole = (island(sample, bodies)["exchanges"][exchange]["candidate"]["body"] for bodies in ("diff", "full"))
    assert "coffee" in whole
    assert "coffee" not in pruned
    assert '"score":0.79' in pruned
    assert not island(sample, "diff")["exchanges"][exchange]["candidate"]["cut"]


def test_bodies_do_not_make_the_page_endless(sample: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the page is full of bodies, those of causes that explain less are cut, and say so; with `full` nothing is cut."""
    monkeypatch.setattr(page_data, "BODIES_CHARACTERS_MAX", 100)
    monkeypatch.setattr(page_data, "BODY_CHARACTERS_SHORT", 10)
    first, *others = island(sample, "diff")["exchanges"].values()
    assert not first["primary"]["cut"]
    assert all(len(exchange[side]["body"]) <= 10 for exchange in others for side in ("primary", "candidate") if exchange[side])
    assert others[0]["primary"]["cut"]
    assert not any(exchange["primary"]["cut"] for exchange in island(sample, "full")["exchanges"].values() if exchange["primary"])


def test_other_words_for_bodies_are_refused(sample: Run) -> None:
    """Another word is a usage error that names the three."""
    with pytest.raises(UsageError, match="none of none, diff, full"):
        html(sample, "all")  # type: ignore[arg-type]  # that is the point


def test_a_large_page_is_made_fast(large: Run) -> None:
    """A page of 4,000 exchanges, 1,500 places and 300 causes is made in seconds and stays small enough to open."""
    start = time.perf_counter()
    text = html(large)
    assert time.perf_counter() - start < 10
    assert len(text) < 8_000_000


@pytest.fixture(scope="session")
def chromium() -> str:
    """Give a Chromium; skipped, and said so, where none is on this machine."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium is on this machine")
    return found


def _dump(chromium: str, folder: Path, text: str, fragment: str = "") -> tuple[str, str]:
    """Open *text* as a file in a real browser; give the document as its script left it, and what the console said."""
    file = folder / "page.html"
    file.write_text(text, "utf-8")
    command = [
        chromium,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        *ALONE,
        "--enable-logging=stderr",
        # The document is told only when what the page set off has run, however busy the machine is.
        "--virtual-time-budget=2000",
        f"--user-data-dir={folder / 'profile'}",
    ]
    done = subprocess.run([*command, "--dump-dom", f"{file.as_uri()}{fragment}"], capture_output=True, timeout=120, check=True)
    console = "\n".join(line for line in done.stderr.decode("utf-8", "replace").splitlines() if "CONSOLE" in line)
    return done.stdout.decode("utf-8"), console


def test_the_page_draws_itself_and_nothing_hostile_runs(chromium: str, tmp_path: Path, sample: Run) -> None:
    """In a real browser the script runs under its policy, every cause is drawn and opens, and no byte of the traffic became an element."""
    cluster = sample.clusters[1]
    document, console = _dump(chromium, tmp_path, html(sample, "full"), f"#open={cluster.id}")
    assert console == ""
    assert f'data-drawn="{len(sample.causes)}"' in document
    assert "OWNED</title>" not in document
    assert "<title>FAIL" in document
    reader = _read(document)
    tags = [tag for tag, _ in reader.elements]
    assert tags.count("script") == 2
    assert "img" not in tags
    assert tags.count("details") > len(sample.causes)
    assert f'id="place-{cluster.id}"' in document
    assert not {name for _, attributes in reader.elements for name in attributes if name.startswith("on")}
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", re.sub(r"<(script|style)\b.*?</\1>", "", document, flags=re.DOTALL))
    assert last_line(sample) in document
    classes = " ".join(attributes.get("class") or "" for _, attributes in reader.elements)
    assert classes.count("row own") == 1
    assert "chip-0" in classes
    assert "void" not in classes, "the other order of keys leaves no hole"


def test_all_that_a_cause_explains_is_marked_as_its_own(chromium: str, tmp_path: Path, sample: Run) -> None:
    """Where a cause shows at several places of one answer, or in the whole body, each of them is marked as this cause."""
    cluster = sample.clusters[1]
    number = int(cluster.subjects[0].id)

    def drawn(run: Run) -> str:
        document, console = _dump(chromium, tmp_path, html(run, "full"), f"#open={cluster.id}")
        assert console == ""
        return " ".join(attributes.get("class") or "" for _, attributes in _read(document).elements)

    def judged_at(*places: str) -> tuple[Divergence, ...]:
        first = next(row for row in sample.divergences if row.cluster == cluster.id and row.finding.subject.id == str(number))
        rest = tuple(row for row in sample.divergences if row.finding.subject.id != str(number))
        return (*(replace(first, finding=replace(first.finding, at=at)) for at in places), *rest)

    two = judged_at("$.results[0].score", "$.results[0].created_at")
    assert drawn(replace(sample, divergences=two)).count("row own") == 2
    answers = tuple(
        replace(row, candidate=replace(row.candidate, body="no JSON at all", media_type="text/plain"))
        if row.exchange == number and row.candidate is not None
        else row
        for row in sample.answers
    )
    classes = drawn(replace(sample, divergences=judged_at("body"), answers=answers))
    assert "row own" in classes
    assert "row found" not in classes


def test_filters_come_from_the_address(chromium: str, tmp_path: Path, sample: Run) -> None:
    """A link with filters shows just those causes."""
    cause = next(cause for cause in sample.causes if "c-19bd02" in cause.clusters)
    document, console = _dump(chromium, tmp_path, html(sample), "#verdict=open&class=structural&q=c-19bd02")
    assert console == ""
    shown = [
        attributes.get("id")
        for tag, attributes in _read(document).elements
        if tag == "details" and (attributes.get("class") or "").startswith("card")
    ]
    assert shown == [f"cause-{cause.id}"]


def test_a_large_page_draws_as_far_as_it_is_looked_at(chromium: str, tmp_path: Path, large: Run) -> None:
    """Of 300 causes only those in view are drawn, so that the page opens at once; one that the address names is drawn, too."""
    document, console = _dump(chromium, tmp_path, html(large))
    assert console == ""
    assert 'data-drawn="300"' in document
    drawn = sum((attributes.get("class") or "").startswith("card ") for tag, attributes in _read(document).elements if tag == "details")
    assert 40 <= drawn <= 200


def test_the_keyboard_moves_through_the_causes(chromium: str, tmp_path: Path, sample: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """J and k move between causes, a click opens one and the address says so, and the slash goes to the search."""
    keys = """
    const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    const say = (name, text) => document.documentElement.setAttribute(`data-${name}`, text);
    press("j"); press("j"); press("j"); press("k");
    say("focused", document.activeElement.closest(".card").id);
    document.activeElement.click();
    press("/");
    say("typing", document.activeElement.type);
    setTimeout(() => say("address", location.hash), 50);
    """
    asset = page._asset
    monkeypatch.setattr(page, "_asset", lambda name: asset(name) + (keys if name == "page.js" else ""))
    document, console = _dump(chromium, tmp_path, html(sample))
    assert console == ""
    assert f'data-focused="cause-{sample.causes[1].id}"' in document
    assert 'data-typing="search"' in document
    assert f'data-address="#open={sample.causes[1].id}"' in document


def test_times_and_ranks_are_drawn(chromium: str, tmp_path: Path, sample: Run) -> None:
    """Each route has its percentiles with what they show, and a list in another order is a chart of where each item went."""
    cluster = replace(sample.clusters[1], kind="rank", primary='["a","b","c"]', candidate='["1 (was 2): b","2 (was 1): a"]')
    clusters = (sample.clusters[0], cluster, *sample.clusters[2:])
    document, console = _dump(chromium, tmp_path, html(replace(sample, clusters=clusters)), f"#open={cluster.id}")
    assert console == ""
    classes = [attributes.get("class") or "" for _, attributes in _read(document).elements]
    assert len([name for name in classes if name.startswith("timed mood-")]) == len(sample.timings)
    assert len([name for name in classes if name == "percentiles"]) == len(sample.timings)
    assert sorted(name for name in classes if name.startswith("way ")) == ["way falls", "way rises", "way stays"]
