"""What can be configured, read once at start: flags before ANGARIUM_* variables before defaults.

Each setting is one field here; its flag, variable, help text and parser follow from it. Anything unknown or malformed
stops the start with one clear line.
"""

import dataclasses
import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from angarium.domain.durations import format_duration, parse_declared
from angarium.domain.errors import InvalidInput, SettingsError
from angarium.domain.pod import NAMESPACE, Pod, parse_pod

PREFIX = "ANGARIUM_"

_SERVICE_VARIABLE = re.compile(r"ANGARIUM_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")
_SERVICE_LINK = re.compile(r"(tcp|udp|sctp)://.+")

Networks = tuple[IPv4Network | IPv6Network, ...]


def _setting(default: Any, parse: Callable[[str], Any], help_text: str, metavar: str) -> Any:
    metadata = {"parse": parse, "help": help_text, "metavar": metavar}
    if isinstance(default, (list, dict)):
        raise TypeError("a default has to be immutable")
    return dataclasses.field(default=default, metadata=metadata)


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty: leave it out, or give a value")
    return text


def _path(text: str) -> Path:
    return Path(_text(text))


def _integer(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,16}", text) or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most} is needed")
        return int(text)

    return parse


def _duration(text: str) -> timedelta:
    try:
        return parse_declared(text, "")
    except InvalidInput as error:
        raise ValueError(f"a duration like 30s, 5m or 1d12h is needed ({error.problem})") from error


def _at_least(least: timedelta) -> Callable[[str], timedelta]:
    def parse(text: str) -> timedelta:
        duration = _duration(text)
        if duration < least:
            raise ValueError(f"at least {format_duration(least)} is needed")
        return duration

    return parse


def _boolean(text: str) -> bool:
    if text.lower() in ("true", "1", "yes", "on"):
        return True
    if text.lower() in ("false", "0", "no", "off"):
        return False
    raise ValueError("true or false is needed")


def _networks(text: str) -> Networks:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return tuple(ip_network(part) for part in parts)
    except ValueError as error:
        raise ValueError(f"addresses or ranges like 127.0.0.1/32 are needed, separated by commas ({error})") from error


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if text and not names:
        raise ValueError("it names no namespace: leave it out, or empty, for all of them")
    for name in names:
        if not NAMESPACE.fullmatch(name):
            raise ValueError(
                f"{name!r} is no name of a namespace; names like shop,billing are needed, separated by commas, or none "
                "for all namespaces"
            )
    return names


