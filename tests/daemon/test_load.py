import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.daemon import Drained, Mount, Ready, builtin_daemons, load_daemon
from replay.daemon.shape import line_of
from replay.daemon.spec import fill
from replay.demo import schema
from replay.model import UsageError

WHOLE = """\
# a daemon
name = "mine"
runtime = "rust"
command = ["bin/daemon", "--port", "{port}"]
pass = ["GATEWAY_KEY", "NOT_THERE"]
path = ["tools"]
host_path = false
stand_ins = ["op"]
directory = "/opt"
workspace = "/tmp/ws"
port = 4000
home = "/tmp/home"
visible = ["/opt/x"]
stop_timeout_s = 3

[environment]
A = "{workspace}"
B = "${WHERE:-there}"

[ready]
path = "/api/status"
timeout_s = 5

[[mounts]]
source = "fixtures"
target = "/tmp/fixtures"
copy = false

[[drained]]
worker = "extract"
database = "memory/memories.db"
sql = "SELECT 0"

[[companions]]
command = ["one"]

[[companions]]
command = ["two", "{port}"]
ready_port = 11434
ready_path = "/"
"""


def write(folder: Path, text: str, name: str = "d.toml") -> str:
    """Put a description into a file."""
    (folder / name).write_text(text)
    return str(folder / name)


def test_every_field_is_read(tmp_path: Path) -> None:
    """A whole description gives a whole spec; relative paths are relative to the file, unset host variables are left out."""
    spec = load_daemon(write(tmp_path, WHOLE), environment={"GATEWAY_KEY": "k", "OTHER": "o"}, extra_arguments=["--fault", "late"])
    assert (spec.name, spec.runtime, spec.workspace, spec.port, spec.home) == ("mine", "rust", "/tmp/ws", 4000, "/tmp/home")  # noqa: S108
    assert spec.command == ("bin/daemon", "--port", "{port}", "--fault", "late")
    assert dict(spec.environment) == {"GATEWAY_KEY": "k", "A": "{workspace}", "B": "there"}
    assert spec.path == (str(tmp_path / "tools"),)
    assert (spec.host_path, spec.stand_ins, spec.directory) == (False, ("op",), "/opt")
    assert spec.visible == ("/opt/x",)
    assert spec.ready == Ready("/api/status", 200, 5.0)
    assert spec.mounts == (Mount(str(tmp_path / "fixtures"), "/tmp/fixtures", copy=False),)  # noqa: S108
    assert spec.drained == (Drained("extract", "memory/memories.db", "SELECT 0"),)
    assert [each.command for each in spec.companions] == [("one",), ("two", "{port}")]
    assert spec.stop_timeout_s == 3.0


def test_host_paths_may_come_from_variables(tmp_path: Path) -> None:
    """A variable that holds an absolute path stays absolute."""
    path = write(tmp_path, 'command = ["x"]\nvisible = ["${TOOLS}/bin", "${UNSET:-near}"]\n')
    assert load_daemon(path, environment={"TOOLS": "/opt/t"}).visible == ("/opt/t/bin", str(tmp_path / "near"))


def test_a_base_is_changed_not_repeated(tmp_path: Path) -> None:
    """Tables are merged key by key, everything else is replaced, and a base may lie beside the file."""
    write(tmp_path, WHOLE, "base.toml")
    path = write(tmp_path, 'base = "base.toml"\ncommand = ["other"]\n[environment]\nB = "b"\n[ready]\nstatus = 204\n', "top.toml")
    spec = load_daemon(path, environment={})
    assert (spec.name, spec.runtime, spec.command) == ("top", "rust", ("other",))
    assert dict(spec.environment) == {"A": "{workspace}", "B": "b"}
    assert spec.ready == Ready("/api/status", 204, 5.0)


@pytest.mark.parametrize("name", ["demo-js", "demo-rust"])
def test_the_demo_pair_comes_with_the_tool(name: str) -> None:
    """The demo daemons need nothing of the host."""
    spec = load_daemon(name, environment={})
    assert spec.command[:3] == ("{python}", "-m", "replay.demo.daemon")
    assert spec.runtime == name.removeprefix("demo-")
    # Nothing but case may differ: SQL has none.
    assert {each.worker: each.sql.lower() for each in spec.drained} == {name: sql.lower() for name, sql in schema.DRAINED.items()}
    assert {each.database for each in spec.drained} == {schema.DATABASE}


