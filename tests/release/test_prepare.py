"""A release dates what is unreleased and takes only later versions."""

import pytest

from tests.release.prepare import dated, notes, versioned

CHANGELOG = "# Changelog\n\n## Unreleased\n\n- new\n\n## 0.1.0 (2026-01-01)\n\n- old\n"
PYPROJECT = '[project]\nname = "x"\nversion = "0.9.0"\ndependencies = ["y"]\n'


def test_the_changelog_is_dated():
    after = dated(CHANGELOG, "0.2.0", "2026-02-01")
    assert after == CHANGELOG.replace("## Unreleased\n", "## Unreleased\n\n## 0.2.0 (2026-02-01)\n")
    assert notes(CHANGELOG) == "- new"
    with pytest.raises(SystemExit, match="nothing under Unreleased"):
        dated(after, "0.3.0", "2026-03-01")


def test_versions_only_rise():
    assert 'version = "0.10.0"' in versioned(PYPROJECT, "0.10.0")
    for wrong in ("0.9.0", "0.8.9", "1.0", "", "v1.0.0"):
        with pytest.raises(SystemExit, match="later than"):
            versioned(PYPROJECT, wrong)
