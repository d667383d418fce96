"""Where everything accepted is kept: SQLite behind the Store port."""

from angarium.store.backup import back_up
from angarium.store.location import check_exists
from angarium.store.migration import check_current
from angarium.store.restore import restore
from angarium.store.sqlite import SqliteStore, open_store

__all__ = ["SqliteStore", "back_up", "check_current", "check_exists", "open_store", "restore"]
