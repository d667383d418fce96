"""Sessions in SQLite, and a daily clean-up of them that Angarium calls.

Environment: QSTASH_URL, QSTASH_TOKEN and both signing keys as the Secret of a Token gives them; APP_URL is where
Angarium reaches this app; DATABASE and CLEANUP_CRON have defaults.
"""

import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from fastapi import FastAPI, HTTPException, Request
from qstash import AsyncQStash, Receiver
from qstash.errors import SignatureError

APP_URL = os.environ["APP_URL"].rstrip("/")
CLEANUP_URL = f"{APP_URL}/cleanup"
CLEANUP_CRON = os.environ.get("CLEANUP_CRON", "CRON_TZ=Europe/Berlin 30 3 * * *")
DATABASE = os.environ.get("DATABASE", "sessions.db")

receiver = Receiver(os.environ["QSTASH_CURRENT_SIGNING_KEY"], os.environ["QSTASH_NEXT_SIGNING_KEY"])


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The id makes it idempotent: every start, of every replica, sets the same schedule."""
    with database() as db:
        db.execute("CREATE TABLE IF NOT EXISTS sessions (name TEXT PRIMARY KEY, seen_at TEXT NOT NULL)")
    client = AsyncQStash(os.environ["QSTASH_TOKEN"], base_url=os.environ["QSTASH_URL"])
    await client.schedule.create(
        schedule_id="session-cleanup",
        destination=CLEANUP_URL,
        cron=CLEANUP_CRON,
        retries=5,
        retry_delay="60000 * (1 + retried)",  # milliseconds
    )
    yield


app = FastAPI(lifespan=lifespan)


@app.put("/sessions/{name}", status_code=204)
def seen(name: str, days_ago: int = 0) -> None:
    """A session was seen now, or some days ago."""
    with database() as db:
        db.execute("INSERT OR REPLACE INTO sessions VALUES (?, datetime('now', ?))", (name, f"-{days_ago} days"))


@app.get("/sessions")
def sessions() -> list[str]:
    with database() as db:
        return [name for (name,) in db.execute("SELECT name FROM sessions ORDER BY name")]


@app.post("/cleanup")
async def cleanup(request: Request) -> dict[str, int]:
    """Deletes what is older than 30 days. Safe to be called twice: a delivery is made at least once."""
    try:
        receiver.verify(
            signature=request.headers.get("Upstash-Signature", ""),
            body=(await request.body()).decode(),
            url=CLEANUP_URL,
        )
    except SignatureError as error:
        raise HTTPException(403, f"the signature is not valid: {error}") from error
    with database() as db:
        deleted = db.execute("DELETE FROM sessions WHERE seen_at < datetime('now', '-30 days')").rowcount
    return {"deleted": deleted}


@contextmanager
def database() -> Iterator[sqlite3.Connection]:
    """A connection of its own, committed and closed at the end."""
    connection = sqlite3.connect(DATABASE)
    try:
        with connection:
            yield connection
    finally:
        connection.close()
