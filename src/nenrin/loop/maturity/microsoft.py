"""The items of Microsoft's model, levels 0 to 4; each level keeps those below it.

"Machine Learning operations maturity model", Azure Architecture Center, 2025-10-28. Level 0 asks for nothing.
"""

from __future__ import annotations

from nenrin.loop.maturity import needs, signs
from nenrin.loop.maturity.items import Item, Scale

_TIMED = (needs.DEPLOYED, needs.TRAINED, needs.TIMED)
_BUILDS = "builds and tests run outside nenrin"
_PEOPLE = "how people work together is not in a ledger"

_LEVEL_1 = (
    Item(id="M1.1", level=1, text="builds are automated", outside=_BUILDS),
    Item(
        id="M1.2",
        level=1,
        text="code is under version control",
        needs=(needs.GIT,),
        shown=signs.versioned,
        show=needs.COMMIT_AGAIN,
    ),
    Item(id="M1.3", level=1, text="application code has unit tests", outside=_BUILDS),
    Item(
        id="M1.4",
        level=1,
        text="a basic integration test of the model",
        needs=(needs.DEPLOYED,),
        shown=signs.tested,
        show=needs.RUN,
    ),
    Item(
        id="M1.5",
        level=1,
        text="data is gathered by the pipeline",
        needs=(needs.LOADABLE,),
        shown=signs.loaded,
        show=needs.RUN,
    ),
    Item(id="M1.6", level=1, text="application releases are automated", outside=_BUILDS),
)

_LEVEL_2 = (
    Item(
        id="M2.1",
        level=2,
        text="training is automated, by schedule or event",
        needs=(needs.DEPLOYED, needs.TRAINED),
        shown=signs.triggered,
        show=needs.NEW_LABELS,
    ),
    Item(
        id="M2.2",
        level=2,
        text="compute is managed: fits are leased jobs",
        needs=(needs.DEPLOYED, needs.TRAINED),
        shown=signs.fitted,
        show=needs.RUN,
    ),
    Item(
        id="M2.3",
        level=2,
        text="experiment results are tracked centrally",
        needs=(needs.DEPLOYED,),
        shown=signs.finished,
        show=needs.RUN,
    ),
    Item(
        id="M2.4",
        level=2,
        text="training code and models are versioned",
        needs=(needs.DEPLOYED,),
        shown=signs.locked,
        show=needs.RUN,
    ),
    Item(
        id="M2.5",
        level=2,
        text="models are managed in a registry",
        needs=(needs.DEPLOYED,),
        shown=signs.registered,
        show=needs.RUN,
    ),
    Item(
        id="M2.6",
        level=2,
        text="the scoring service is versioned and answers",
        needs=(needs.DEPLOYED,),
        shown=signs.answered,
        show=needs.ANSWER,
    ),
    Item(
        id="M2.7",
        level=2,
        text="environments are defined: Python and packages",
        needs=(needs.DEPLOYED,),
        shown=signs.locked_environment,
        show=needs.RUN,
    ),
    Item(
        id="M2.8",
        level=2,
        text="features come from a feature store",
        needs=(needs.DEPLOYED, needs.VIEW),
        shown=signs.materialised,
        show=needs.RUN,
    ),
    Item(
        id="M2.9",
        level=2,
        text="lifecycle events are emitted",
        needs=(needs.DEPLOYED,),
        shown=signs.recorded,
        show=needs.RUN,
    ),
    Item(
        id="M2.10",
        level=2,
        text="models can be made again: a replay gives the same",
        needs=_TIMED,
        shown=signs.repeated,
        show=needs.REPEAT,
    ),
)

_LEVEL_3 = (
    Item(
        id="M3.1",
        level=3,
        text="releases of models are automatic",
        needs=(needs.DEPLOYED,),
        shown=signs.released,
        show=needs.RUN,
    ),
    Item(
        id="M3.2",
        level=3,
        text="A/B tests or canaries are part of it",
        needs=(*_TIMED, needs.CANARY),
        shown=signs.canaried,
        show=needs.NEW_CODE,
    ),
    Item(id="M3.3", level=3, text="all code is tested, every release", outside=_BUILDS),
    Item(
        id="M3.4",
        level=3,
        text="what serves is traced back to its data",
        needs=(needs.DEPLOYED,),
        shown=signs.traced,
        show=needs.RUN,
    ),
    Item(
        id="M3.5",
        level=3,
        text="all environments are managed",
        needs=(needs.DEPLOYED, needs.ENVIRONMENTS),
        shown=signs.two_environments,
        show=needs.APPLY,
    ),
    Item(
        id="M3.6",
        level=3,
        text="artefacts go through environments by the registry",
        needs=(*_TIMED, needs.BACKTESTED),
        shown=signs.adopted,
        show=needs.ADOPT,
    ),
    Item(
        id="M3.7",
        level=3,
        text="scientists and engineers share inputs and outputs",
        outside=_PEOPLE,
    ),
)

_LEVEL_4 = (
    Item(
        id="M4.1",
        level=4,
        text="production metrics set off retraining",
        needs=_TIMED,
        shown=signs.alarmed,
        show=needs.ON_ALARM,
    ),
    Item(
        id="M4.2",
        level=4,
        text="the deployed model's metrics are kept centrally",
        needs=(needs.DEPLOYED, needs.TIMED),
        shown=signs.scored,
        show=needs.NEW_LABELS,
    ),
    Item(
        id="M4.3",
        level=4,
        text="signals of drift or regression set it off",
        needs=_TIMED,
        shown=signs.signalled,
        show=needs.ON_ALARM,
    ),
    Item(
        id="M4.4",
        level=4,
        text="whether data is fresh and comes is monitored",
        needs=(needs.DEPLOYED, needs.TIMED),
        shown=signs.stale,
        show=needs.REHEARSE,
    ),
    Item(
        id="M4.5",
        level=4,
        text="promotion is by policy, and automatic",
        needs=(needs.DEPLOYED, needs.TRAINED),
        shown=signs.automatic,
        show=needs.NEW_LABELS,
    ),
    Item(
        id="M4.6",
        level=4,
        text="near zero downtime: answers go on over a switch",
        needs=(needs.DEPLOYED,),
        shown=signs.switched,
        show=needs.ANSWER,
        outside="failed requests are counted while the data plane lives, and not kept",
    ),
    Item(
        id="M4.7",
        level=4,
        text="engineers build metrics for what is deployed",
        outside=_PEOPLE,
    ),
)

MICROSOFT = Scale(name="Microsoft", highest=4, items=(*_LEVEL_1, *_LEVEL_2, *_LEVEL_3, *_LEVEL_4))
