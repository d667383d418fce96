"""How a number of things is written for a person."""


def counted(count: int, noun: str) -> str:
    """`1 slot`, `2 slots`: for a noun whose plural ends in s."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
