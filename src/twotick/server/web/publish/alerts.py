"""What Alertmanager publishes (its web hook, version 4), and Grafana, whose format has all of that and more."""

from collections.abc import Mapping
from typing import Any, Final

from twotick.server.web.publish.publication import (
    Publication,
    Unreadable,
    digest,
    number_in,
    object_in,
    objects_in,
    one_line,
    text_in,
)

_SHOWN: Final = 20
"""The alerts that a message lists."""

_VALUES: Final = 5
"""The values of an alert of Grafana that a message shows."""

_SEVERITIES: Final = {"critical": 5, "error": 4, "warning": 4, "info": 2, "none": 2}
_MANY: Final = 1_000_000_000


def read_alerts(content: Mapping[str, Any]) -> Publication:
    """Return a group of alerts. The same group, status and alerts are the same publication (rule 21.6).

    Raises:
        Unreadable: it cannot be understood.
    """
    alerts = objects_in(content, "alerts")
    group, status = text_in(content, "groupKey"), text_in(content, "status")
    if not alerts:
        raise Unreadable("alerts is missing or empty")
    if status not in ("firing", "resolved"):
        raise Unreadable("status is firing or resolved")
    common = {**object_in(content, "groupLabels"), **object_in(content, "commonLabels")}
    states = [_state(each) for each in alerts]
    firing = [each for each, state in zip(alerts, states, strict=True) if state == "firing"]
    group = group or digest(*map(_identity, alerts))
    truncated = number_in(content, "truncatedAlerts", 0, _MANY, 0)
    return Publication(
        text="\n".join(_lines(alerts, states, truncated)),
        title=_title(content, common, len(firing), len(alerts)),
        priority=_SEVERITIES.get(text_in(common, "severity").lower(), 3) if firing else 3,
        tags=("fire" if firing else "white_check_mark",),
        links=_links(content, (firing or alerts)[0]),
        key=digest(text_in(content, "receiver"), group, status, *sorted(map(_occurrence, alerts)), str(truncated)),
        slot=digest("alerts", text_in(content, "receiver"), group),
        items=tuple(sorted({digest(_identity(each))[:8] for each in firing})),
    )


def _links(content: Mapping[str, Any], alert: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the links of a group: where it is shown, and of an alert of Grafana how to silence it, and its picture."""
    shown = text_in(alert, "panelURL", "dashboardURL") or text_in(content, "externalURL")
    found = (shown, text_in(alert, "silenceURL"), text_in(alert, "imageURL"))
    return tuple(one_line(link) for link in found if link)


def _state(alert: Mapping[str, Any]) -> str:
    state = text_in(alert, "status")
    if state not in ("firing", "resolved"):
        raise Unreadable("the status of an alert is firing or resolved")
    return state


def _identity(alert: Mapping[str, Any]) -> str:
    """Return what makes an alert the same one, as long as it is firing."""
    labels = sorted(f"{name}={value}" for name, value in object_in(alert, "labels").items())
    return "\0".join([text_in(alert, "fingerprint") or "\0".join(labels), text_in(alert, "startsAt")])


def _occurrence(alert: Mapping[str, Any]) -> str:
    return f"{_identity(alert)}\0{text_in(alert, 'status')}"


def _title(content: Mapping[str, Any], common: Mapping[str, Any], firing: int, total: int) -> str:
    given = text_in(content, "title")
    if given:
        return given
    name = text_in(common, "alertname") or text_in(content, "receiver") or "alerts"
    number = firing or total
    return f"{'firing' if firing else 'resolved'}: {name}{f' ({number})' if number > 1 else ''}"


def _lines(alerts: list[dict[str, Any]], states: list[str], truncated: int) -> list[str]:
    lines = [_line(alert, state) for alert, state in zip(alerts, states, strict=True)][:_SHOWN]
    left = len(alerts) - len(lines) + truncated
    return [*lines, *([f"and {left} more"] if left else [])]


def _line(alert: Mapping[str, Any], state: str) -> str:
    notes, labels = object_in(alert, "annotations"), object_in(alert, "labels")
    words = text_in(notes, "summary", "description", "message")
    where = text_in(labels, "instance", "job")
    name = words or text_in(labels, "alertname") or "an alert"
    shown = f"{name} ({where})" if where and where not in name else name
    return f"{'firing' if state == 'firing' else 'resolved'}: {one_line(shown + _values(alert))}"


def _values(alert: Mapping[str, Any]) -> str:
    """Return what Grafana has measured, in brackets; empty if there is nothing."""
    values = list(object_in(alert, "values").items())[:_VALUES]
    shown = ", ".join(f"{name} = {value:g}" for name, value in values if isinstance(value, int | float))
    return f" [{shown}]" if shown else ""
