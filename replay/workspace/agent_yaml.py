"""The daemon's configuration, `agent.yaml`: read safely, within limits."""

from pathlib import Path
from typing import Any, Final

import yaml

from replay.model import ParityError

CONFIGURATION_NAMES: Final = ("agent.yaml", "AGENT.yaml", "config.yaml")
"""In the order in which the JS daemon looks for them."""

_BYTES_MAX: Final = 1024 * 1024
_NODES_MAX: Final = 50_000
_DEPTH_MAX: Final = 64


class _LimitedLoader(yaml.SafeLoader):
    """A safe loader that refuses documents which are small on disk and huge or endless in memory."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._nodes = 0
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._nodes += 1
        self._depth += 1
        if self._nodes > _NODES_MAX or self._depth > _DEPTH_MAX:
            raise yaml.YAMLError(f"more than {_NODES_MAX} values or deeper than {_DEPTH_MAX}")
        alias = self.check_event(yaml.AliasEvent)
        node: yaml.Node | None = super().compose_node(parent, index)
        if alias and not isinstance(node, yaml.ScalarNode):
            # Nested ones grow without bound, or hold themselves, once somebody walks the value.
            raise yaml.YAMLError("an alias stands for more than a single value")
        self._depth -= 1
        return node


def parse_configuration(text: str, where: str) -> dict[str, Any]:
    """
    Read a configuration from its text; an empty one is an empty mapping. *where* is for messages.

    Raises:
        ParityError: it is no YAML mapping with text keys, holds aliases of more than single values, or is beyond the
            limits (1 MiB, 64 levels).
    """
    if len(text) > _BYTES_MAX:
        raise ParityError(f"{where}: larger than {_BYTES_MAX} bytes; not read")
    try:
        found = yaml.load(text, Loader=_LimitedLoader)  # noqa: S506 (a SafeLoader, narrowed)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise ParityError(f"{where}: can't be read as YAML ({' '.join(str(error).split())}); correct the file") from error
    if found is None:
        return {}
    if not isinstance(found, dict) or any(not isinstance(key, str) for key in found):
        raise ParityError(f"{where}: no mapping with text keys at its top; correct the file")
    return found


def find_configuration(workspace: Path) -> Path | None:
    """Name the configuration file that the JS daemon reads in *workspace*; None where there is none."""
    return next((workspace / name for name in CONFIGURATION_NAMES if (workspace / name).is_file()), None)


def read_configuration(workspace: Path) -> dict[str, Any]:
    """
    Read the configuration of a workspace; without a file it is empty.

    Raises:
        ParityError: the file can't be read or is no configuration.
    """
    path = find_configuration(workspace)
    if path is None:
        return {}
    try:
        with path.open("rb") as file:
            text = file.read(_BYTES_MAX + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ParityError(f"{path}: can't be read ({error}); check the file") from error
    return parse_configuration(text, str(path))
