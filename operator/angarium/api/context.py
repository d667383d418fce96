"""What the handlers work with."""

from collections.abc import Callable
from dataclasses import dataclass, field

from angarium.api.auth import KeyRing
from angarium.api.options import OptionLimits
from angarium.api.refusals import Refusals
from angarium.domain.addresses import AddressPolicy
from angarium.domain.declarations import ObjectRef
from angarium.domain.ports import Clock, Store
from angarium.service.dead_letters import DeadLetters
from angarium.service.flow_control import FlowControls
from angarium.service.messages import Messages
from angarium.service.objects import Objects
from angarium.service.publishing import Publishing


@dataclass(frozen=True, slots=True)
class Context:
    """Services, the store for what is only read, and the rules of this installation.

    `parallelism`: how many messages may be on their way at once, of all tenants together. `home`: which file declares
    an object, where files do (dev mode).
    """

    publishing: Publishing
    messages: Messages
    dead_letters: DeadLetters
    flow_controls: FlowControls
    objects: Objects
    store: Store
    keys: KeyRing
    clock: Clock
    limits: OptionLimits
    policy: AddressPolicy
    parallelism: int
    refusals: Refusals = field(default_factory=Refusals)
    home: Callable[[ObjectRef], str] | None = None
