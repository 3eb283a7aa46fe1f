"""Products of matrices of which only a part or a sum is asked for are never formed, and a number
leaves a product.

    t = dot A, B                    u = transpose B {perm=(1, 0)}
    d = load t, i, i {spec='a,a'}   p = mul A, u                    # i = iota n
    s = sum d {axes=(0,)}       →   d = sum p {axes=(1,)}
                                    s = sum d {axes=(0,)}

| (A @ B)[i, j], (A @ B)[i], (A @ x)[i] | A[i] @ B[:, j], A[i] @ B, A[i] @ x |
| np.diag(A @ B)                        | sum of A * B.T along its rows      |
| np.sum(A @ B), along an axis too      | np.sum(A, 0) @ np.sum(B, 1)        |
| (s * A) @ x, in a reverse sweep       | s * (A @ x)                        |
| A @ B + (C @ A.T).T, in one           | A @ (B + C.T)                      |

A product's terms have no order in NumPy, so these are the same but for rounding. Only what is used
once, and in the block where it is made, is rewritten: elsewhere the product may be worth its price.
The last two rows are for reverse sweeps, which nobody has written: in the user's own lines the
number may keep the product from overflowing, and so may one product the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from s2s_ad.ir.build import Builder
from s2s_ad.ir.core import ADJOINT, TANGENT, Atom, Eqn, Func, Region, Var, region_uses
from s2s_ad.ir.subscript import Axis, is_full, make_spec, parse_subscript
from s2s_ad.ir.types import known_equal


def contract(func: Func) -> Func:
    """`func` with the products of the module's docstring rewritten."""
    return func.with_(body=_region(func.body, _Block(Counter(region_uses(func.body)), {}, set())))


def _region(region: Region, block: _Block) -> Region:
    for eqn in region.eqns:
        inner = (_Block(block.uses, dict(block.dims), set(block.equal)) for _ in eqn.regions)
        regions = tuple(map(_region, eqn.regions, inner))
        block.add(eqn.with_(regions=regions) if regions else eqn)
    return Region(region.params, tuple(block.eqns), region.results)


class _Block:
    """The equations of a region, rewritten as they come. `dims` are the extents at hand, `equal`
    the pairs of numbers that have been checked to be equal."""

    def __init__(
        self, uses: Counter[Var], dims: dict[tuple[Atom, int], Var], equal: set[frozenset[Atom]]
    ) -> None:
        self.uses, self.dims, self.equal = uses, dims, equal
        self.eqns: list[Eqn] = []
        self.defs: dict[Var, Eqn] = {}

    def add(self, eqn: Eqn) -> None:
        rule = _RULES.get(eqn.prim)
        if rule is not None and rule(self, eqn):
            return
        self.eqns.append(eqn)
        self.defs.update(dict.fromkeys(eqn.outs, eqn))
        if eqn.prim == "dim":
            self.dims.setdefault((eqn.ins[0], eqn.params["axis"]), eqn.out)
        elif eqn.prim == "assert" and eqn.ins[0] in self.defs:
            check = self.defs[eqn.ins[0]]
            if check.prim == "eq":
                self.equal.add(frozenset(check.ins))

    def single(self, eqn: Eqn, k: int, *prims: str) -> Eqn | None:
        """The equation of this block that makes operand `k` of `eqn`, if it applies one of `prims`
        and nothing else uses what it makes."""
        a = eqn.ins[k]
        made = self.defs.get(a) if isinstance(a, Var) and self.uses[a] == 1 else None
        if made is None or made.prim not in prims:
            return None
        return made if (made.role == TANGENT) == (eqn.role == TANGENT) else None

    def drop(self, *unused: Eqn) -> None:
        """Equations that only what is being rewritten has used are not needed any more."""
        self.eqns = [e for e in self.eqns if e not in unused]

    def finish(self, like: Eqn, prim: str, *ins: Atom, **params: object) -> bool:
        """The last equation of a rewriting defines what `like` did, and is rewritten in turn."""
        self.add(Eqn(like.outs, prim, ins, params, (), like.loc, like.role))
        return True

    def emit(self, like: Eqn, prim: str, *ins: Atom, **params: object) -> Var:
        """A new value of the statement of `like`, which is used once."""
        b = Builder(like.loc, like.role)
        out = b.emit(prim, *ins, **params)
        self.uses[out] = 1
        self.add(b.eqns[0])
        return out

    def has_extent(self, v: Atom, axis: int, size: Atom, dim: int | str) -> bool:
        """True where an axis of `v` is as long as `size`, which types call `dim`."""
        if known_equal(v.type.shape[axis], dim):
            return True
        own = self.dims.get((v, axis))
        return own is not None and (own is size or frozenset((own, size)) in self.equal)


def _part(x: _Block, eqn: Eqn) -> bool:
    """An element, a row, a slice or the diagonal of a product."""
    made = x.single(eqn, 0, "dot")
    if made is None or is_full(eqn.params["spec"]):
        return False
    (a, b), axes = made.ins, parse_subscript(eqn.params["spec"], eqn.ins[1:])
    if any(axis.kind == "array" for axis in axes):
        return _diagonal(x, eqn, made, axes)
    x.drop(made)
    rows, columns = axes[: a.type.ndim - 1], axes[a.type.ndim - 1 :]
    left = _loaded(x, eqn, a, [*rows, Axis("full")])
    return x.finish(eqn, "dot", left, _loaded(x, eqn, b, [Axis("full"), *columns]))


