"""What state a run is in, told by the states of its messages (DESIGN 5, Schedule)."""

from collections.abc import Iterable

from angarium.domain.messages import MessageState

_MOST_ADVANCED_FIRST = (MessageState.RETRYING, MessageState.DELIVERING, MessageState.WAITING)


def run_state(states: Iterable[MessageState]) -> MessageState:
    """The state of a run with messages in these states; how often one occurs makes no difference.

    While a message is active: the most advanced of Retrying, Delivering, Waiting. Then Failed if any failed, Canceled
    if all were cancelled, else Delivered. A run without messages could not start: Failed.
    """
    present = frozenset(states)
    for state in _MOST_ADVANCED_FIRST:
        if state in present:
            return state
    if MessageState.FAILED in present or not present:
        return MessageState.FAILED
    return MessageState.DELIVERED if MessageState.DELIVERED in present else MessageState.CANCELED
