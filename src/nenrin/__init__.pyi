from nenrin.core.errors import NenrinError as NenrinError
from nenrin.data import samples as samples
from nenrin.data.declare import dataset as dataset
from nenrin.data.declare import file as file
from nenrin.features.declare import feature_view as feature_view
from nenrin.loop.declare import cron as cron
from nenrin.loop.declare import deployment as deployment
from nenrin.loop.declare import every as every
from nenrin.loop.declare import history as history
from nenrin.loop.declare import trailing as trailing
from nenrin.loop.worth import value as value
from nenrin.pipelines.needs import resources as resources
from nenrin.project.scores import score as score
from nenrin.project.steps import map as map  # noqa: A004
from nenrin.project.steps import step as step
from nenrin.training.declare import container as container
from nenrin.training.declare import import_model as import_model
from nenrin.training.declare import model as model
from nenrin.training.declare import predictor as predictor
from nenrin.training.declare import remote as remote
from nenrin.training.spaces import choice as choice
from nenrin.training.spaces import floats as floats
from nenrin.training.spaces import integers as integers

__all__: list[str]
