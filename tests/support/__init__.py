"""Helpers that tests share. Pytest also shows the values of assertions that fail here."""

import pytest

pytest.register_assert_rewrite(
    "tests.support.audits",
    "tests.support.commands",
    "tests.support.entries",
    "tests.support.loading",
    "tests.support.machines",
    "tests.support.processes",
    "tests.support.projects",
    "tests.support.refusals",
    "tests.support.wheels",
)
