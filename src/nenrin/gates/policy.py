"""Gate rules: CEL expressions in YAML, checked when they are read, never a pass by accident.

    gates:
      - name: new code is better
        when: change == "code"                  # left out: always
        require: champion.verdict == "better"
        message: "mean difference {champion.mean:.4f}"
        severity: block                         # or warn

CEL (https://cel.dev) knows the names and types that are declared to it, so a misspelt name and a
comparison of a number with a text are refused when the policy is read, with line and caret. A rule
whose number is missing when it is asked says "cannot decide", which is not a pass.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeGuard, cast

import msgspec
from cel_expr_python import cel

from nenrin.core.errors import ProjectError
from nenrin.core.figures import figure
from nenrin.gates.reading import Entry, read_entries
from nenrin.gates.verdict import Check, CheckOutcome, Waiver

Value = float | bool | str
Numbers = Mapping[str, Value | None]
Declared = Mapping[str, type[float] | type[bool] | type[str]]

_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_TEXT = re.compile(r"'[^']*'|\"[^\"]*\"")
_PLACE = re.compile(r"\{([\w.]+)(?::([^{}]*))?\}")
_PROBLEM = re.compile(r"<input>:(\d+):(\d+): (.*)")
_TYPES = {float: cel.Type.DOUBLE, bool: cel.Type.BOOL, str: cel.Type.STRING}


class _Compiled(Protocol):
    def eval(self, *, data: Mapping[str, Any]) -> Any: ...


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule as it is written: see the module's example."""

    name: str
    require: str
    when: str = ""
    message: str = ""
    severity: Literal["block", "warn"] = "block"