def _loaded(x: _Block, eqn: Eqn, a: Atom, axes: list[Axis]) -> Atom:
    spec, operands = make_spec(axes)
    return a if is_full(spec) else x.emit(eqn, "load", a, *operands, spec=spec)


def _diagonal(x: _Block, eqn: Eqn, made: Eqn, axes: list[Axis]) -> bool:
    """(A @ B)[i, i] where `i` are all rows and all columns."""
    (a, b), i = made.ins, axes[0].start
    counted = x.defs.get(i)
    if not a.type.ndim == b.type.ndim == 2 or axes[1].start is not i:
        return False
    if counted is None or counted.prim != "iota":
        return False
    size, dim = counted.ins[0], i.type.shape[0]
    if not (x.has_extent(a, 0, size, dim) and x.has_extent(b, 1, size, dim)):
        return False
    x.drop(made)
    columns = x.emit(eqn, "transpose", b, perm=(1, 0))
    product = x.emit(eqn, "mul", a, columns, type=a.type)
    return x.finish(eqn, "sum", product, axes=(1,), keepdims=False)


def _sum(x: _Block, eqn: Eqn) -> bool:
    """A sum over rows or columns of a product, or over both."""
    made = x.single(eqn, 0, "dot")
    if made is None or eqn.params.get("keepdims"):
        return False
    x.drop(made)
    (a, b), axes = made.ins, eqn.params["axes"]
    if a.type.ndim == 2 and 0 in axes:
        a = x.emit(eqn, "sum", a, axes=(0,), keepdims=False)
    if b.type.ndim == 2 and made.out.type.ndim - 1 in axes:
        b = x.emit(eqn, "sum", b, axes=(1,), keepdims=False)
    return x.finish(eqn, "dot", a, b)


def _scaled(x: _Block, eqn: Eqn) -> bool:
    """A matrix times a number, times something else."""
    if eqn.role != ADJOINT:
        return False
    for k, matrix in enumerate(eqn.ins):
        flip = x.single(eqn, k, "transpose")
        made = x.single(flip or eqn, 0 if flip else k, "mul", "div", "neg")
        found = _factor(made) if made is not None and matrix.type.ndim == 2 else None
        if found is None:
            continue
        at, rest = found
        x.drop(made, *([flip] if flip else []))
        if flip:
            rest = x.emit(eqn, "transpose", rest, type=matrix.type, **flip.params)
        ins = [rest if j == k else other for j, other in enumerate(eqn.ins)]
        product = x.emit(eqn, "dot", *ins, type=eqn.out.type)
        factors = [product if j == at else other for j, other in enumerate(made.ins)]
        return x.finish(eqn, made.prim, *factors)
    return False


def _factor(made: Eqn) -> tuple[int, Atom] | None:
    """The place and the operand of a matrix whose other operand, if there is one, is a number."""
    for k, a in enumerate(made.ins):
        others = made.ins[:k] + made.ins[k + 1 :]
        if a.type.ndim == 2 and not any(o.type.is_array for o in others):
            return k, a
    return None


def _common(x: _Block, eqn: Eqn) -> bool:
    """A sum of two products of matrices that have a factor in common."""
    pairs = [_factors(x, eqn, k) for k in (0, 1)] if eqn.role == ADJOINT else [None]
    if None in pairs:
        return False
    (first, used), (second, others) = pairs
    at = next((k for k in (0, 1) if first[k] == second[k]), None)
    ones = [[d == 1 for d in a.type.shape] for a in eqn.ins]
    if at is None or ones[0] != ones[1]:
        return False
    x.drop(*used, *others)
    terms = [_turned(x, eqn, *pair[1 - at]) for pair in (first, second)]
    total = x.emit(eqn, "add", *terms)
    factors = [total, total]
    factors[at] = _turned(x, eqn, *first[at])
    return x.finish(eqn, "dot", *factors)


def _factors(x: _Block, eqn: Eqn, k: int) -> tuple[list[tuple[Atom, bool]], list[Eqn]] | None:
    """The factors of a product of matrices, each with whether it is turned over, and the equations
    that make the product."""
    flip = x.single(eqn, k, "transpose")
    made = x.single(flip or eqn, 0 if flip else k, "dot")
    if made is None or any(a.type.ndim != 2 for a in made.ins):
        return None
    found = []
    for a in made.ins[::-1] if flip else made.ins:
        source = x.defs.get(a)
        turned = source is not None and source.prim == "transpose"
        found.append((source.ins[0] if turned else a, turned != bool(flip)))
    return found, [made, flip] if flip else [made]


def _turned(x: _Block, eqn: Eqn, a: Atom, turned: bool) -> Atom:
    return x.emit(eqn, "transpose", a, perm=(1, 0)) if turned else a


_RULES: dict[str, Callable[[_Block, Eqn], bool]] = {
    "load": _part,
    "sum": _sum,
    "dot": _scaled,
    "add": _common,
}
