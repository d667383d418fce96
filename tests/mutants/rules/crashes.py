"""What must hold whatever happens to the process, the disk and the files."""

from tests.mutants.mutant import Mutant

_WAL = "unit/store/test_wal.py"
_OPENING = "unit/store/test_opening.py"
_DURABILITY = "unit/store/test_durability.py"

FILES = (
    Mutant(
        "a log that has lost commits is refused",
        "store/wal.py",
        "if index and index.salt == log.salt and readable < index.frames:",
        "if index and index.salt != log.salt and readable < index.frames:",
        (_WAL,),
    ),
    Mutant(
        "without an index a log that was damaged in the middle is refused",
        "store/wal.py",
        "return _commits_after(path, log, readable) > 1",
        "return False",
        (_WAL,),
    ),
    Mutant(
        "a commit that a power failure cut off is no damage",
        "store/wal.py",
        "return _commits_after(path, log, readable) > 1",
        "return _commits_after(path, log, readable) > 0",
        (_WAL,),
    ),
    Mutant(
        "a back-up does not tidy away a log that has lost commits",
        "store/backup.py",
        "    _check_log(database.resolve())\n",
        "",
        ("unit/store/test_backup.py",),
    ),
    Mutant(
        "the first operation of a transaction that fails is undone too",
        "store/writer.py",
        'self._undo = ("ROLLBACK", _BEGIN) if first else',
        "self._undo = () if first else",
        (_DURABILITY,),
    ),
    Mutant(
        "a database has one lock by whatever name",
        "store/sqlite.py",
        '"angarium.db").resolve()',
        '"angarium.db").absolute()',
        (_OPENING,),
    ),
    Mutant(
        "a database with two names is refused",
        "store/location.py",
        "database.stat().st_nlink > 1",
        "database.stat().st_nlink > 2",
        (_OPENING,),
    ),
    Mutant(
        "damage that was met counts for good",
        "store/sqlite.py",
        "self._damage = str(error)",
        "self._damage = None",
        (_DURABILITY,),
    ),
    Mutant(
        "a write that failed counts until one succeeds",
        "store/sqlite.py",
        "await self._write(housekeeping.touch)",
        "pass",
        (_DURABILITY,),
    ),
)
