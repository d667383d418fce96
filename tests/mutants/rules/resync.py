"""What a resync may leave out, and what it may hold at once; docs/adr/0002."""

from tests.mutants.mutant import Mutant

_RECONCILER = "unit/kube/test_reconciler.py"
_STATUS = "unit/kube/test_status.py"
_CLIENT = "unit/kube/test_client.py"
_CATALOG = "contract/store/test_catalog.py"

RESYNC = (
    Mutant(
        "a known version is trusted only of what the store still has",
        "kube/resync.py",
        "if settled is not None and settled in stored:",
        "if settled is not None:",
        (_RECONCILER,),
    ),
    Mutant(
        "a status write of ours settles nothing",
        "kube/status.py",
        "known.standing, known.written, known.contested = Standing.of(answer), _digest(desired.status), False",
        'known.standing, known.written, known.settled = Standing.of(answer), _digest(desired.status), ""',
        (_STATUS,),
    ),
    Mutant(
        "what the watch brought during a list is newer than the list",
        "kube/resync.py",
        "changed = await self._catalog.apply([seen.declared for seen in fresh], keep=touched)",
        "changed = await self._catalog.apply([seen.declared for seen in fresh])",
        (_RECONCILER,),
    ),
    Mutant(
        "pages of large objects are short",
        "kube/client.py",
        "return max(SMALLEST_PAGE, min(LARGEST_PAGE, objects * PAGE_BYTES // max(1, size)))",
        "return LARGEST_PAGE",
        (_CLIENT,),
    ),
    Mutant(
        "a status is judged without the body of its Schedule",
        "store/catalog.py",
        'statement = SQL["many"] if bodies else SQL["many_without_bodies"]',
        'statement = SQL["many"]',
        (_CATALOG,),
    ),
)
