"""The state of the abstract interpreter, and the few operations everything else is made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import gast

from s2s_ad.errors import Loc, S2SError
from s2s_ad.frontend.errors import UnsupportedTypeError
from s2s_ad.frontend.facts import Facts, shifted, split_dim
from s2s_ad.frontend.source import Source
from s2s_ad.frontend.values import Box, Cell, View, describe, is_atom
from s2s_ad.ir.build import Builder, i64
from s2s_ad.ir.core import Atom, Lit, Var
from s2s_ad.ir.types import BOOL, I64, Dim, Type


@dataclass(frozen=True)
class Capture:
    """An array that the function reads from around it: an extra parameter. `get()` returns the
    live object; `key` says where it was found first."""

    name: str
    get: Callable[[], Any]
    key: tuple = ()


@dataclass(eq=False)
class Frame:
    """The variables of a function that is being interpreted. `assigned` are the names it binds,
    `captured` those that nested functions read: they count as read everywhere. Names that start
    with `%` are the interpreter's own: %return, %value, %break and %continue."""

    source: Source
    locals: dict[str, Any]
    globals: dict[str, Any]
    closure: dict[str, Callable[[], Any]]
    outer: Frame | None = None
    assigned: frozenset[str] = frozenset()
    captured: frozenset[str] = frozenset()
    return_names: set[tuple[str, ...]] = field(default_factory=set)


@dataclass
class State:
    """What a branch may change: memory, which cells are stale and the writes that made them so (see
    aliasing.py), facts, what objects hold (`heap`; the inner mappings are never written to), by how
    much lists have grown. `covers` are cells, one of which a cell is; `alias` the cells that may
    share memory with a cell, and the objects that an object may be; `outdated` are objects that may
    have been written to as another, with the place. `dead`: this point cannot be reached."""

    memory: dict[Cell, Atom] = field(default_factory=dict)
    stale: dict[Cell, tuple[Any, ...]] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)
    dead: bool = False
    covers: dict[Cell, tuple[Cell, ...]] = field(default_factory=dict)
    alias: dict[Cell | Box, frozenset[Cell | Box]] = field(default_factory=dict)
    heap: dict[Box, Mapping[str, Any]] = field(default_factory=dict)
    outdated: dict[Box, Loc] = field(default_factory=dict)
    grown: dict[Box, Any] = field(default_factory=dict)

    def overlap(self, a: Cell | Box, b: Cell | Box) -> bool:
        """True where two cells may share memory, or two objects may be one."""
        return a is b or b in self.alias.get(a, ())

    def fork(self) -> State:
        return State(
            dict(self.memory),
            dict(self.stale),
            self.facts.fork(),
            self.dead,
            dict(self.covers),
            dict(self.alias),
            dict(self.heap),
            dict(self.outdated),
            dict(self.grown),
        )


