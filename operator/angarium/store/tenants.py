"""Removes a tenant: first what could bring new messages, then the rest piece by piece."""

from angarium.store.statements import load
from angarium.store.transaction import Transaction, json_array

SQL = load("tenant")
_PIECE = 2000


def close(tx: Transaction, namespace: str) -> None:
    """Nothing gets in or out from now on: tokens, keys and objects go at once."""
    for name in ("tokens", "signing_keys", "declared", "mentions", "schedules", "endpoint_stats", "lanes"):
        tx.run(SQL[name], namespace)


def clear(tx: Transaction, namespace: str) -> bool:
    """Remove a piece of the log or of the messages; at last the sums. Returns whether to go on."""
    log = tx.rows(SQL["some_log"], namespace=namespace, limit=_PIECE)
    if log:
        tx.run(SQL["delete_log"], json_array(row["id"] for row in log))
        return True
    messages = json_array(row["seq"] for row in tx.rows(SQL["some_messages"], namespace=namespace, limit=_PIECE))
    for name in ("delete_bodies", "delete_attempts"):
        tx.run(SQL[name], messages)
    if tx.run(SQL["delete_messages"], messages):
        return True
    for name in ("dead_letters", "runs", "lanes", "usage"):
        tx.run(SQL[name], namespace)
    return False
