"""Label selectors of objects → Selector, as Kubernetes and MetalLB understand them."""

from __future__ import annotations

import re

from bellmetal.resources import LabelSelector, MatchExpression
from bellmetal.selectors import OPERATORS, Requirement, Selector
from bellmetal.validation.report import Report

WORD = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
DOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")


def read_selectors(
    items: list[LabelSelector] | None, path: str, report: Report
) -> tuple[Selector, ...]:
    """A list of selectors, none of them twice; ``path`` ends with the list's name."""
    what = path.rpartition(".")[2]
    seen: set[object] = set()
    found = []
    for index, item in enumerate(items or []):
        where = f"{path}[{index}]"
        found.append(read_selector(item, where, report))
        identity = _identity(item)
        if identity in seen:
            report.add(where, f'duplicate definition of {what} "{_text(item)}"')
        seen.add(identity)
    return tuple(found)


def read_selector(
    item: LabelSelector, path: str, report: Report, *, repeats: bool = False
) -> Selector:
    """One selector; with ``repeats`` it may say the same twice."""
    found = []
    for key, value in sorted((item.match_labels or {}).items()):
        where = f"{path}.matchLabels[{key}]"
        _check_key(key, where, report)
        _check_value(value, where, report)
        found.append(Requirement(key, "In", frozenset([value])))
    seen: set[object] = set()
    for index, expression in enumerate(item.match_expressions or []):
        where = f"{path}.matchExpressions[{index}]"
        _check_expression(expression, where, report)
        if not repeats:
            _check_repeated_values(expression, where, report)
            identity = _expression_identity(expression)
            if identity in seen:
                text = _expression_text(expression)
                report.add(where, f'duplicate definition of match expressions "{text}"')
            seen.add(identity)
        values = frozenset(expression.values or [])
        found.append(Requirement(expression.key, expression.operator, values))
    return Selector(tuple(found))


# --- rules ---------------------------------------------------------------------------------------


def _check_expression(item: MatchExpression, path: str, report: Report) -> None:
    takes_values = item.operator in ("In", "NotIn")
    _check_key(item.key, f"{path}.key", report)
    if item.operator not in OPERATORS:
        report.add(f"{path}.operator", f'"{item.operator}" is none of {", ".join(OPERATORS)}')
    elif takes_values and not item.values:
        report.add(f"{path}.values", f"{item.operator} needs at least one value")
    elif item.values and not takes_values:
        report.add(f"{path}.values", f"{item.operator} takes no values")
    if takes_values:
        for index, value in enumerate(item.values or []):
            _check_value(value, f"{path}.values[{index}]", report)


def _check_repeated_values(item: MatchExpression, path: str, report: Report) -> None:
    seen: set[str] = set()
    for index, value in enumerate(item.values or []):
        if value in seen:
            message = f'duplicate definition of match expression value in label selector "{value}"'
            report.add(f"{path}.values[{index}]", message)
        seen.add(value)


def is_key(key: str) -> bool:
    """Whether a text can be the key of a label, or of an annotation."""
    prefix, slash, name = key.rpartition("/")
    return bool(
        WORD.fullmatch(name) and (not slash or (DOMAIN.fullmatch(prefix) and len(prefix) < 254))
    )


def _check_key(key: str, path: str, report: Report) -> None:
    if not is_key(key):
        report.add(path, f'"{key}" cannot be the key of a label')


def _check_value(value: str, path: str, report: Report) -> None:
    if value and not WORD.fullmatch(value):
        report.add(path, f'"{value}" cannot be the value of a label')


# --- what makes two of them the same: their texts, as with MetalLB, not what they select ---------


def _identity(item: LabelSelector) -> object:
    labels = tuple(sorted((item.match_labels or {}).items()))
    return labels, tuple(_expression_identity(e) for e in item.match_expressions or [])


def _expression_identity(item: MatchExpression) -> object:
    return item.key, item.operator, tuple(sorted(item.values or []))


def _text(item: LabelSelector) -> str:
    """A selector as kubectl writes it."""
    parts = [f"{key}={value}" for key, value in sorted((item.match_labels or {}).items())]
    parts += [_expression_text(expression) for expression in item.match_expressions or []]
    return ",".join(parts)


def _expression_text(item: MatchExpression) -> str:
    match item.operator:
        case "Exists":
            return item.key
        case "DoesNotExist":
            return f"!{item.key}"
        case _:
            return f"{item.key} {item.operator.lower()} ({','.join(sorted(item.values or []))})"
