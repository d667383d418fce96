"""Where everything accepted is kept: SQLite behind the Store port."""

from angarium.store.sqlite import SqliteStore, open_store

__all__ = ["SqliteStore", "open_store"]
