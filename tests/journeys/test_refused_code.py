"""Code that the gate refused: what serves is refreshed by its own code, until other code comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nenrin.core.settings import Settings
from nenrin.platform import Platform
from tests.journeys.shell import Shell
from tests.journeys.small.growing import PROJECT, write

# what is loaded later was known in time: else looks are blocked, for nothing came
TOLD = PROJECT.replace('time="asked"', 'time="asked", known="1m"').replace(
    'time="told"', 'time="told", known="1m"'
)
WORSE = TOLD.replace("LogisticRegression()", "LogisticRegression(C=1e-4)")


@pytest.mark.parametrize("serve", ["champion", "mixture"])
def test_what_was_refused_does_not_come_in_by_a_refresh(tmp_path: Path, serve: str) -> None:
    def project(text: str) -> str:
        return text.replace("recipes=", f'serve="{serve}", recipes=')

    shell = Shell(tmp_path, {"NENRIN_WORKERS": "0"})
    shell.project.write_text(project(TOLD))
    write(tmp_path, 60)
    shell.here("run")
    shell.project.write_text(project(WORSE))
    [told] = shell.here("run", "--json", code=None).json["deployments"]
    assert not told["verdict"]["admitted"]
    refused = told["revision"]

    write(tmp_path, 75)  # two weekly looks more
    [told] = shell.here("run", "--json", code=None).json["deployments"]
    assert told["steps"].count("look.taken") >= 2
    with Platform.open(Settings.read(folder=tmp_path, workers=0)) as platform:
        route = platform.serving.show("dev", "agree").route
        assert _made_by(platform, route.variants) - {refused}
        assert refused not in _made_by(platform, route.variants)
        first, judged, *looks = platform.units.find("dev", kind="look.taken")
        assert [look.body["trigger"] for look in (first, judged)] == ["first", "new code"]
        assert {look.body["trigger"] for look in looks} <= {"schedule", "alarm"}
        assert any(look.body["ships"] for look in looks)  # its own code is refreshed meanwhile

    shell.project.write_text(project(TOLD))  # and what serves is no new code
    [told] = shell.here("run", "--json").json["deployments"]
    assert "look.taken" not in told["steps"]


def _made_by(platform: Platform, variants: Any) -> set[str]:
    """The revisions behind all that answers."""
    versions = [platform.registry.get("dev", variant.version) for variant in variants]
    fits = [
        platform.registry.get("dev", fit)
        for version in versions
        for fit in version.facts.get("members", {}).values()
    ]
    return {version.revision for version in [*versions, *fits]}
