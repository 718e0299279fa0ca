"""A run as JUnit XML."""

import xml.etree.ElementTree as ET
from dataclasses import replace

from replay.model import Verdict
from replay.report import junit, last_line
from replay.runs import Canaries, Run


def _root(run: Run) -> ET.Element:
    return ET.fromstring(junit(run))  # noqa: S314  # our own text


def test_cases_are_causes_within_their_domain(sample: Run) -> None:
    """Each domain is a suite, each of its causes a case: open ones fail with their representative, the others are skipped with the reason."""
    root = _root(sample)
    assert [suite.get("name") for suite in root] == [
        "schema", "read", "write", "pipeline-workers", "auth", "file-watcher", "git-sync", "mcp", "secrets", "run",
    ]  # fmt: skip
    cases = {(case.get("classname"), (case.get("name") or "").split(" ")[0]): case for case in root.iter("testcase")}
    for cause in sample.causes:
        for domain in cause.domains:
            case = cases[domain, cause.id]
            assert (case.find("failure") is not None) == (cause.verdict is Verdict.OPEN)
            assert (case.find("skipped") is not None) == (cause.verdict is not Verdict.OPEN)
            assert cause.clusters[0] in (case.findtext("system-out") or "")
    reasons = [element.get("message") or "" for element in root.iter("skipped")]
    assert any(reason.startswith("documented: rule token-lifetime") for reason in reasons)
    assert any(reason.startswith("noise: noise: differs in 9 of 31") for reason in reasons)
    for element in (root, *root):
        assert element.get("tests") == str(len(list(element.iter("testcase"))))
        assert element.get("failures") == str(len(list(element.iter("failure"))))
    assert root.findtext("testsuite[@name='run']/testcase[@name='verdict']/system-out") == last_line(sample)


def test_a_run_that_passes_has_no_failure(sample: Run) -> None:
    """What the run's policy let pass is told, and does not fail."""
    root = _root(replace(sample, verdict="pass"))
    assert root.get("failures") == root.get("errors") == "0"


def test_a_run_that_could_not_judge_is_an_error(sample: Run) -> None:
    """An incomplete run, and one that missed a canary, are errors; what was not compared is skipped, not passed."""
    pairs = tuple(replace(pair, gap="daemon dead", findings=0, worst=None) for pair in sample.pairs)
    root = _root(
        replace(
            sample,
            verdict="incomplete",
            pairs=pairs,
            clusters=(),
            causes=(),
            divergences=(),
            findings=(),
            canaries=Canaries(3, 2, 0, ("read structural",)),
        )
    )
    assert root.get("errors") == "2"
    assert root.get("skipped") == "9"
    assert root.find(".//skipped[@message='nothing compared: 14 daemon dead']") is not None


def test_any_text_makes_legal_xml(sample: Run, hostile: str) -> None:
    """Control characters, surrogates and markup of the traffic make legal XML, and show as escapes."""
    nasty = hostile + "\x00\ufffe\ud800]]>&"
    clusters = tuple(
        replace(cluster, primary=nasty, candidate=nasty, cause=nasty, because=nasty, verdict=Verdict.OPEN) for cluster in sample.clusters
    )
    causes = tuple(replace(cause, title=nasty, name=nasty, id=cause.id + nasty) for cause in sample.causes)
    pairs = tuple(replace(pair, route=pair.route + nasty) for pair in sample.pairs)
    text = junit(replace(sample, because=nasty, clusters=clusters, causes=causes, pairs=pairs))
    ET.fromstring(text.encode())  # noqa: S314  # our own text
    assert "\\x1b[31m" in text
