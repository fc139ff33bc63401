"""A small project for replays in seconds: a questions file, an answers file, a model with one number."""

from sklearn.linear_model import LogisticRegression

import nenrin as nr

questions = nr.file("questions.parquet", key="id", time="asked", tz="America/New_York")
answers = nr.file("answers.parquet", key="id", time="told")


@nr.feature_view(questions)
def said(q):
    return {"x": q.x}


@nr.model(rows=questions, label=answers.yes, features=[said], metric="log_loss")
def agree(rows):
    return LogisticRegression().fit(rows.numpy(), rows.y)


service = nr.deployment(
    agree, recipes=[nr.history(), nr.trailing("30d")], refresh=nr.every("7d", at="04:00")
)