def test_the_built_in_ones_are_known_by_name() -> None:
    """Four descriptions come with the tool."""
    assert builtin_daemons() == ("demo-js", "demo-rust", "js", "rust")


def test_the_js_daemon_says_how_to_name_it() -> None:
    """Without its variable the error says what to set; with it the words are split as in a shell, without one."""
    with pytest.raises(UsageError, match=r"set SIGNET_JS_COMMAND to what starts the JS daemon, such as \"bun "):
        load_daemon("js", environment={})
    assert load_daemon("js", environment={"SIGNET_JS_COMMAND": "bun '/a b/daemon.ts'"}).command == ("bun", "/a b/daemon.ts")


def test_the_rust_daemon_is_looked_up_on_path_unless_named() -> None:
    """`signet-daemon` is the default."""
    assert load_daemon("rust", environment={}).command == ("signet-daemon",)
    assert load_daemon("rust", environment={"SIGNET_RUST_COMMAND": "/x/signet-daemon"}).command == ("/x/signet-daemon",)


def test_rows_that_stay_pending_for_ever_do_not_count_on_rust() -> None:
    """A row out of attempts, and one of a type without a worker, leave the Rust daemon's extraction drained."""
    import sqlite3

    sql = load_daemon("rust", environment={}).drained[0].sql
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE memory_jobs (job_type TEXT, status TEXT, attempts INTEGER, max_attempts INTEGER)")
    rows = [("extract", "pending", 4, 3), ("prospective_index", "pending", 0, 3), ("extract", "completed", 0, 3), ("extract", "dead", 3, 3)]
    connection.executemany("INSERT INTO memory_jobs VALUES (?, ?, ?, ?)", rows)
    assert connection.execute(sql).fetchone() == (0,)
    connection.execute("INSERT INTO memory_jobs VALUES ('extract', 'pending', 2, 3)")
    connection.execute("INSERT INTO memory_jobs VALUES ('document_ingest', 'leased', 1, 3)")
    assert connection.execute(sql).fetchone() == (2,)
    connection.close()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('runtime = "rust"', 'runtme = "rust"', r"d.toml:3: unknown key 'runtme'. Did you mean 'runtime'"),
        ("port = 4000", 'port = "4000"', r"d.toml:11: port must be a whole number, not '4000'"),
        ("port = 4000", "port = true", r"d.toml:11: port must be a whole number, not True"),
        ("port = 4000", "port = 70000", r"d.toml:11: 70000 is no port"),
        ("port = 4000", 'host = "0.0.0.0"', r"d.toml:11: '0.0.0.0' is not loopback"),
        ("timeout_s = 5\n\n", "timeout_sec = 5\n\n", r"d.toml:22: unknown key 'ready.timeout_sec'. Did you mean 'timeout_s'"),
        ("ready_port = 11434", "ready_prt = 11434", r"d.toml:39: unknown key 'companions\[1\].ready_prt'"),
        ("ready_port = 11434\n", "", r"d.toml:39: `ready_path` needs `ready_port`"),
        ('sql = "SELECT 0"', "", r"d.toml:29: drained\[0\] lacks 'sql'"),
        ('command = ["one"]', 'command = ["one", 2]', r"d.toml:35: companions\[0\].command holds 2; only text"),
        ('target = "/tmp/fixtures"', 'target = "fixtures"', r"'fixtures' must be an absolute path"),
        ('workspace = "/tmp/ws"', 'workspace = "/tmp/../etc"', r"d.toml:10: '/tmp/../etc' must be an absolute path"),
        ('A = "{workspace}"', 'A = "{work}"', r"\{work\} in '\{work\}' is no placeholder"),
        ('A = "{workspace}"', 'A = "${NOPE}"', r"d.toml: the variable NOPE is not set"),
        ('A = "{workspace}"', 'PATH = "/bin"', r"d.toml:17: PATH is made by the cell"),
        ('A = "{workspace}"', "A = 1", r"only text belongs there"),
        ('A = "{workspace}"', '"A=B" = "x"', r"d.toml:16: 'A=B' is no name of a variable"),
        ('A = "{workspace}"', 'A = "a\\u0000b"', r"holds a NUL character"),
        ('command = ["one"]', 'command = ["one\\u0000"]', r"holds a NUL character"),
        ("stop_timeout_s = 3", "stop_timeout_s = nan", r"d.toml:14: nan must be seconds over 0"),
        ("timeout_s = 5", "timeout_s = 0", r"d.toml:22: 0 must be seconds over 0"),
        ('name = "mine"', 'name = "a/b"', r"d.toml:2: 'a/b' is no name"),
        ('path = ["tools"]', 'path = ["~nobody-of-this-host/x"]', r"d.toml:6: '~nobody-of-this-host/x'"),
        ("[ready]", "[ready", r"d.toml: is no valid TOML: .*line 20"),
        ('command = ["bin/daemon", "--port", "{port}"]\n', "", r"`command` is missing"),
        ('stand_ins = ["op"]', 'stand_ins = ["git"]', r"d.toml:8: there is no stand-in for git"),
        ('name = "mine"', 'auth_secret = "../x"', r"d.toml:2: '../x' must lie in the workspace"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    """Broken TOML, unknown keys, wrong types and impossible values are usage errors that say where and what."""
    assert old in WHOLE
    with pytest.raises(UsageError, match=says):
        load_daemon(write(tmp_path, WHOLE.replace(old, new, 1)), environment={})


def test_a_base_that_leads_back_is_an_error(tmp_path: Path) -> None:
    """A description can't be its own base."""
    with pytest.raises(UsageError, match="does `base` lead back to itself"):
        load_daemon(write(tmp_path, 'base = "d.toml"\n'), environment={})


def test_an_unknown_name_lists_what_there_is() -> None:
    """Neither a file nor a built-in one: the error lists the built-in ones."""
    with pytest.raises(UsageError, match=r"no such file, and no built-in one \(demo-js, demo-rust, js, rust\)"):
        load_daemon("jss")


def test_a_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 give a usage error."""
    (tmp_path / "d.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="can't be read as text"):
        load_daemon(str(tmp_path / "d.toml"))


@given(st.text(max_size=200))
def test_any_text_is_a_description_or_a_usage_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever stands in the file, nothing but a usage error is raised."""
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load_daemon(str(path), environment={})
    except UsageError as error:
        assert str(path) in str(error)  # noqa: PT017 - either outcome is right


VALUES = st.one_of(st.booleans(), st.integers(-9, 9), st.text(max_size=3), st.lists(st.integers(), max_size=2), st.just([{}]), st.just({"k": 1}))


@given(st.dictionaries(st.sampled_from([*WHOLE.split(), "base", "drained", "mounts", "companions", "environment", "ready"]), VALUES, max_size=5))
def test_any_value_of_any_key_is_a_spec_or_a_usage_error(tmp_path_factory: pytest.TempPathFactory, table: dict[str, Any]) -> None:
    """Wrong types anywhere are usage errors."""
    import json

    def toml(value: Any) -> str:
        return "{" + ", ".join(f"{k} = {toml(v)}" for k, v in value.items()) + "}" if isinstance(value, dict) else json.dumps(value)

    text = "\n".join(f"{json.dumps(key)} = {'[{}]' if value == [{}] else toml(value)}" for key, value in {"command": ["x"], **table}.items())
    path = tmp_path_factory.getbasetemp() / "values.toml"
    path.write_text(text)
    try:
        load_daemon(str(path), environment={})
    except UsageError as error:
        assert "daemon" in str(error) or str(path) in str(error)  # noqa: PT017 - either outcome is right


@given(st.text(), st.lists(st.one_of(st.text(max_size=3), st.integers(0, 3)), max_size=4))
def test_looking_for_a_line_never_fails(text: str, place: list[str | int]) -> None:
    """A line is a number of the text, or None."""
    line = line_of(text, tuple(place))
    assert line is None or 1 <= line <= len(text.splitlines())


def test_placeholders_are_filled_and_other_braces_are_left() -> None:
    """JSON in an argument stays as it is."""
    values = {"python": sys.executable, "workspace": "/w", "home": "/h", "host": "::1", "port": "1"}
    assert fill('{workspace}:{port} {"a": {}} {A}', values) == '/w:1 {"a": {}} {A}'