class Policy:
    """Rules that are known to make sense for the numbers that are declared."""

    def __init__(
        self, rules: Sequence[tuple[Rule, _Compiled | None, _Compiled]], declared: Declared
    ) -> None:
        self._rules = tuple(rules)
        self._declared = declared

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules as they are written, in order."""
        return tuple(rule for rule, _, _ in self._rules)

    @classmethod
    def read(
        cls,
        source: str | Mapping[str, Any] | Sequence[Mapping[str, Any]],
        declared: Declared,
        where: str = "",
    ) -> Policy:
        """Read a policy.

        Args:
            source: YAML text, or what it stands for: a list of rules, or a mapping with one under
                ``gates``.
            declared: name and type of every number and word that rules may use.
            where: path of the text, or ``file:line`` of an inline policy; errors name it.

        Raises:
            ProjectError: text that is not a policy, an unknown name, a type that does not fit.
        """
        env = cel.NewEnv(variables={name: _TYPES[kind] for name, kind in declared.items()})
        rules = []
        for entry in read_entries(source, where):
            rule = _rule(entry)
            _check_message(rule, declared, entry)
            when = _compile(env, rule.when, declared, entry, "when") if rule.when else None
            rules.append((rule, when, _compile(env, rule.require, declared, entry, "require")))
            if rule.name in [other.name for other, _, _ in rules[:-1]]:
                raise ProjectError(
                    f"two gate rules are called {rule.name!r}",
                    hint="a waiver names a rule: give each its own name",
                    where=entry.where("name"),
                )
        return cls(rules, declared)

    def check(self, numbers: Numbers) -> list[Check]:
        """Apply every rule whose ``when`` holds.

        Args:
            numbers: values by declared name, others are not read; what is not known is left out,
                None or NaN.
        """
        known = {
            name: value
            for name, value in numbers.items()
            if name in self._declared and _is_known(value)
        }
        checks = []
        for rule, when, require in self._rules:
            applies = "pass" if when is None else _ask(when, known)
            if applies == "fail":
                continue
            outcome = _ask(require, known) if applies == "pass" else applies
            checks.append(
                Check(
                    name=rule.name,
                    rule=rule.require,
                    outcome=outcome,
                    numbers={name: known[name] for name in _used(rule) if name in known},
                    blocks=rule.severity == "block",
                    message=_PLACE.sub(lambda place: _spelled(place, known), rule.message),
                )
            )
        return checks


def waive(checks: Iterable[Check], waivers: Sequence[Waiver], at: int) -> list[Check]:
    """The checks; one that did not pass is marked where a waiver that runs at ``at`` names it."""
    running = {waiver.check: waiver for waiver in waivers if at < waiver.until}
    waived = []
    for check in checks:
        waiver = running.get(check.name)
        if waiver is not None and check.outcome != "pass":
            by = f"{waiver.name}: {waiver.reason}"
            check = msgspec.structs.replace(check, waived_by=by)  # noqa: PLW2901
        waived.append(check)
    return waived


def _rule(entry: Entry) -> Rule:
    try:
        return msgspec.convert(entry.fields, Rule, strict=True)
    except msgspec.ValidationError as problem:
        raise ProjectError(
            f"a gate rule is not one: {problem}",
            hint="a rule has name, require, and if wanted when, message, severity (block or warn)",
            where=entry.where(),
        ) from None


def _compile(env: cel.Env, text: str, declared: Declared, entry: Entry, field: str) -> _Compiled:
    name = entry.fields["name"]
    try:
        compiled = env.compile(text)
    except RuntimeError as problem:  # the engine raises nothing more precise
        found = _PROBLEM.search(str(problem))
        line, column, what = found.groups() if found else ("1", "1", str(problem))
        what = what.removesuffix(" (in container '')")
        written = (text.splitlines() or [""])[int(line) - 1]
        raise ProjectError(
            f"gate rule {name!r}: {what}\n  {written}\n  {' ' * (int(column) - 1)}^",
            hint=_hint(what, declared),
            where=entry.where(field, int(line)),
        ) from None
    if compiled.return_type() != cel.Type.BOOL:
        raise ProjectError(
            f"gate rule {name!r} gives {compiled.return_type().name()}, not yes or no\n  {text}",
            hint="compare: champion.mean <= 0.0",
            where=entry.where(field),
        )
    return cast("_Compiled", compiled)


def _hint(what: str, declared: Declared) -> str:
    unknown = re.match(r"undeclared reference to '([^']*)'", what)
    if unknown:
        near = difflib.get_close_matches(unknown[1], declared, n=3, cutoff=0.4)
        return f"known: {', '.join(near or sorted(declared))}"
    if "no matching overload" in what and "int" in what:
        return "numbers here have a point: write 1.0, not 1"
    return "rules are CEL expressions: https://cel.dev"


def _check_message(rule: Rule, declared: Declared, entry: Entry) -> None:
    for name, spec in _PLACE.findall(rule.message):
        try:
            format(declared[name](), spec)
        except (KeyError, ValueError):
            raise ProjectError(
                f"gate rule {rule.name!r}: its message cannot show {{{name}{spec and ':' + spec}}}",
                hint=_hint(f"undeclared reference to '{name}'", declared),
                where=entry.where("message"),
            ) from None


def _is_known(value: Value | None) -> TypeGuard[Value]:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _ask(expression: _Compiled, known: Mapping[str, Value]) -> CheckOutcome:
    answer = expression.eval(data=known)
    if answer.type() != cel.Type.BOOL:
        return "cannot decide"
    return "pass" if answer.value() else "fail"


def _used(rule: Rule) -> list[str]:
    texts = _TEXT.sub("", f"{rule.when} {rule.require}")
    shown = [name for name, _ in _PLACE.findall(rule.message)]
    return sorted({*_NAME.findall(texts), *shown})


def _spelled(place: re.Match[str], known: Mapping[str, Value]) -> str:
    if place[1] not in known:
        return "unknown"
    value, spec = known[place[1]], place[2] or ""
    if isinstance(value, float) and spec in ("", "+"):
        return figure(value, plus=spec == "+")
    return format(value, spec)
