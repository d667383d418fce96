import pytest

from angarium.domain.messages import MessageState
from angarium.domain.runs import run_state

W, D, R, OK, F, C = (
    MessageState.WAITING,
    MessageState.DELIVERING,
    MessageState.RETRYING,
    MessageState.DELIVERED,
    MessageState.FAILED,
    MessageState.CANCELED,
)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], F),
        ([W], W),
        ([D], D),
        ([R], R),
        ([OK], OK),
        ([F], F),
        ([C], C),
        ([OK, OK], OK),
        ([C, C], C),
        ([OK, C], OK),
        ([C, OK], OK),
        ([OK, F], F),
        ([C, F], F),
        ([OK, C, F], F),
        ([F, W], W),
        ([F, D], D),
        ([F, R], R),
        ([OK, W], W),
        ([C, W], W),
        ([W, D], D),
        ([D, R], R),
        ([W, D, R, OK, F, C], R),
        ([W, D, OK, F, C], D),
    ],
)
def test_state_of_a_run(states: list[MessageState], expected: MessageState) -> None:
    assert run_state(states) is expected
    assert run_state(reversed(states)) is expected
    assert run_state(states * 3) is expected
