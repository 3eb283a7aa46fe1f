"""Golden files: expected text under tests/golden/, rewritten by `pytest --update-golden`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("S2S_AD_VERIFY", "1")  # the verifier runs after every pass

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest ones first: with several workers, they would be all that is left at the end."""
    items.sort(key=lambda item: "test_random_programs" not in item.nodeid)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str, str], None]:
    """`golden(kind, name, text)` compares `text` with tests/golden/<kind>/<name>."""

    def check(kind: str, name: str, text: str) -> None:
        path = GOLDEN / kind / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"{path} is missing: run pytest --update-golden"
        assert text == path.read_text()

    return check
