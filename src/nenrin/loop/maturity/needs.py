"""What items need to be switched on, and the steps that switch them on."""

from __future__ import annotations

from nenrin.loop.maturity.facts import Facts
from nenrin.loop.maturity.items import LINE, WAIT, Need, Next

RUN = Next(step="nenrin run{env}")
UP = Next(step="nenrin up{env}")
ANSWER = Next(step="nenrin up{env}", when="and ask it", cost=WAIT)
NEW_LABELS = Next(step="nenrin run{env}", when="after new rows and labels have come", cost=WAIT)
NEW_CODE = Next(step="nenrin run{env}", when="after the model's code has changed", cost=WAIT)
ON_ALARM = Next(step="nenrin up{env}", when="until an alarm pulls a look forward", cost=WAIT)
REHEARSE = Next(step="nenrin backtest{env} --inject late_labels:7d:{day}")
REPEAT = Next(step="nenrin backtest{env}", when="twice")
APPLY = Next(step="nenrin apply --env {other}")
APPLY_LATER = Next(
    step="nenrin apply --env {other}", when="after two turns of the loop here", cost=WAIT
)
ADOPT = Next(step="nenrin adopt --into {other}")
COMMIT = Next(step="git init && git add *.py && git commit -m 'The project' && nenrin run{env}")
COMMIT_AGAIN = Next(step="git commit -a -m 'The project' && nenrin run{env}")

DEPLOYED = Need(
    says="a deployment is declared",
    holds=lambda facts: bool(facts.declared.deployments),
    begin=Next(step="service = nr.deployment(MODEL)", cost=LINE),
)
LOADABLE = Need(
    says="a dataset is declared",
    holds=lambda facts: bool(facts.declared.datasets),
    begin=Next(step='rows = nr.file("FILE.csv", key="COLUMN")', cost=LINE),
)
TRAINED = Need(
    says="its model learns from rows, and refreshes",
    holds=lambda facts: facts.declared.trained,
    begin=Next(step="@nr.model(rows=ROWS, label=ROWS.COLUMN)", cost=LINE),
)
TIMED = Need(
    says="its rows have a time",
    holds=lambda facts: facts.declared.timed,
    begin=Next(step='rows = nr.file("FILE.csv", key="COLUMN", time="COLUMN")', cost=LINE),
)
CANARY = Need(
    says="new code goes out in stages",
    holds=lambda facts: facts.declared.canary,
    begin=Next(step="service = nr.deployment(MODEL, canary=[20, 100])", cost=LINE),
)
VIEW = Need(
    says="a feature view is declared",
    holds=lambda facts: bool(facts.declared.views),
    begin=Next(step="@nr.feature_view(ROWS)", cost=LINE),
)
GIT = Need(
    says="git knows the project file",
    holds=lambda facts: bool(facts.folder_commit),
    begin=COMMIT,
)


def _follows(facts: Facts) -> bool:
    return any(
        event.kind == "revision.activated" for chain in facts.others.values() for event in chain
    )


ENVIRONMENTS = Need(
    says="another environment follows a revision",
    holds=_follows,
    begin=APPLY,
)
BACKTESTED = Need(
    says="a backtest is there to adopt",
    holds=lambda facts: any(facts.of("backtest.reported")),
    begin=Next(step="nenrin backtest{env}"),
)
