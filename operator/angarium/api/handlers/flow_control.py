"""Flow-control keys, and how much may be on its way at once (contract 13)."""

from collections.abc import Mapping
from datetime import timedelta

from angarium.api import wire
from angarium.api.context import Context
from angarium.api.exchange import Answer, Call
from angarium.api.history import bounded_number
from angarium.api.option_values import MAX_FLOW_LIMIT, MIN_PERIOD, Rules, boolean
from angarium.api.routes import Need, Route
from angarium.domain.durations import parse_wire
from angarium.domain.errors import InvalidInput, NotFound
from angarium.domain.flow_control import MAX_PERIOD, FlowChange, Pause, Pin, ResetRate, Unpin
from angarium.domain.names import check_opaque

_KEY = "flowControlKey"
_SECOND = timedelta(seconds=1)


class FlowControlHandlers:
    """Reading, pausing and pinning. A key is everything before the last segment of a path, slashes included."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        key = "/v2/flowControl/{flowControlKey...}"
        return (
            Route("GET", "/v2/flowControl", Need.READ, self.keys),
            Route("GET", key, Need.READ, self.key),
            Route("POST", f"{key}/pause", Need.WRITE, self.pause),
            Route("POST", f"{key}/resume", Need.WRITE, self.resume),
            Route("POST", f"{key}/pin", Need.WRITE, self.pin),
            Route("POST", f"{key}/unpin", Need.WRITE, self.unpin),
            Route("POST", f"{key}/resetRate", Need.WRITE, self.reset_rate),
            Route("POST", f"{key}/reset", Need.WRITE, self.reset),
            Route("GET", "/v2/globalParallelism", Need.READ, self.parallelism),
        )

    async def keys(self, call: Call) -> Answer:
        """All keys, or those with `search` in them."""
        search = _given(call).get("search", "")
        if search:
            check_opaque(search, "search")
        views = await self._context.store.flow_controls(call.namespace, search, self._context.clock.now())
        return Answer([wire.flow_control_key(view) for view in views])

    async def key(self, call: Call) -> Answer:
        """One key."""
        key = _key(call)
        view = await self._context.store.flow_control(call.namespace, key, self._context.clock.now())
        if view is None:
            raise NotFound(f"there is no flow-control key {key[:100]!r}; a key exists once a message has used it")
        return Answer(wire.flow_control_key(view))

    async def pause(self, call: Call) -> Answer:
        """Nothing with this key starts."""
        return await self._change(call, Pause(paused=True))

    async def resume(self, call: Call) -> Answer:
        """What waits may start again."""
        return await self._change(call, Pause(paused=False))

    async def pin(self, call: Call) -> Answer:
        """Fix limits, whatever messages say."""
        return await self._change(call, _pin(_given(call)))

    async def unpin(self, call: Call) -> Answer:
        """Let messages decide again; only what is named with `true`."""
        given, rules = _given(call), Rules(self._context.clock.now(), self._context.limits)
        parallelism, rate = (boolean(given.get(name, "false"), name, rules) for name in ("parallelism", "rate"))
        return await self._change(call, Unpin(parallelism, rate))

    async def reset_rate(self, call: Call) -> Answer:
        """Forget the starts of this window."""
        return await self._change(call, ResetRate())

    async def reset(self, call: Call) -> Answer:
        """What unpin and resetRate have replaced (contract 7)."""
        return await self._change(call, Unpin(parallelism=True, rate=True), ResetRate())

    async def parallelism(self, call: Call) -> Answer:
        """The tenant's messages on their way, and the most there may be of all tenants."""
        count = await self._context.store.delivering(call.namespace)
        return Answer({"parallelismMax": self._context.parallelism, "parallelismCount": count})

    async def _change(self, call: Call, *changes: FlowChange) -> Answer:
        await self._context.flow_controls.change(call.namespace, _key(call), *changes)
        return Answer({})


def _key(call: Call) -> str:
    key = call.parameter(_KEY)
    check_opaque(key, _KEY)
    return key


def _given(call: Call) -> Mapping[str, str]:
    """The last value of each parameter."""
    return dict(call.target.filters())


def _pin(given: Mapping[str, str]) -> Pin:
    pin = Pin(_whole(given, "parallelism"), _whole(given, "rate"), _period(given))
    if pin == Pin():
        raise InvalidInput("parallelism", "is missing, and so is rate: give at least one of them to pin")
    if pin.period is not None and pin.rate is None:
        raise InvalidInput("period", "needs a rate: give the rate that this period is for")
    return pin


def _whole(given: Mapping[str, str], name: str) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    return bounded_number(text, name, 1, MAX_FLOW_LIMIT)


def _period(given: Mapping[str, str]) -> timedelta | None:
    text = given.get("period")
    if text is None:
        return None
    period = parse_wire(text, "period")
    if not MIN_PERIOD <= period <= MAX_PERIOD or period % _SECOND:
        raise InvalidInput(
            "period", f"{text[:40]!r} is not a whole number of seconds from 1 to {MAX_PERIOD // _SECOND}"
        )
    return period
