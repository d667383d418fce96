"""What is left of messages that have ended: it goes when nothing needs it any more.

Five things keep an ended message's row: a log entry, a dead letter, a run that a status may show, a place in a queue
that it still holds, a callback of it that is on its way. Whoever removes one of them looks whether it was the last, so
that nothing has to be searched for.
"""

from collections.abc import Collection

from angarium.store.statements import load
from angarium.store.transaction import Transaction, json_array

SQL = load("remains")


def sweep(tx: Transaction, messages: Collection[int]) -> None:
    """Of these messages, remove the bodies and the rows that nothing needs any more, and then what they needed."""
    given = json_array(messages)
    bodies = tx.objects(SQL["spare_bodies"], given)
    for row in bodies:
        tx.charge(row["namespace"], stored_bytes=-row["size"])
    tx.run(SQL["delete_bodies"], json_array(row["message"] for row in bodies))
    spare = tx.objects(SQL["spare_messages"], given)
    seqs = json_array(row["seq"] for row in spare)
    tx.run(SQL["delete_attempts"], seqs)
    tx.run(SQL["delete_messages"], seqs)
    sweep_runs(tx, {row["run"] for row in spare if row["run"] is not None})
    sources = {(row["namespace"], row["source"]) for row in spare if row["source"] is not None}
    if sources:  # a callback has no callbacks, so this ends
        sweep(tx, [row["seq"] for row in tx.objects(SQL["sources"], json_array(sources))])


def sweep_runs(tx: Transaction, runs: Collection[int]) -> None:
    """Of these runs, remove those that are not listed and have no messages."""
    tx.run(SQL["delete_empty_runs"], json_array(runs))
