"""An operator's own redaction rules."""

from pathlib import Path

import pytest

from replay.model import Request, RuleError
from replay.redact import Redactor, load_rules

KEY = b"k" * 32


def rules_of(folder: Path, text: str) -> Redactor:
    """Give a redactor with the rules of *text*."""
    path = folder / "rules.toml"
    path.write_text(text)
    return Redactor(KEY, load_rules(path))


def test_a_field(tmp_path: Path) -> None:
    """A field of one route's body is hidden there and nowhere else, declared by the rule's kind."""
    redactor = rules_of(tmp_path, '[[redact]]\nroute = "POST /a"\nwhere = "request.body"\nfield = "x.y"\nkind = "licence"\n')
    body = b'{"x":{"y":"something","z":"else"}}'
    clean, redactions = redactor.request_body(body, "POST /a")
    assert clean is not None
    assert b"something" not in clean
    assert b'"z":"else"' in clean
    assert [item.kind for item in redactions] == ["licence"]
    assert redactor.request_body(clean, "POST /a") == (clean, redactions)
    assert redactor.request_body(body, "POST /b") == (body, ())
    assert redactor.response_body(body, "POST /a") == (body, ())


def test_a_name(tmp_path: Path) -> None:
    """A name is that of a header, a parameter and a key, however it is spelt."""
    redactor = rules_of(tmp_path, '[[redact]]\nname = "tenant-id"\n')
    request = Request(b"POST", b"/x?tenant_id=abcdefgh1", b"HTTP/1.1", ((b"Tenant-Id", b"abcdefgh1"),), b'{"tenantId":"abcdefgh1"}')
    clean, redactions = redactor.request(request, "POST /x")
    assert b"abcdefgh1" not in clean.target + clean.headers[0][1] + (clean.body or b"")
    assert [item.where for item in redactions] == ["request.target", "request.header:0", "request.body"]
    assert redactor.request(clean, "POST /x") == (clean, redactions)


def test_a_pattern(tmp_path: Path) -> None:
    """A shape is hidden behind its plain beginning, wherever it stands; doing it again changes nothing."""
    redactor = rules_of(tmp_path, '[[redact]]\npattern = "acme_[A-Za-z0-9]{8,40}"\nkind = "acme"\n')
    body = b"see acme_0123456789abcdefghijKLMN, acme_01234567-acme_short"
    clean, redactions = redactor.response_body(body, "GET /x")
    assert clean is not None
    assert b"0123456" not in clean
    assert clean.endswith(b"-acme_short")
    assert [item.kind for item in redactions] == ["acme", "acme"]
    assert redactor.response_body(clean, "GET /x")[0] == clean


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        ('name = "deployToken"', b'{"deployToken":"abcdefgh1234"}'),
        ('pattern = "ab[c-z]{6}1234"', b'{"token":"abcdefgh1234"}'),
        ('where = "response.body"\nfield = "a.token"', b'{"a":{"token":"abcdefgh1234"}}'),
    ],
)
def test_exceptions(tmp_path: Path, rule: str, body: bytes) -> None:
    """What a rule keeps is no secret; without the rule it is."""
    assert rules_of(tmp_path, f"[[redact]]\n{rule}\nkeep = true\n").response_body(body, "GET /x") == (body, ())
    assert Redactor(KEY).response_body(body, "GET /x")[0] != body


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[[redact]]\nname = 'x'\nwher = 'query'\n", 3, "unknown key 'wher'"),
        ("[redac]\n", 1, "unknown key 'redac'"),
        ("[[redact]]\nname = 'x'\n\n[[redact]]\nkind = 'y'\n", 4, "exactly one"),
        ("[[redact]]\nname = 'x'\nfield = 'y'\n", 1, "exactly one"),
        ("[[redact]]\nname = 'x'\nwhere = 'body'\n", 3, "unknown place"),
        ("[[redact]]\nfield = 'x'\nwhere = 'query'\n", 2, "a field stands in"),
        ("[[redact]]\nname = 'x'\nkeep = 1\n", 3, "true or false"),
        ("[[redact]]\nname = 'x'\nkind = 'A B'\n", 3, "can't name a kind"),
        ("[[redact]]\npattern = 'ab.*'\n", 2, "no shape"),
        ("[[redact]]\npattern = 'ab[a-z]+'\n", 2, "no shape"),
        ("[[redact]]\npattern = '[a-z]{0,4}'\n", 2, "must begin"),
        ("[[redact]]\npattern = 'ab'\n", 2, "at least"),
        ("[[redact]]\npattern = 'ab[a-z]{9,2000}'\n", 2, "more than the bound"),
        ("[[redact]]\npattern = 'ab[z-a]{9}'\n", 2, "no shape"),
        ("[[redact]]\npattern = 'ab(c|d){9}'\n", 2, "no shape"),
        ("redact = 3\n", 1, "no list of tables"),
    ],
)
def test_what_can_not_be_done_is_refused(tmp_path: Path, text: str, line: int, says: str) -> None:
    """A rule that is off is an error with its file and line."""
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(RuleError, match=f"rules.toml:{line}: .*{says}"):
        load_rules(path)


def test_files(tmp_path: Path) -> None:
    """A file that is not there or no TOML is an error of its own; a good one has a digest."""
    with pytest.raises(RuleError, match="can't be read"):
        load_rules(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("= 1")
    with pytest.raises(RuleError, match="no valid TOML"):
        load_rules(tmp_path / "bad.toml")
    (tmp_path / "good.toml").write_text("[[redact]]\nname = 'x'\n")
    assert len(load_rules(tmp_path / "good.toml").digest) == 64
