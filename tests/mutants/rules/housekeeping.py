"""What ages out, how much of it goes at once, and who waits for whom under overload; DESIGN 7."""

from tests.mutants.mutant import Mutant

_PIECES = "unit/store/test_pieces.py"
_SOAK = "e2e/test_retention.py::test_what_has_ended_ages_out_until_nothing_is_left"
_ADMISSION = "unit/service/test_admission.py"

HOUSEKEEPING = (
    Mutant(
        "large bodies go a few at a time",
        "store/housekeeping.py",
        'rows = fitting(tx.objects(SQL["aged"], cutoff=to_ms(cutoff), limit=limit), MOST_BYTES, "weight")',
        'rows = tx.objects(SQL["aged"], cutoff=to_ms(cutoff), limit=limit)',
        (_PIECES,),
    ),
    Mutant(
        "a claim reads large bodies a few at a time",
        "store/leases.py",
        "if piece and size + due.size > _MOST_BYTES:",
        "if piece and len(piece) >= 500:",
        (_PIECES,),
    ),
    Mutant(
        "what ends while its tenant goes leaves nothing behind",
        "store/sqlite.py",
        "        await self._clear_tables(namespace)  # what was in flight may have ended meanwhile, and told of it\n",
        "",
        (_PIECES,),
    ),
    Mutant(
        "flow-control keys that nothing uses age out",
        "store/housekeeping.py",
        "return count + flow_control.purge(tx, now - _FLOW_CONTROL_KEPT, now, limit)",
        "return count",
        (_SOAK,),
    ),
    Mutant(
        "a batch that took long is followed by a smaller one",
        "store/portions.py",
        "if busy_s > 2 * _AIM_S:",
        "if busy_s > 2000 * _AIM_S:",
        ("unit/store/test_portions.py",),
    ),
    Mutant(
        "the file shrinks, but not below a share that stays free",
        "store/housekeeping.py",
        "free - max(_PAGES_KEPT, pages // _SHARE_KEPT)",
        "free",
        ("unit/store/test_space.py",),
    ),
    Mutant(
        "who writes does not wait until a long read ends, for the write-ahead log to be taken back",
        "store/checkpoints.py",
        "with self._readers.held():",
        "if True:",
        ("unit/store/test_checkpoints.py",),
    ),
    Mutant(
        "the write-ahead log is taken back though somebody always reads",
        "store/checkpoints.py",
        "if self._wal.stat().st_size > _TOO_LARGE:",
        "if False:",
        ("unit/store/test_checkpoints.py",),
    ),
)

OVERLOAD = (
    Mutant(
        "what waits for its destination refuses nobody",
        "service/admission.py",
        "elif self.lateness_s > _BUSY_S and self.waiting > allowed:",
        "elif self.waiting > allowed:",
        (_ADMISSION,),
    ),
    Mutant(
        "under strain a publish needs a delivery before it",
        "service/admission.py",
        "self._credit -= messages  # a large batch goes into debt",
        "pass",
        (_ADMISSION,),
    ),
)
