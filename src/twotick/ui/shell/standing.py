"""How a server and its members are, for the operator."""

import json
import time
from typing import Any, Final

from twotick.client.visible import visible
from twotick.store import Device, MemberSummary
from twotick.ui.text import size_text

_UNITS: Final = (("day", 86400.0), ("h", 3600.0), ("min", 60.0))


def ago(seconds: float) -> str:
    """Return a time in words, in its largest unit."""
    for unit, length in _UNITS:
        if seconds >= length:
            number = int(seconds / length)
            return f"{number} {unit}{'s' if unit == 'day' and number != 1 else ''}"
    return f"{max(int(seconds), 0)} s"


def print_member(member: MemberSummary, as_json: bool) -> None:
    """Print a line about a member."""
    if as_json:
        names = ("name", "devices", "added", "seen", "waiting", "waiting_bytes", "file_bytes")
        names += ("display", "disabled", "operator")
        print(json.dumps({name: getattr(member, name) for name in names}))
        return
    devices = f"{member.devices} {'device' if member.devices == 1 else 'devices'}"
    seen = "never connected" if member.seen is None else f"seen {ago(time.time() - member.seen)} ago"
    kept = [f"{member.waiting} waiting ({size_text(member.waiting_bytes)})"] if member.waiting else []
    kept += ["operator"] if member.operator else []
    kept += [f"disabled {ago(time.time() - member.disabled)} ago"] if member.disabled else []
    kept += [f"files {size_text(member.file_bytes)}"] if member.file_bytes else []
    print(f"{member.name:<32} {devices:<10}  {', '.join([seen, *kept])}")


def print_device(device: Device, as_json: bool) -> None:
    """Print a line about a member's device."""
    if as_json:
        line = {"device": device.name, "token": device.has_token, "seen": device.seen, "receives": bool(device.cursor)}
        print(json.dumps(line))
        return
    token = "token" if device.has_token else "no token"
    print(f"{device.name:<32} {token:<8}  seen {ago(time.time() - device.seen)} ago")


def print_status(found: dict[str, Any]) -> None:
    """Print how a server is."""
    lines = _lines(found) if found["running"] else []
    for name, text in lines + _database_lines(found):
        print(f"{name:<12} {text}")
    members, devices = found["members"], found["devices"]
    if members is not None:
        print(f"{'members':<12} {members}, with {devices} {'device' if devices == 1 else 'devices'}")
    if found["oldest_waiting"] is not None:
        print(f"{'waiting':<12} the oldest message for {ago(time.time() - found['oldest_waiting'])}")
    for each in found.get("met_limits", ()):
        last = ago(time.time() - each["last"])
        often = "once" if each["times"] == 1 else f"{each['times']} times, last"
        print(f"{'limit':<12} {each['who']} met {each['limit']} {often} {last} ago")
    for each in found["warnings"]:
        print(f"\nWarning: {each['warning']}\n  {each['remedy']}")


def print_findings(found: list[tuple[str, str, str, str]]) -> None:
    """Print what was found about an installation: level, part, text and remedy of each."""
    for level, part, text, remedy in found:
        print(visible(f"{level:<8} {part:<12} {text}{f' -> {remedy}' if remedy else ''}"))


def _lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    connections, messages, queue = found["connections"], found["messages"], found["queue"]
    ready = "ready" if found["ready"] else "not ready"
    lines = [
        ("version", f"{found['version']} ({'compiled' if found['compiled'] else 'plain Python'})"),
        ("running", f"for {ago(found['uptime'])}, process {found['process']}, {ready}"),
        (
            "connections",
            f"{connections['member']} of members, {connections['guest']} of guests,"
            f" {connections['registering']} not registered; at most {connections['limit']}"
            f"{_ways_text(connections.get('by_transport', {}))}",
        ),
        (
            "messages",
            f"{messages['per_second']:.1f} a second; {messages['accepted']} stored,"
            f" {messages['delivered']} delivered, {messages['failed']} failed, {messages['relayed']} to guests",
        ),
        (
            "queue",
            f"{queue['requests']} requests, {size_text(queue['bytes'])};"
            f" connections hold {size_text(found['held_bytes'])}",
        ),
    ]
    if found["refusals"]:
        lines.append(("refused", ", ".join(f"{number} {name}" for name, number in sorted(found["refusals"].items()))))
    if found["database_bytes"] is not None:
        free = f"{size_text(found['disk_free_bytes'])} free on the disk"
        lines.append(("database", f"{size_text(found['database_bytes'])}; {free}"))
    if found["certificate_end"] is not None:
        days = (found["certificate_end"] - time.time()) / 86400
        lines.append(("certificate", f"valid for {days:.0f} days" if days > 0 else "expired"))
    if found.get("mail") is not None:
        lines.append(("e-mail", _mail_text(found["mail"])))
    if found["backup"] is not None:
        newest, busy = found["backup"]["newest"], found["backup"].get("busy")
        none = "the first one is being made" if busy else "none yet"
        lines.append(("backup", none if newest is None else f"made {ago(time.time() - newest)} ago"))
    return lines


def _ways_text(ways: dict[str, int]) -> str:
    """Return by which ways connections came; nothing if all came by those of the protocol itself."""
    named = {"web": "by HTTP", "irc": "by IRC"}
    told = [f"{ways[way]} {text}" for way, text in named.items() if ways.get(way)]
    return f" ({', '.join(told)})" if told else ""


def _mail_text(mail: dict[str, Any]) -> str:
    """Return how it is with e-mail to members."""
    text = f"{mail['sent']} sent"
    if mail["refused"]:
        text += f", refused for {mail['refused']} {'member' if mail['refused'] == 1 else 'members'}"
    return f"{text}, failing for {ago(time.time() - mail['problem_since'])}" if mail["problem"] else text


def _database_lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return how the database on PostgreSQL is, if the data are there."""
    database = found["database"]
    if database is None:
        return []
    kind = "synchronous" if database["synchronous"] else "not synchronous"
    lines = [("database", f"PostgreSQL {database['version']}, {size_text(database['bytes'])}, {kind}")]
    if database["standbys"] is None:
        lines.append(("standbys", "not shown to this user of the database: GRANT pg_monitor TO it"))
    for each in database["standbys"] or ():
        role = "synchronous" if each["synchronous"] else "not synchronous"
        late = f", {each['seconds_behind']:.1f} s" if each["seconds_behind"] >= 0.1 else ""
        lines.append(("standby", f"{each['name']}: {role}, {size_text(each['bytes_behind'])}{late} behind"))
    lines += [
        ("server", f"{each['address']}: version {each['version']}, {each['devices']} devices connected")
        for each in found["servers"]
    ]
    if not found["running"] and database["served"]:
        lines.append(("running", "a server on another machine, or with another data folder"))
    return lines
