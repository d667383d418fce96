"""The small arithmetic language of `Upstash-Retry-Delay` and `retry.delay` (contract 4.6).

A text is translated once into a postfix program; running it is a loop over a stack. Running never raises and never
recurses: what arithmetic cannot answer becomes NaN or infinity, as in IEEE 754.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from operator import add, mul, neg, sub
from typing import NoReturn

from . import arithmetic
from .errors import InvalidInput

MAX_CHARACTERS = 1000
MAX_NESTING = 64
LONGEST_DELAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class _Step:
    """Takes `arity` values from the stack and puts one back; without `apply` it puts `retried` there."""

    arity: int
    apply: Callable[..., float] | None = None


_Program = tuple[float | _Step, ...]


@dataclass(frozen=True, slots=True)
class RetryExpression:
    """An expression that parsed. `text` is what was written, verbatim; equality goes by it."""

    text: str
    program: _Program = field(repr=False, compare=False)

    def delay(self, retried: int) -> timedelta | None:
        """The delay before the next retry, in whole milliseconds, 0 … 1 day (contract 4.6).

        `retried` counts the retries already made: 0 before the first. None: the result is NaN or infinite, and the
        default backoff is to be used.
        """
        value = _run(self.program, float(retried))
        if not math.isfinite(value):
            return None
        return timedelta(milliseconds=int(min(max(value, 0.0), LONGEST_DELAY_MS)))


@lru_cache(maxsize=1024)
def parse(text: str, field: str) -> RetryExpression:
    """Translate an expression. Raises InvalidInput with the offending token and its position, counted from 1.

    An expression that cannot be computed for some `retried` (`1000 / retried` at 0) is not an error (contract 4.6).
    """
    if len(text) > MAX_CHARACTERS:
        raise InvalidInput(field, f"is {len(text)} characters long; at most {MAX_CHARACTERS} are allowed")
    return RetryExpression(text, _Parser(text, field).program())


def _run(program: _Program, retried: float) -> float:
    stack: list[float] = []
    for step in program:
        if isinstance(step, float):
            stack.append(step)
        elif step.apply is None:
            stack.append(retried)
        else:
            arguments = stack[-step.arity :]
            del stack[-step.arity :]
            stack.append(step.apply(*arguments))
    return stack[0]


@dataclass(frozen=True, slots=True)
class _Function:
    apply: Callable[..., float]
    least: int = 1
    open_ended: bool = False

    def takes(self, count: int) -> bool:
        return count == self.least or (self.open_ended and count > self.least)

    def arity(self) -> str:
        return f"{self.least} or more arguments" if self.open_ended else f"exactly {self.least}"


_FUNCTIONS = {
    "pow": _Function(arithmetic.power, 2),
    "sqrt": _Function(arithmetic.root),
    "abs": _Function(abs),
    "exp": _Function(arithmetic.exponential),
    "floor": _Function(arithmetic.floor),
    "ceil": _Function(arithmetic.ceiling),
    "round": _Function(arithmetic.nearest),
    "min": _Function(arithmetic.least, 2, open_ended=True),
    "max": _Function(arithmetic.greatest, 2, open_ended=True),
}

_RETRIED = _Step(0)
_NEGATE = _Step(1, neg)
_SUMS = {"+": _Step(2, add), "-": _Step(2, sub)}
_PRODUCTS = {"*": _Step(2, mul), "/": _Step(2, arithmetic.divide)}

_BLANK = re.compile(r"[ \t\r\n]*")
_TOKEN = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)|(?P<name>[A-Za-z_][A-Za-z_0-9]*)|[-+*/(),]")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


class _Parser:
    """Recursive descent over the grammar of contract 4.6; the recursion is as deep as the nesting, which is bounded."""

    def __init__(self, text: str, field: str) -> None:
        self._field = field
        self._tokens = self._scan(text)
        self._next = 0
        self._nesting = 0
        self._program: list[float | _Step] = []

    def program(self) -> _Program:
        self._expression()
        if self._token.kind != "end":
            self._unexpected(self._token, "an operator or the end")
        return tuple(self._program)

    def _scan(self, text: str) -> list[_Token]:
        tokens = []
        position = _blank_end(text, 0)
        while position < len(text):
            found = _TOKEN.match(text, position)
            if not found:
                self._refuse(f"{text[position]!r} at position {position + 1} has no meaning here")
            tokens.append(_Token(found.lastgroup or found.group(), found.group(), position + 1))
            position = _blank_end(text, found.end())
        return [*tokens, _Token("end", "", len(text) + 1)]

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._token
        self._next += 1
        return token

    def _expression(self) -> None:
        self._chain(self._term, _SUMS)

    def _term(self) -> None:
        self._chain(self._unary, _PRODUCTS)

    def _chain(self, operand: Callable[[], None], operators: dict[str, _Step]) -> None:
        operand()
        while operator := operators.get(self._token.kind):
            self._next += 1
            operand()
            self._program.append(operator)

    def _unary(self) -> None:
        sign = self._take().kind if self._token.kind in _SUMS else "+"
        self._primary()
        if sign == "-":
            self._program.append(_NEGATE)

    def _primary(self) -> None:
        token = self._take()
        if token.kind == "number":
            self._program.append(float(token.text))
        elif token.kind == "name":
            self._name(token)
        elif token.kind == "(":
            self._nested(token)
            self._expect(")")
        else:
            self._unexpected(token, "a number, 'retried', a function or '('")

    def _name(self, token: _Token) -> None:
        if token.text == "retried":
            self._program.append(_RETRIED)
        elif function := _FUNCTIONS.get(token.text):
            count = self._arguments(token)
            if not function.takes(count):
                self._refuse(f"{token.text!r} at position {token.position} takes {function.arity()}, not {count}")
            self._program.append(_Step(count, function.apply))
        else:
            self._refuse(
                f"unknown name {token.text!r} at position {token.position}; "
                f"there are 'retried' and the functions {', '.join(_FUNCTIONS)}"
            )

    def _arguments(self, name: _Token) -> int:
        self._expect("(")
        if self._token.kind == ")":
            self._next += 1
            return 0
        self._nested(name)
        count = 1
        while self._token.kind == ",":
            self._next += 1
            self._nested(name)
            count += 1
        self._expect(")")
        return count

    def _nested(self, opening: _Token) -> None:
        if self._nesting == MAX_NESTING:
            self._refuse(f"{opening.text!r} at position {opening.position} is nested deeper than {MAX_NESTING} levels")
        self._nesting += 1
        self._expression()
        self._nesting -= 1

    def _expect(self, kind: str) -> None:
        token = self._take()
        if token.kind != kind:
            self._unexpected(token, repr(kind))

    def _unexpected(self, token: _Token, expected: str) -> NoReturn:
        found = "the expression ends" if token.kind == "end" else f"found {token.text!r}"
        self._refuse(f"{found} at position {token.position} where {expected} should be")

    def _refuse(self, problem: str) -> NoReturn:
        raise InvalidInput(self._field, problem)


def _blank_end(text: str, position: int) -> int:
    found = _BLANK.match(text, position)
    return found.end() if found else position
