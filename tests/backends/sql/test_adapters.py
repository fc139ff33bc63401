"""Every room's adapter, over its port's verbs."""

from __future__ import annotations

from msgspec.structs import replace

from nenrin.backends.sql.data import SqlDatasetVersions
from nenrin.backends.sql.database import Database
from nenrin.backends.sql.gates import SqlVerdicts
from nenrin.backends.sql.pipelines import SqlResults
from nenrin.backends.sql.project import SqlRevisions
from nenrin.backends.sql.registry import SqlAliases, SqlVersions
from nenrin.backends.sql.serving import SqlDeployments
from nenrin.data.ports import DatasetVersions
from nenrin.data.versions import DatasetVersion
from nenrin.gates.ports import Verdicts
from nenrin.gates.verdict import Check, Verdict
from nenrin.pipelines.ports import Results, StepResult
from nenrin.project.revision import DeclaredFile, Revision
from nenrin.registry.ports import Aliases, Versions
from nenrin.registry.version import Version
from nenrin.serving.deployments import Deployment
from nenrin.serving.ports import Deployments
from nenrin.serving.router import Route, Variant
from nenrin.serving.signature import RequestField, RequestSignature


def dataset_version(number: int, dataset: str = "flights") -> DatasetVersion:
    return DatasetVersion(
        id=f"data-{dataset}-{number}",
        dataset=dataset,
        environment="dev",
        number=number,
        manifest="0" * 64,
        rows=10 * number,
        added=10,
        changed=0,
        unchanged=0,
        bound=number,
        at=number,
    )


def test_dataset_versions(units: Database) -> None:
    versions: DatasetVersions = SqlDatasetVersions()
    first, second, other = dataset_version(1), dataset_version(2), dataset_version(1, "arrivals")
    with units.write("dev", 1) as unit:
        assert versions.latest(unit, "flights") is None
        for version in (first, other, second):
            versions.add(unit, version)
        assert versions.latest(unit, "flights") == second
        assert versions.get(unit, first.id) == first
        assert versions.all(unit) == [other, first, second]
        assert versions.all(unit, "flights") == [first, second]


def test_verdicts(units: Database) -> None:
    verdicts: Verdicts = SqlVerdicts()
    check = Check(name="calibration", rule="bias < 0.1", outcome="pass", numbers={"bias": 0.25})
    verdict = Verdict(
        id="verdict-1",
        deployment="service",
        judged="version-1",
        ships="version-2",
        against={"champion": "version-0"},
        outcome="better",
        compared="paired",
        admitted=True,
        checks=(check,),
        numbers={"bias": 0.25, "known": True, "zone": "UTC"},
        reason="better by 0.01",
        at=3,
    )
    with units.write("dev", 3) as unit:
        verdicts.add(unit, verdict)
        verdicts.add(unit, replace(verdict, reason="another"))
        assert verdicts.get(unit, "verdict-1") == verdict
        assert verdicts.all(unit, "service") == verdicts.all(unit) == [verdict]
        assert verdicts.all(unit, "other") == []


def test_deployments(units: Database) -> None:
    deployments: Deployments = SqlDeployments()
    route = Route(deployment="b", variants=(Variant(version="version-1", weight=100),))
    deployment = Deployment(
        name="b",
        environment="dev",
        model="delay",
        revision="revision-1",
        route=route,
        anchor="version-1",
        request=RequestSignature(fields=(RequestField(name="carrier", kind="string"),)),
        example={"carrier": "UA", "distance": 1400},
        at=1,
    )
    with units.write("dev", 1) as unit:
        deployments.put(unit, deployment)
        deployments.put(unit, replace(deployment, name="a"))
        deployments.put(unit, replace(deployment, frozen=True))
        assert deployments.get(unit, "b") == replace(deployment, frozen=True)
        assert deployments.get(unit, "c") is None
        assert [found.name for found in deployments.all(unit)] == ["a", "b"]


def test_step_results_are_shared_by_environments(units: Database) -> None:
    results: Results = SqlResults()
    result = StepResult(key="k", step="load", output="0" * 64, parts={"code": "1"}, cpu=0.5)
    with units.write("dev", 1) as unit:
        assert results.get(unit, "k") is None
        results.put(unit, "k", result)
        results.put(unit, "k", replace(result, cpu=0.25))
    with units.read("prod") as unit:
        assert results.get(unit, "k") == replace(result, cpu=0.25)


def test_revisions(units: Database) -> None:
    revisions = SqlRevisions()
    one = Revision(
        id="revision-1",
        digest="1" * 64,
        source="2" * 64,
        files=(DeclaredFile("data.csv", "3" * 64),),
        python="3.11.2",
        packages=("numpy==2.4.6",),
        commit="abc",
        dirty=True,
    )
    two = replace(one, id="revision-2")
    with units.write("dev", 1) as unit:
        assert revisions.latest(unit) is None
        revisions.add(unit, one)
        revisions.add(unit, two)
        assert revisions.latest(unit) == two
        revisions.add(unit, one)
        assert revisions.latest(unit) == one
        assert revisions.all(unit) == [two, one]
        assert revisions.get(unit, "revision-2") == two


def test_versions_and_aliases(units: Database) -> None:
    versions: Versions = SqlVersions()
    aliases: Aliases = SqlAliases()
    version = Version(
        id="version-1",
        name="delay",
        kind="model",
        environment="dev",
        content="0" * 64,
        at=1,
        parents=("data-1",),
        facts={"rows": 3, "loss": 0.5, "columns": {"x": "number"}},
    )
    with units.write("dev", 1) as unit:
        versions.put(unit, version)
        versions.put(unit, replace(version, status="bad"))
        assert versions.all(unit) == [replace(version, status="bad")]
        aliases.put(unit, "delay", "champion", "version-0")
        aliases.put(unit, "delay", "champion", "version-1")
        assert aliases.all(unit, "delay") == {"champion": "version-1"}


def test_results_that_name_a_digest_are_found_in_order(units: Database) -> None:
    results: Results = SqlResults()
    for at, (key, parts) in enumerate([("b", {"load": "x1"}), ("a", {"load": "x1"}), ("c", {})]):
        result = StepResult(key=key, step="rows", output="o", parts=parts, cpu=0.0, at=at)
        with units.write("dev", at) as unit:
            results.put(unit, key, result)
    with units.read("prod") as unit:
        assert [found.key for found in results.naming(unit, "x1")] == ["b", "a"]
        assert results.naming(unit, "x2") == []
