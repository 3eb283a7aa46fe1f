"""Totals: what a loop carries only to add to it (or to multiply it, or to take a maximum)."""

from __future__ import annotations

from collections import Counter

from s2s_ad.ir.core import ADJOINT, ANY_ORDER, FIRST, Atom, Eqn, Var

#: What makes a total, by kind; and how many of its operands may hold the total so far.
_KIND = {"sub": "add"} | {p: p for p in "add mul maximum minimum and or".split()}
_OPERANDS = {"sub": 1}


def has_order(eqn: Eqn) -> bool:
    """True for what rounds differently in another order."""
    return eqn.out.type.dtype in ("f64", "f32") and eqn.prim in ("add", "sub", "mul")


def is_free(eqn: Eqn) -> bool:
    """True where no order has been asked of a total: NumPy's, and those of a reverse sweep."""
    return bool(eqn.params.get(ANY_ORDER)) or (eqn.role == ADJOINT and eqn.prim != "mul")


class Total:
    """A carried scalar, followed from the end of an iteration back to its start, through branches
    and inner loops. `kind` is the primitive, `path` the equations that make the total."""

    def __init__(self, param: Var, uses: Counter[Var], made: dict[Var, Eqn]) -> None:
        self.param, self.count, self.made = param, uses, made
        self.kind = ""
        self.path: list[Eqn] = []

    def uses(self, a: Atom, param: Var | None = None) -> int:
        """How many uses of `param` there are in `a`, on paths of additions (or of products, or of
        maxima) that lead nowhere else."""
        param = param or self.param
        if a is param:
            return 1
        eqn = self.made.get(a) if isinstance(a, Var) and self.count[a] == 1 else None
        if eqn is None:
            return 0
        if eqn.prim == "for":
            return self._through_loop(eqn, a, param)
        if eqn.prim in ("if", "select"):
            k = eqn.outs.index(a)
            cases = [r.results[k] for r in eqn.regions] or eqn.ins[1:]
            found = [self.uses(c, param) for c in cases]
            return sum(found) if all(found) else 0
        kind = _KIND.get(eqn.prim, "")
        if not kind or self.kind not in ("", kind):
            return 0
        self.kind = kind
        # Python's max(best, x) goes on where x is nan; max(x, best) would lose what was best
        count = 1 if eqn.params.get(FIRST) else _OPERANDS.get(eqn.prim)
        found = [n for b in eqn.ins[:count] if (n := self.uses(b, param))]
        if len(found) != 1:  # s + s is no sum of terms
            return 0
        self.path.append(eqn)
        return found[0]

    def _through_loop(self, eqn: Eqn, a: Var, param: Var) -> int:
        """An inner loop adds to the total that it starts with."""
        if eqn.params.get("exit"):
            return 0
        k = eqn.outs.index(a)
        inner, result = eqn.regions[0].params[k + 1], eqn.regions[0].results[k]
        only = result is not inner and self.uses(result, inner) == self.count[inner]
        return self.uses(eqn.ins[k + 3], param) if only else 0