def _url(text: str) -> str:
    """Of the API: publishers put paths behind it, and it stands in Secrets and logs."""
    parts = urlsplit(text)
    _ = parts.port  # raises ValueError for one that is none
    more = "@" in parts.netloc or any(mark in text for mark in "?#") or any(map(str.isspace, text))
    if parts.scheme not in ("http", "https") or not parts.netloc or more:
        raise ValueError(
            "a URL like http://angarium.example.svc:8080 is needed, without user, query, fragment and spaces"
        )
    return text.rstrip("/")


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)} is needed")
        return text

    return parse


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings with their defaults for a cluster; `angarium dev` has some of its own (cli)."""

    database: Path = _setting(Path("/var/lib/angarium/angarium.db"), _path, "The SQLite database file.", "FILE")
    host: str = _setting("0.0.0.0", _text, "The address that the HTTP API listens on.", "ADDRESS")
    port: int = _setting(8080, _integer(0, 65535), "The port of the HTTP API; 0 takes a free one.", "PORT")
    health_host: str = _setting("0.0.0.0", _text, "The address of /livez, /readyz and /metrics.", "ADDRESS")
    health_port: int = _setting(9090, _integer(0, 65535), "The port of /livez, /readyz and /metrics.", "PORT")
    public_url: str = _setting(
        "http://angarium.angarium.svc:8080", _url, "How publishers reach the API: QSTASH_URL in Token Secrets.", "URL"
    )
    kubeconfig: Path | None = _setting(None, _path, "A kubeconfig file; without it, the pod's service account.", "FILE")
    namespaces: tuple[str, ...] = _setting(
        (), _names, "Watch these namespaces only (comma-separated); all of them by default.", "NAMES"
    )
    resync: timedelta = _setting(
        timedelta(minutes=5), _at_least(timedelta(seconds=1)), "How often all objects are listed.", "DURATION"
    )
    max_body: int = _setting(2**20, _integer(1, 2**30), "The largest message body in bytes.", "BYTES")
    max_batch: int = _setting(100 * 2**20, _integer(1, 2**30), "The largest batch request in bytes.", "BYTES")
    max_response: int = _setting(
        64 * 2**10,
        _integer(0, 2**30),
        "How much of a response body is kept, in bytes; in memory as many times as messages are being delivered.",
        "BYTES",
    )
    max_delay: timedelta = _setting(timedelta(days=366), _duration, "The longest delay of a message.", "DURATION")
    in_flight: int = _setting(1000, _integer(1, 100_000), "The most messages being delivered at once.", "NUMBER")
    in_flight_bytes: int = _setting(
        64 * 2**20,
        _integer(1, 10**12),
        "The most bytes of their bodies in memory; a larger body is delivered while no other is held.",
        "BYTES",
    )
    in_flight_per_destination: int = _setting(
        100,
        _integer(1, 100_000),
        "The most requests at once to one Endpoint, or to URLs of one host, of one namespace.",
        "NUMBER",
    )
    in_flight_per_host: int = _setting(
        200,
        _integer(1, 100_000),
        "The most requests at once to one host and port, over all Endpoints, URLs and namespaces.",
        "NUMBER",
    )
    retry_jitter: int = _setting(
        0, _integer(0, 100), "How much longer a retry may wait, at random, in percent of its delay.", "PERCENT"
    )
    public_only: bool = _setting(False, _boolean, "Refuse destinations in private address ranges.", "BOOLEAN")
    allow_address: Networks = _setting(
        (), _networks, "Ranges that may be called although they are refused otherwise, e.g. 127.0.0.1/32.", "RANGES"
    )
    orphan_grace: timedelta = _setting(
        timedelta(minutes=5), _duration, "How long messages of a deleted Endpoint wait for its return.", "DURATION"
    )
    callback_hold: timedelta = _setting(
        timedelta(hours=24),
        _at_least(timedelta(seconds=1)),
        "How long callbacks of a message that has ended may hold its place in a queue.",
        "DURATION",
    )
    keep_messages: timedelta = _setting(
        timedelta(days=3),
        _at_least(timedelta(minutes=1)),
        "How long messages stay readable after their end.",
        "DURATION",
    )
    keep_log: timedelta = _setting(timedelta(days=7), _duration, "How long log entries are kept.", "DURATION")
    keep_dead_letters: timedelta = _setting(timedelta(days=7), _duration, "How long dead letters are kept.", "DURATION")
    waiting_limit: int = _setting(
        1_000_000, _integer(1, 10**12), "The most waiting messages of one namespace.", "NUMBER"
    )
    bytes_limit: int = _setting(
        10 * 2**30, _integer(1, 10**15), "The most bytes of stored bodies and responses of one namespace.", "BYTES"
    )
    max_queues: int = _setting(
        1_000, _integer(0, 10**6), "The most queues that one namespace may make over the API.", "NUMBER"
    )
    max_schedules: int = _setting(
        1_000, _integer(0, 10**6), "The most schedules that one namespace may make over the API.", "NUMBER"
    )
    max_topics: int = _setting(
        1_000, _integer(0, 10**6), "The most URL groups that one namespace may make over the API.", "NUMBER"
    )
    max_fixed_keys: int = _setting(
        10_000,
        _integer(0, 10**6),
        "The most flow-control keys that one namespace may have paused or pinned.",
        "NUMBER",
    )
    drain: timedelta = _setting(
        timedelta(seconds=30), _duration, "How long attempts may finish when the program is told to end.", "DURATION"
    )
    pod: Pod | None = _setting(
        None,
        parse_pod,
        "The pod that it runs in, NAMESPACE/NAME/UID: where Events about Angarium itself go.",
        "POD",
    )
    log_format: str = _setting("json", _choice("json", "text"), "The form of log lines: json or text.", "FORM")
    log_level: str = _setting(
        "info",
        _choice("debug", "info", "warning", "error"),
        "The least level that is logged: debug, info, warning or error.",
        "LEVEL",
    )


def fields() -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(Settings)


def variable(field_name: str) -> str:
    return PREFIX + field_name.upper()


def flag(field_name: str) -> str:
    return "--" + field_name.replace("_", "-")


def default_text(value: Any) -> str:
    """A default as a person would write it, empty when there is none."""
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None or value == () else str(value)


def load(flags: Mapping[str, str | None], environ: Mapping[str, str], defaults: Settings) -> Settings:
    """The settings in force. Raises SettingsError for an unknown ANGARIUM_* variable or a value that does not parse."""
    variables = {name: text for name, text in environ.items() if _is_ours(name, text)}
    unknown = sorted(variables.keys() - {variable(field.name) for field in fields()})
    if unknown:
        raise SettingsError(
            f"unknown setting {unknown[0]}: {_meant(unknown[0])}`angarium run --help` lists the settings"
        )
    given: dict[str, Any] = {}
    for field in fields():
        by_flag, by_variable = flags.get(field.name), variables.get(variable(field.name))
        if by_flag is not None:
            given[field.name] = _parsed(field, flag(field.name), by_flag)
        elif by_variable is not None:
            given[field.name] = _parsed(field, variable(field.name), by_variable)
    return dataclasses.replace(defaults, **given)


def value(field_name: str, source: str, text: str) -> Any:
    """One setting's value from a source with a name of its own. Raises SettingsError that names the source."""
    return _parsed(next(field for field in fields() if field.name == field_name), source, text)


def _meant(name: str) -> str:
    names = [field.name.upper() for field in fields()]
    near = difflib.get_close_matches(name.upper().removeprefix(PREFIX), names, 1, 0.75)
    return f"is {PREFIX}{near[0]} meant? " if near else ""


def _is_ours(name: str, text: str) -> bool:
    """Kubernetes puts variables for every Service into a pod; a Service named angarium makes them look like ours."""
    if not name.startswith(PREFIX) or _SERVICE_VARIABLE.fullmatch(name):
        return False
    return not (name.endswith("_PORT") and _SERVICE_LINK.fullmatch(text))


def _parsed(field: dataclasses.Field[Any], source: str, text: str) -> Any:
    try:
        return field.metadata["parse"](text)
    except ValueError as error:
        raise SettingsError(f"{source}={text!r} cannot be used: {error}") from error
