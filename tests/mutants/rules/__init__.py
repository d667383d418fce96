"""The rules that `make mutants` breaks, by area; their numbers are sections of the wire contract."""

from tests.mutants.rules.api import API, REDACTION, TENANTS
from tests.mutants.rules.courier import COURIER
from tests.mutants.rules.crashes import FILES
from tests.mutants.rules.declarations import ADDRESSES, CONDITIONS, FENCES, HANDOVER, PRECEDENCE, REFERENCES
from tests.mutants.rules.delivery import ATTEMPTS, CALLBACKS, CANCEL, SIGNATURES
from tests.mutants.rules.endpoints import ENDPOINTS
from tests.mutants.rules.events import EVENTS
from tests.mutants.rules.hostile import HOSTILE
from tests.mutants.rules.housekeeping import HOUSEKEEPING, OVERLOAD
from tests.mutants.rules.operations import OPERATIONS
from tests.mutants.rules.order import DEDUPLICATION, FLOW_CONTROL, QUEUES
from tests.mutants.rules.restarts import RESTARTS
from tests.mutants.rules.resync import RESYNC
from tests.mutants.rules.schedules import SCHEDULES
from tests.mutants.rules.time import CRON, DELAYS, RUNS, SLOTS

MUTANTS = (
    *API,
    *QUEUES,
    *FLOW_CONTROL,
    *DEDUPLICATION,
    *CALLBACKS,
    *SIGNATURES,
    *ATTEMPTS,
    *CANCEL,
    *TENANTS,
    *REDACTION,
    *FILES,
    *COURIER,
    *HOSTILE,
    *HOUSEKEEPING,
    *OVERLOAD,
    *OPERATIONS,
    *EVENTS,
    *RESTARTS,
    *RESYNC,
    *ENDPOINTS,
    *HANDOVER,
    *CRON,
    *SLOTS,
    *RUNS,
    *DELAYS,
    *PRECEDENCE,
    *CONDITIONS,
    *REFERENCES,
    *FENCES,
    *ADDRESSES,
    *SCHEDULES,
)
