"""What the handlers work with."""

from dataclasses import dataclass

from angarium.api.auth import KeyRing
from angarium.api.options import OptionLimits
from angarium.domain.addresses import AddressPolicy
from angarium.domain.ports import Clock, Store
from angarium.service.publishing import Publishing


@dataclass(frozen=True, slots=True)
class Context:
    """Services, the store for what is only read, and the rules of this installation."""

    publishing: Publishing
    store: Store
    keys: KeyRing
    clock: Clock
    limits: OptionLimits
    policy: AddressPolicy
