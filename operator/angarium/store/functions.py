"""SQL functions for the filters on parts of a URL (contract 6)."""

import sqlite3
from urllib.parse import urlsplit


def register(connection: sqlite3.Connection) -> None:
    connection.create_function("url_host", 1, host_of, deterministic=True)
    connection.create_function("url_netloc", 1, netloc_of, deterministic=True)
    connection.create_function("url_path", 1, path_of, deterministic=True)


def host_of(url: str) -> str:
    """The host without port, in lower case; empty if there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def netloc_of(url: str) -> str:
    """Host and port as written, in lower case, without credentials."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


def path_of(url: str) -> str:
    """The path without query, as written."""
    try:
        return urlsplit(url).path
    except ValueError:
        return ""
