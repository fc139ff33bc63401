"""The items of Google's model, levels 0 to 2.

"MLOps: Continuous delivery and automation pipelines in machine learning", Google Cloud Architecture Center.
Level 0, a manual process, asks for nothing.
"""

from __future__ import annotations

from nenrin.loop.maturity import needs, signs
from nenrin.loop.maturity.items import Item, Scale

_TIMED = (needs.DEPLOYED, needs.TRAINED, needs.TIMED)

_LEVEL_1 = (
    Item(
        id="G1.1",
        level=1,
        text="the experiment's steps run by themselves, one after the other",
        needs=(needs.DEPLOYED,),
        shown=signs.finished,
        show=needs.RUN,
    ),
    Item(
        id="G1.2",
        level=1,
        text="the model is trained in production, on fresh data",
        needs=(needs.DEPLOYED, needs.TRAINED),
        shown=signs.retrained,
        show=needs.NEW_LABELS,
    ),
    Item(
        id="G1.3",
        level=1,
        text="one pipeline in development and production",
        needs=(needs.DEPLOYED, needs.ENVIRONMENTS),
        shown=signs.same_revision,
        show=needs.APPLY,
    ),
    Item(
        id="G1.4",
        level=1,
        text="components are modules in an environment of their own",
        needs=(needs.DEPLOYED,),
        shown=signs.locked,
        show=needs.RUN,
        outside="in which process a step ran is measured, and not in the ledger",
    ),
    Item(
        id="G1.5",
        level=1,
        text="models are delivered without a hand",
        needs=(needs.DEPLOYED,),
        shown=signs.released,
        show=needs.RUN,
    ),
    Item(
        id="G1.6",
        level=1,
        text="the pipeline is deployed, with its triggers",
        needs=(needs.DEPLOYED, needs.TRAINED),
        shown=signs.fired,
        show=needs.NEW_LABELS,
    ),
    Item(
        id="G1.7",
        level=1,
        text="data is validated before training, and stops it",
        needs=(needs.DEPLOYED, needs.TIMED),
        shown=signs.blocked,
        show=needs.REHEARSE,
    ),
    Item(
        id="G1.8",
        level=1,
        text="models are validated: metric, champion or baseline, slices, sanity",
        needs=(needs.DEPLOYED,),
        shown=signs.judged,
        show=needs.NEW_CODE,
    ),
    Item(
        id="G1.9",
        level=1,
        text="models are validated online before all requests",
        needs=(*_TIMED, needs.CANARY),
        shown=signs.canaried,
        show=needs.NEW_CODE,
    ),
    Item(
        id="G1.10",
        level=1,
        text="one definition of features for training and serving",
        needs=(needs.DEPLOYED, needs.VIEW),
        shown=signs.online,
        show=needs.ANSWER,
        optional=True,
    ),
    Item(
        id="G1.11",
        level=1,
        text="every fit's code, data and parents are kept",
        needs=(needs.DEPLOYED, needs.TRAINED),
        shown=signs.described,
        show=needs.RUN,
        outside="resuming a failed run is measured, and not in the ledger",
    ),
    Item(
        id="G1.12",
        level=1,
        text="triggers: on demand, schedule or new data, degradation",
        needs=_TIMED,
        shown=signs.triggers,
        show=needs.ON_ALARM,
        outside="drift of inputs alone starts nothing here: alarms are of calibration and of broken data",
    ),
)

_LEVEL_2 = (
    Item(
        id="G2.1",
        level=2,
        text="source control, registry, metadata, orchestrator and serving in use",
        needs=(needs.DEPLOYED, needs.GIT),
        shown=signs.components,
        show=needs.COMMIT_AGAIN,
        outside="test and build services are not nenrin's to know",
    ),
    Item(
        id="G2.2",
        level=2,
        text="monitoring sets off training, validation and delivery",
        needs=_TIMED,
        shown=signs.closed_loop,
        show=needs.ON_ALARM,
        outside="the pipeline's own builds and tests run outside nenrin",
    ),
    Item(
        id="G2.3",
        level=2,
        text="tests of feature logic, model methods, convergence and components",
        outside="tests run outside nenrin",
    ),
    Item(
        id="G2.4",
        level=2,
        text="checks of delivery: packages, memory, the API, load, quality",
        outside="load tests run outside nenrin",
    ),
    Item(
        id="G2.5",
        level=2,
        text="a revision goes through environments, after good runs",
        needs=(needs.DEPLOYED, needs.ENVIRONMENTS),
        shown=signs.promoted,
        show=needs.APPLY_LATER,
        outside="who approved it is not recorded",
    ),
)

GOOGLE = Scale(name="Google", highest=2, items=(*_LEVEL_1, *_LEVEL_2))