class Context:
    """The interpreter's state. `weak` holds the variables that are Python numbers when running
    (they take the dtype of what they meet), `nonneg` those that are never negative, `affine` those
    that are an extent plus a constant, `after` those that are one more than another; `blurred` the
    pairs of cells that may share memory and that identities do not tell apart; `exact` says that
    identities are carried."""

    def __init__(self, exact: bool = False) -> None:
        self.exact = exact
        self.builder = Builder()
        self.state = State()
        self.frame: Frame = None  # set by calls.enter before anything is interpreted
        self.chain: list[Loc] = []
        self.active: list[gast.AST] = []
        self.copies = 0  # calls of functions that were active already
        self.weak: set[Var] = set()
        self.nonneg: set[Var] = set()
        self.affine: dict[Var, tuple[str, int]] = {}
        self.after: dict[Var, Var] = {}
        self.blurred: set[frozenset[Cell | Box]] = set()
        self.numbers: dict[Cell, int] = {}  # the identities of cells, in the order of their use
        self.identity: dict[Cell, Atom] = {}  # of joined cells
        self.possible: dict[Cell, frozenset[int]] = {}
        self.writes = 0  # how many have been interpreted
        self.symbols: set[str] = set()
        self.given: dict[Dim, tuple[Var, int]] = {}  # extents that parameters have
        self.memo: dict[object, str] = {}
        self.raised: dict[str, type[BaseException]] = {}  # the classes of `raise`, by name
        self.serial = 0
        self.captured: dict[int, tuple[Capture, View, Any]] = {}
        self.kinds: dict[Box, Any] = {}  # what has been appended to lists
        self.spent: list[Any] = []  # iterators that something has gone over
        self.objects: dict[int, Box] = {}  # objects from around the function, by identity
        self.guards: dict[tuple, tuple[Callable[[], Any], Any]] = {}

    # -- locations and errors
    @property
    def loc(self) -> Loc | None:
        return self.builder.loc

    @contextmanager
    def at(self, node: gast.AST) -> Iterator[None]:
        """What is emitted inside carries the place of `node`."""
        if not hasattr(node, "lineno"):
            yield
            return
        with self.builder.at(self.frame.source.loc(node)):
            yield

    def fail(
        self, kind: type[S2SError], message: str, advice: str = "", node: gast.AST | None = None
    ) -> NoReturn:
        """Raise `kind` at `node`, or at what is being interpreted."""
        loc = self.frame.source.loc(node) if node is not None else self.loc
        raise kind(message, loc, advice, tuple(self.chain))

    # -- emitting
    def emit(self, prim: str, *ins: Atom, name: str = "t", type: Type | None = None, **params: Any):
        return self.builder.emit(prim, *ins, name=name, type=type, **params)

    def check(self, condition: Atom, error: str, message: str) -> None:
        """Emit an `assert`; the point is dead where the condition is False."""
        if isinstance(condition, Lit) and condition.value:
            return
        self.builder.equation("assert", [condition], {"error": error, "message": message})
        if isinstance(condition, Lit):
            self.state.dead = True

    # -- memory
    def new_cell(self, initial: Atom, name: str = "") -> Cell:
        self.serial += 1
        return Cell(name or getattr(initial, "name", "t"), initial, self.serial)

    def fresh(self, atom: Atom) -> Any:
        """A result as a value: a scalar is itself, an array gets memory of its own."""
        if not atom.type.is_array:
            return atom
        return View(self.new_cell(atom), (), atom.type)

    def version(self, cell: Cell) -> Atom:
        return self.state.memory.get(cell, cell.initial)

    def link(
        self, a: Cell | Box, others: Collection[Cell | Box], blurred: Collection[Cell | Box] = ()
    ) -> None:
        """Record that `a` may share memory with `others`, or may be one of them; with `blurred` in
        a way that identities do not tell: a part of it, or another order."""
        alias = self.state.alias
        others = frozenset(others) - {a}
        alias[a] = alias.get(a, frozenset()) | others
        for b in others:
            alias[b] = alias.get(b, frozenset()) | {a}
        self.blurred.update(frozenset((a, b)) for b in blurred if b is not a)

    def link_part(self, a: Cell, view: View) -> None:
        """Record that the cell `a` may share memory with a part of what `view` is a part of."""
        others = {view.cell} | self.state.alias.get(view.cell, frozenset())
        self.link(a, others, others)

    # -- extents
    def symbol(self, hint: str) -> str:
        """A new extent symbol that reads like `hint`."""
        hint = re.sub(r"\W|_+", "_", hint) or "d"  # `__` is for passes
        if hint[0].isdigit():
            hint = "d" + hint
        name, k = hint, 0
        while name in self.symbols:
            k += 1
            name = f"{hint}_{k}"
        self.symbols.add(name)
        return name

    def derived(self, key: object, hint: str) -> str:
        """The symbol of an extent that `key` determines: the same key, the same symbol."""
        if key not in self.memo:
            self.memo[key] = self.symbol(hint)
        return self.memo[key]

    def dim_of_atom(self, atom: Any, hint: str = "n") -> Dim:
        """The extent that an i64 operand of `empty`, `full`, `reshape`, … gives."""
        if isinstance(atom, int):
            return atom
        if isinstance(atom, Lit):
            return int(atom.value)
        if atom in self.affine:
            symbol, offset = self.affine[atom]
            return shifted(symbol, offset)
        dim = self.derived(("atom", atom), atom.name if atom.name != "t" else hint)
        self.state.facts.extents[dim] = atom
        self.affine[atom] = (dim, 0)
        return dim

    def extent(self, array: Atom, axis: int) -> Any:
        """`array.shape[axis]`: an int where it is known, else an i64 variable."""
        dim = self.state.facts.find(array.type.shape[axis])
        if isinstance(dim, int):
            return dim
        known = self.state.facts.extents
        if dim not in known:
            known[dim] = var = self.emit("dim", array, name=split_dim(dim)[0], axis=axis)
            self.mark_extent(var, dim)
        return known[dim]

    def has_extent(self, dim: Dim) -> bool:
        """True where an extent is at hand here, known from its symbol alone."""
        dim = self.state.facts.find(dim)
        base, shift = split_dim(dim) if isinstance(dim, str) else ("", 0)
        return (
            isinstance(dim, int)
            or self._holder(dim) is not None
            or (bool(shift) and base != dim and self.has_extent(base))
        )

    def extent_named(self, dim: Dim) -> Atom | None:
        """An extent from its symbol alone; None where nothing at hand has it."""
        dim = self.state.facts.find(dim)
        if isinstance(dim, int):
            return i64(dim)
        holder = self._holder(dim)
        if isinstance(holder, tuple):
            return self.emit("dim", holder[0], name="n", axis=holder[1])
        if holder is not None:
            return self.index(holder)
        base, shift = split_dim(dim)
        whole = self.extent_named(base) if shift and base != dim else None
        if whole is None:
            return None
        moved = self.emit("add", whole, i64(shift), name="n")
        return self.emit("maximum", moved, i64(0), name="n")

    def _holder(self, dim: str) -> Any:
        """What has an extent, or one known to be equal: its value, or (parameter, axis)."""
        facts = self.state.facts
        for table in (facts.extents, self.given):
            if dim in table:
                return table[dim]
        for table in (facts.extents, self.given):
            for other, found in table.items():
                if facts.find(other) == dim:
                    return found
        return None

    def mark_extent(self, var: Var, dim: str) -> None:
        self.weak.add(var)
        self.nonneg.add(var)
        self.affine[var] = (dim, 0)

    def is_nonneg(self, value: Any) -> bool:
        if isinstance(value, Var):
            return value in self.nonneg
        value = value.value if isinstance(value, Lit) else value
        return isinstance(value, int) and value >= 0

    # -- small conversions
    def index(self, value: Any) -> Atom:
        """`value` as an i64 atom: an index, a bound, an extent."""
        if type(value) in (int, bool):
            return i64(value)
        if is_atom(value) and value.type in (I64, BOOL, Type("i32")):
            if isinstance(value, Lit):
                return i64(value.value)
            return value if value.type == I64 else self.emit("convert", value, dtype="i64")
        return self.fail(UnsupportedTypeError, f"an integer is needed here, not {describe(value)}")
