"""The longest history that a Schedule can have: 50 runs, each of 100 messages, each given up after 101 attempts."""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from tests.support.stores import attempt, firing, grant

from angarium.domain.declarations import Schedule
from angarium.domain.firing import DueSchedule
from angarium.domain.messages import Leased, Outcome, Publication, Result
from angarium.domain.ports import Store

RUNS, MEMBERS, ATTEMPTS = 50, 100, 101
HOUR = timedelta(hours=1)
ERROR = "Timeout: <&> " + "日" * 243
"""As long as a status shows errors, in three bytes a character, and with what the API server escapes."""

_EARLIER = """
INSERT INTO attempts (message, number, time_ms, duration_us, status, error)
WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < ?)
SELECT m.seq, n.number, m.created_ms + 1000 * n.number, 1500, 0, iif(n.number > 90, ?, 'HTTP 503')
FROM messages AS m CROSS JOIN numbers AS n WHERE m.run IS NOT NULL
"""


async def fill(store: Store, database: Path, due: DueSchedule, newest: datetime, error: str = ERROR) -> list[datetime]:
    """Fire the runs of a Schedule with 100 destinations, the newest slot last; returns their slots, newest first.

    What ends them goes the way of every outcome; the attempts before, half a million, are put into the file.
    """
    slots = [newest - HOUR * number for number in range(RUNS)]
    spec = due.declared.spec
    assert isinstance(spec, Schedule)
    sent = Publication(due.declared.ref.namespace, spec.destination, newest, b"report")
    (fired,) = await store.fire([firing(due, *reversed(slots), now=newest, publication=sent)], None)
    assert all(run.acceptance for run in fired.runs), fired.runs[0]
    for _ in range(RUNS):
        claimed = await store.claim(grant(MEMBERS, lane_room=MEMBERS), newest)
        await store.record([_given_up(one, error) for one in claimed.leased], newest)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(_EARLIER, (ATTEMPTS - 1, error))
    return slots


def _given_up(leased: Leased, error: str) -> Outcome:
    url = leased.message.url or "https://endpoint.test/"
    return Outcome(leased, Result.FAILED, attempt(ATTEMPTS, None, url, error=error))
