"""What tests share. Pytest shows the values of assertions that fail here too."""

import pytest

pytest.register_assert_rewrite(
    "tests.support.audits",
    "tests.support.commands",
    "tests.support.entries",
    "tests.support.loading",
    "tests.support.processes",
    "tests.support.projects",
    "tests.support.refusals",
    "tests.support.wheels",
)
