"""How threads wait for each other."""

from __future__ import annotations

import importlib
import os
import sys

import pytest

from s2s_ad.backend.threads import wait_briefly


@pytest.fixture
def loaded(monkeypatch) -> list[str | None]:
    """What the environment said about waiting, each time that OpenMP was loaded."""
    found: list[str | None] = []
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(
        importlib, "import_module", lambda name: found.append(os.environ.get("GOMP_SPINCOUNT"))
    )
    return found


def test_only_while_it_is_loaded(loaded) -> None:
    wait_briefly.__wrapped__()
    assert loaded == ["1000"] and "GOMP_SPINCOUNT" not in os.environ


@pytest.mark.parametrize("name", ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"])
def test_what_the_user_says_stays(name, loaded, monkeypatch) -> None:
    monkeypatch.setenv(name, "1")
    wait_briefly.__wrapped__()
    assert not loaded and os.environ[name] == "1"
