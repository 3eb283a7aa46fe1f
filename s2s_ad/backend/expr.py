"""One Python expression for each primitive."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping, Sequence, Set

from s2s_ad.analysis.sharing import C, Sharing
from s2s_ad.backend import source as py
from s2s_ad.backend.fold import Plan
from s2s_ad.ir.core import FIRST, NO_PARAMS, Atom, Eqn, Lit, Var
from s2s_ad.ir.prims import PRIMS
from s2s_ad.ir.subscript import parse_subscript
from s2s_ad.ir.types import DTYPES, known_equal

BINARY = {
    "add": ast.Add, "sub": ast.Sub, "mul": ast.Mult, "div": ast.Div, "floordiv": ast.FloorDiv,
    "mod": ast.Mod,
}  # fmt: skip
BITS = {
    "bit_and": ast.BitAnd, "bit_or": ast.BitOr, "bit_xor": ast.BitXor, "shift_left": ast.LShift,
    "shift_right": ast.RShift,
}  # fmt: skip
COMPARE = {
    "eq": ast.Eq, "ne": ast.NotEq, "lt": ast.Lt, "le": ast.LtE, "gt": ast.Gt, "ge": ast.GtE,
}  # fmt: skip
_OPPOSITE = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
}  # fmt: skip
_ARRAY_LOGIC = {"and": ast.BitAnd, "or": ast.BitOr, "xor": ast.BitXor}
_REDUCE = {"reduce_max": "max", "reduce_min": "min"}
_INTS = ("bool", "i32", "i64")

#: NumPy's names of functions -> those of `backend.vecmath`, which numba can vectorise.
VECTOR_NAMES = {
    name: f"v{name}"
    for name in (
        "exp exp2 expm1 log log2 log10 log1p cbrt sin cos tan sinh cosh tanh arcsin arccos arctan "
        "arcsinh arccosh arctanh erf erfc power arctan2 hypot maximum minimum"
    ).split()
}

#: The functions of `backend.memory`, which make arrays and tell apart those that change places, of
#: `backend.copies` and of `backend.blas`.
APART, UNALIASED, PUT, GROWN = "apart", "unaliased", "put", "grown"
MEMORY_NAMES = (
    APART,
    UNALIASED,
    "local_empty",
    "local_zeros",
    "new_empty",
    "new_full",
    "new_zeros",
)
COPY_NAMES, BLAS_NAMES = (GROWN, "new_copy", PUT), ("matmul",)
#: And of `backend.triangular`.
SOLVE_NAMES = ("solve_lower", "solve_lower_transposed")

#: Sums and products whose order is free: the functions of `backend.vecmath` that say so.
ANY_ORDER_NAMES = {"add": "vadd", "sub": "vsub", "mul": "vmul"}
#: Arithmetic whose rounding is free.
FREE_NAMES = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv", "accum": "fadd"}

#: What numba calls a loop whose iterations run at the same time, and how many threads there are.
PRANGE, THREADS = "prange", "get_num_threads"


def numpy_dtype(dtype: str) -> ast.expr:
    return py.name(f"np.{DTYPES[dtype][0]}")


def literal(a: Lit) -> ast.expr:
    """A literal that has the same type for numba and in the IR."""
    node = py.constant(a.value)
    if a.type.dtype in ("f64", "i64", "bool", "c128"):
        return node
    return py.call(numpy_dtype(a.type.dtype), node)


class Expressions:
    """Prints atoms and equations as expressions, given the plan and the names. `vector`
    are the equations that the functions of `backend.vecmath` compute, where the result is a
    scalar."""

    def __init__(
        self,
        plan: Plan,
        names: dict[Var, str],
        sharing: Sharing,
        numpy: Set[Var] | None = None,
        vector: Collection[Eqn] = (),
        marked: Mapping[Eqn, str] = NO_PARAMS,
        native: bool = False,
    ) -> None:
        """`numpy` are, for text that runs uncompiled, the scalars that are certainly NumPy's;
        `marked` has the functions for arithmetic whose order or rounding is free; with `native`,
        arrays and products are made by the functions of `backend.memory` and `backend.blas`."""
        self.plan, self.names, self.sharing, self.numpy = plan, names, sharing, numpy
        self.vector, self.marked, self.native = vector, marked, native

    def atom(self, a: Atom) -> ast.expr:
        if isinstance(a, Lit):
            return literal(a)
        if a in self.plan.folded:
            return self.eqn(self.plan.folded[a])
        return py.name(self.names[a])

    def atoms(self, atoms: Sequence[Atom]) -> list[ast.expr]:
        return [self.atom(a) for a in atoms]

    def eqn(self, eqn: Eqn) -> ast.expr:
        """The right-hand side of `eqn`, which has one result."""
        rule = _RULES.get(eqn.prim)
        if rule is not None:
            return rule(self, eqn)
        if PRIMS[eqn.prim].kind == "reduce":
            return self.reduction(eqn)
        return py.call(self.function(eqn, eqn.prim), *self.operands(eqn))

    def function(self, eqn: Eqn, name: str, module: str = "np") -> str:
        """What to call for NumPy's (or `math`'s) function `name`."""
        t = eqn.out.type
        own = not t.is_array and t.dtype in ("f64", "f32") and eqn in self.vector
        return VECTOR_NAMES[name] if own and name in VECTOR_NAMES else f"{module}.{name}"

    def operands(self, eqn: Eqn) -> list[ast.expr]:
        """The operands of an elementwise equation; NumPy broadcasts where it can."""
        return [self.broadcastable(a, eqn) for a in eqn.ins]

    def broadcastable(self, a: Atom, eqn: Eqn) -> ast.expr:
        """`a` as an operand or stored value of `eqn`, without a broadcast that happens anyway."""
        inner = self.plan.folded.get(a)
        if inner is None or inner.prim != "broadcast":
            return self.atom(a)
        stored = eqn.prim in ("store", "accum")
        others = [o for o in eqn.ins if o is not a and o.type.ndim == a.type.ndim]
        if stored or any(self.has_shape(o, inner) for o in others):
            return self.aligned(inner)
        return self.atom(a)

    def has_shape(self, other: Atom, broadcast: Eqn) -> bool:
        """True where `other` is as large as the result of `broadcast`, for certain."""
        for axis, (size, dim) in enumerate(zip(broadcast.ins[1:], other.type.shape)):
            extent = self.plan.folded.get(size)
            own = extent is not None and extent.prim == "dim" and extent.ins[0] is other
            if own and extent.params["axis"] == axis:
                continue
            if not known_equal(dim, broadcast.out.type.shape[axis]):
                return False
        return not self._is_broadcast(other)

    def _is_broadcast(self, a: Atom) -> bool:
        return a in self.plan.folded and self.plan.folded[a].prim == "broadcast"

    def aligned(self, broadcast: Eqn) -> ast.expr:
        """The operand of `broadcast` with new axes where its last axes are not the result's."""
        x, axes, ndim = broadcast.ins[0], broadcast.params["axes"], broadcast.out.type.ndim
        node = self.atom(x)
        if not axes or tuple(axes) == tuple(range(ndim - len(axes), ndim)):
            return node
        index = [
            ast.Slice() if axis in axes else py.constant(None) for axis in range(axes[0], ndim)
        ]
        return py.subscript(node, index)

    # -- subscripts

    def index(self, eqn: Eqn, operands: Sequence[Atom]) -> list[ast.expr]:
        """The subscript of a load, store or accum; whole axes at the end are left out."""
        out: list[ast.expr] = []
        for axis in parse_subscript(eqn.params["spec"], operands):
            if axis.kind in ("index", "array"):
                out.append(self.atom(axis.start))
            else:
                bounds = (axis.start, axis.stop, axis.step)
                out.append(ast.Slice(*(None if b is None else self.atom(b) for b in bounds)))
        while len(out) > 1 and py.same(out[-1], ast.Slice()):
            out.pop()
        return out

    def place(self, eqn: Eqn) -> ast.Subscript:
        """The element or slice that a store or accum writes to."""
        return py.subscript(self.atom(eqn.ins[0]), self.index(eqn, eqn.ins[2:]))

    # -- rules

    def product(self, eqn: Eqn) -> ast.expr:
        left, right = self.atoms(eqn.ins)
        if self.native:
            return py.call("matmul", left, right)
        return py.binary(left, ast.MatMult, right)

    def binary(self, eqn: Eqn) -> ast.expr:
        left, right = self.operands(eqn)
        if eqn in self.marked:
            return py.call(self.marked[eqn], left, right)
        left = self.forgiving(eqn, left)
        return self.narrow(eqn, py.binary(left, BINARY[eqn.prim], right))

    def forgiving(self, eqn: Eqn, left: ast.expr) -> ast.expr:
        """The left operand, NumPy's where Python's floats would raise: by zero, or too large."""
        raises = eqn.prim in ("div", "floordiv", "mod", "pow") and eqn.out.type.is_float
        if self.numpy is None or not raises or eqn.out.type.is_array:
            return left
        right = eqn.ins[1]
        fine = eqn.prim != "pow" and isinstance(right, Lit) and right.value
        if fine or any(a in self.numpy for a in eqn.ins):
            return left
        return py.call("np.float64", left)

    def bits(self, eqn: Eqn) -> ast.expr:
        left, right = self.operands(eqn)
        return self.narrow(eqn, ast.BinOp(left, BITS[eqn.prim](), right))

    def invert(self, eqn: Eqn) -> ast.expr:
        return self.narrow(eqn, ast.UnaryOp(ast.Invert(), self.atom(eqn.ins[0])))

    @staticmethod
    def narrow(eqn: Eqn, node: ast.expr) -> ast.expr:
        """numba computes with 64 bits where NumPy's int32 wraps around."""
        if eqn.out.type.dtype == "i32" and not eqn.out.type.is_array:
            return py.call("np.int32", node)
        return node

    def factorisation(self, eqn: Eqn) -> ast.expr:
        """numba's np.linalg gives Fortran's order."""
        made = py.call(f"np.linalg.{eqn.prim}", self.atom(eqn.ins[0]))
        return py.call("np.ascontiguousarray", made)

    def solution(self, eqn: Eqn) -> ast.expr:
        """Of linear equations. NumPy solves any, and numba by that gives Fortran's order."""
        a, b = self.atoms(eqn.ins)
        turned = eqn.params["transposed"]
        if self.native and eqn.params["lower"]:
            return py.call(SOLVE_NAMES[turned], a, b)
        solved = py.call("np.linalg.solve", ast.Attribute(a, "T", ast.Load()) if turned else a, b)
        return py.call("np.ascontiguousarray", solved)

    def compare(self, eqn: Eqn) -> ast.expr:
        left, right = self.operands(eqn)
        return py.compare(left, COMPARE[eqn.prim], right)

    def logic(self, eqn: Eqn) -> ast.expr:
        left, right = self.operands(eqn)
        if eqn.out.type.is_array:
            return ast.BinOp(left, _ARRAY_LOGIC[eqn.prim](), right)
        if eqn.prim == "xor":
            return py.compare(left, ast.NotEq, right)
        return py.boolean(ast.And if eqn.prim == "and" else ast.Or, left, right)

    def negation(self, eqn: Eqn) -> ast.expr:
        (x,) = eqn.ins
        if eqn.out.type.is_array:
            return ast.UnaryOp(ast.Invert(), self.atom(x))
        inner = self.plan.folded.get(x)
        exact = inner is not None and inner.prim in COMPARE and inner.ins[0].type.dtype in _INTS
        return self.opposite(self.atom(x), exact)

    @staticmethod
    def opposite(test: ast.expr, exact: bool) -> ast.expr:
        """`not test`; with `exact` (integers: no NaN) `<` may become `>=`."""
        if isinstance(test, ast.Compare):
            (op,) = test.ops
            if exact or isinstance(op, (ast.Eq, ast.NotEq)):
                return py.compare(test.left, _OPPOSITE[type(op)], test.comparators[0])
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return test.operand
        return ast.UnaryOp(ast.Not(), test)

    def minus(self, eqn: Eqn) -> ast.expr:
        return self.narrow(eqn, ast.UnaryOp(ast.USub(), self.atom(eqn.ins[0])))

    def absolute(self, eqn: Eqn) -> ast.expr:
        function = "np.abs" if eqn.out.type.is_array else "abs"
        return self.narrow(eqn, py.call(function, self.atom(eqn.ins[0])))

    def power(self, eqn: Eqn) -> ast.expr:
        base, exponent = eqn.ins
        left, right = self.operands(eqn)
        real = base.type.dtype in ("f64", "f32")
        if real and isinstance(exponent, Lit) and exponent.value < 0:
            # numba raises ZeroDivisionError for 0.0 ** -2, and gives inf for 0.0 ** -2.0.
            exponent = Lit(float(exponent.value), base.type.scalar)
            right = literal(exponent)
        if exponent.type == base.type:
            own = self.function(eqn, "power")
            if own == VECTOR_NAMES["power"]:
                return py.call(own, left, right)
        node = ast.BinOp(self.forgiving(eqn, left), ast.Pow(), right)
        mixed = base.type.dtype != exponent.type.dtype and not isinstance(exponent, Lit)
        if mixed and base.type.dtype == "f32" and not eqn.out.type.is_array:
            return py.call("np.float32", node)  # numba would make it f64
        return self.narrow(eqn, node)

    def extreme(self, eqn: Eqn) -> ast.expr:
        first = bool(eqn.params.get(FIRST))
        a, b = self.operands(eqn)
        if first and eqn.out.type.is_array:
            compared = py.compare(b, ast.Gt if eqn.prim == "maximum" else ast.Lt, a)
            return py.call("np.where", compared, b, a)
        integer = not eqn.out.type.is_array and eqn.out.type.dtype in ("i32", "i64")
        function = eqn.prim[:3] if first or integer else self.function(eqn, eqn.prim)
        return py.call(function, a, b)

    def select(self, eqn: Eqn) -> ast.expr:
        test, a, b = self.operands(eqn)
        return py.call("np.where", test, a, b) if eqn.out.type.is_array else ast.IfExp(test, a, b)

    def conditional(self, eqn: Eqn) -> ast.expr:
        """An if whose branches are expressions."""
        test = self.atom(eqn.ins[0])
        (a,), (b,) = (r.results for r in eqn.regions)
        if isinstance(b, Lit) and b.value is False:
            return py.boolean(ast.And, test, self.atom(a))
        if isinstance(a, Lit) and a.value is True:
            return py.boolean(ast.Or, test, self.atom(b))
        return ast.IfExp(test, self.atom(a), self.atom(b))

    def special_function(self, eqn: Eqn) -> ast.expr:
        own, x = self.function(eqn, eqn.prim, "math"), self.atom(eqn.ins[0])
        if own == VECTOR_NAMES.get(eqn.prim):
            return py.call(own, x)
        function = py.name(own)
        if eqn.out.type.is_array:
            otypes = ast.List([numpy_dtype(eqn.out.type.dtype)], ast.Load())
            return py.call(py.call("np.vectorize", function, otypes=otypes), x)
        node = py.call(function, x)
        return py.call("np.float32", node) if eqn.out.type.dtype == "f32" else node

    def convert(self, eqn: Eqn) -> ast.expr:
        (x,), dtype = eqn.ins, eqn.params["dtype"]
        node, source = self.atom(x), x.type.dtype
        if x.type.is_array:
            return py.method(node, "astype", numpy_dtype(dtype))
        if dtype == "bool":
            return py.compare(node, ast.NotEq, literal(Lit(0, x.type)))
        # numba's float() and int() keep the width of a float or int.
        if dtype == "f64" and source == "i64":
            return py.call("float", node)
        if dtype == "i64" and source == "f64":
            return py.call("int", node)
        return py.call(numpy_dtype(dtype), node)

    def identity(self, eqn: Eqn) -> ast.expr:
        return self.atom(eqn.ins[0])

    def shape(self, extents: Sequence[Atom], like: str, dtype: str) -> tuple[ast.expr, bool]:
        """A shape; or an array of that shape (and dtype, for `like`), with True."""
        found = [self.plan.folded.get(e) for e in extents]
        if all(e is not None and e.prim == "dim" and e.params["axis"] == k
               for k, e in enumerate(found)):  # fmt: skip
            base = found[0].ins[0]
            if base.type.ndim == len(found) and all(e.ins[0] is base for e in found):
                alike = base.type.dtype == dtype and self.sharing.layout.get(base) == C
                node = self.atom(base)
                if like and alike:
                    return node, True
                if len(found) > 1:
                    return ast.Attribute(node, "shape", ast.Load()), False
        nodes = self.atoms(extents)
        return (nodes[0] if len(nodes) == 1 else py.tuple_(nodes)), False

    def create(self, eqn: Eqn) -> ast.expr:
        dtype = eqn.out.type.dtype
        function, value, extents = "empty", None, eqn.ins
        if eqn.prim == "full":
            value, extents = eqn.ins[0], eqn.ins[1:]
            known = value.value if isinstance(value, Lit) else None
            function = {0: "zeros", 1: "ones"}.get(known, "full")
            if known == 0 and str(known).startswith("-") or self.native and known == 1:
                function = "full"
        shape, like = self.shape(extents, "" if self.native else function, dtype)
        if like:
            function += "_like"
        args = [shape] + ([self.atom(value)] if function.startswith("full") else [])
        typed = dtype == "f64" or like or function == "full"
        name = f"new_{function}" if self.native else f"np.{function}"
        return py.call(name, *args, **({} if typed else {"dtype": numpy_dtype(dtype)}))

    def iota(self, eqn: Eqn) -> ast.expr:
        return py.call("np.arange", self.atom(eqn.ins[0]))

    def copy(self, eqn: Eqn) -> ast.expr:
        source = self.atom(eqn.ins[0])
        if self.native and eqn.out.type.is_array:
            return py.call("new_copy", source)
        return py.method(source, "copy")

    def dim(self, eqn: Eqn) -> ast.expr:
        shape = ast.Attribute(self.atom(eqn.ins[0]), "shape", ast.Load())
        return py.subscript(shape, [py.constant(eqn.params["axis"])])

    def transpose(self, eqn: Eqn) -> ast.expr:
        x, perm = self.atom(eqn.ins[0]), tuple(eqn.params["perm"])
        if perm == tuple(range(len(perm))):
            return x
        if perm == tuple(reversed(range(len(perm)))):
            return ast.Attribute(x, "T", ast.Load())
        return py.call("np.transpose", x, py.tuple_([py.constant(p) for p in perm]))

    def reshape(self, eqn: Eqn) -> ast.expr:
        x = self.atom(eqn.ins[0])
        if self.sharing.layout.get(eqn.ins[0], C) != C:
            x = py.call("np.ascontiguousarray", x)  # numba asks for it
        shape, _ = self.shape(eqn.ins[1:], "", "")
        return py.method(x, "reshape", shape)

    def expand(self, eqn: Eqn) -> ast.expr:
        x, axes = self.atom(eqn.ins[0]), eqn.params["axes"]
        if not eqn.ins[0].type.is_array:
            ones = [py.constant(1)] * eqn.out.type.ndim
            return py.call("np.full", ones[0] if len(ones) == 1 else py.tuple_(ones), x)
        index = [py.constant(None) if a in axes else ast.Slice() for a in range(eqn.out.type.ndim)]
        while py.same(index[-1], ast.Slice()):
            index.pop()
        return py.subscript(x, index)

    def squeeze(self, eqn: Eqn) -> ast.expr:
        axes, ndim = eqn.params["axes"], eqn.ins[0].type.ndim
        index = [py.constant(0) if a in axes else ast.Slice() for a in range(ndim)]
        while len(index) > 1 and py.same(index[-1], ast.Slice()):
            index.pop()
        return py.subscript(self.atom(eqn.ins[0]), index)

    def broadcast(self, eqn: Eqn) -> ast.expr:
        shape, _ = self.shape(eqn.ins[1:], "", "")
        if not eqn.ins[0].type.is_array:
            return py.call("np.full", shape, self.atom(eqn.ins[0]))
        return py.call("np.broadcast_to", self.aligned(eqn), shape)

    def join(self, eqn: Eqn) -> ast.expr:
        items, axis = self.atoms(eqn.ins), eqn.params["axis"]
        if eqn.prim == "stack" and not eqn.ins[0].type.is_array:
            return py.call("np.array", ast.List(items, ast.Load()))
        keywords = {"axis": py.constant(axis)} if axis else {}
        return py.call(f"np.{eqn.prim}", py.tuple_(items), **keywords)

    def reduction(self, eqn: Eqn) -> ast.expr:
        axes, ndim = tuple(eqn.params["axes"]), eqn.ins[0].type.ndim
        keywords: dict[str, ast.expr] = {}
        if len(axes) == 1 and ndim > 1:
            keywords["axis"] = py.constant(axes[0])
        elif len(axes) != ndim:
            keywords["axis"] = py.tuple_([py.constant(a) for a in axes])
        if eqn.params.get("keepdims"):
            keywords["keepdims"] = py.constant(True)
        return py.call(f"np.{_REDUCE.get(eqn.prim, eqn.prim)}", self.atom(eqn.ins[0]), **keywords)

    def cumsum(self, eqn: Eqn) -> ast.expr:
        x, axis, ndim = self.atom(eqn.ins[0]), eqn.params["axis"], eqn.ins[0].type.ndim
        keywords = {"axis": py.constant(axis)} if ndim > 1 else {}
        if not eqn.params.get("reverse"):
            return py.call("np.cumsum", x, **keywords)
        back = ast.Slice(step=py.constant(-1))
        index = [ast.Slice() for _ in range(axis)] + [back]
        return py.subscript(py.call("np.cumsum", py.subscript(x, index), **keywords), index)

    def roll(self, eqn: Eqn) -> ast.expr:
        keywords = {"axis": py.constant(eqn.params["axis"])} if eqn.out.type.ndim > 1 else {}
        return py.call("np.roll", *self.atoms(eqn.ins), **keywords)

    def load(self, eqn: Eqn) -> ast.expr:
        return py.subscript(self.atom(eqn.ins[0]), self.index(eqn, eqn.ins[1:]))

    def threads(self, eqn: Eqn) -> ast.expr:
        return py.call(THREADS)

    def nonzero(self, eqn: Eqn) -> ast.expr:
        return py.subscript(py.call("np.nonzero", self.atom(eqn.ins[0])), [py.constant(0)])


_E = Expressions
_RULES: dict[str, Callable[[Expressions, Eqn], ast.expr]] = {
    **dict.fromkeys(BINARY, _E.binary),
    "dot": _E.product,
    **dict.fromkeys(COMPARE, _E.compare),
    **dict.fromkeys(("and", "or", "xor"), _E.logic),
    **dict.fromkeys(BITS, _E.bits),
    "invert": _E.invert,
    **dict.fromkeys(("maximum", "minimum"), _E.extreme),
    **dict.fromkeys(("erf", "erfc", "gamma", "lgamma"), _E.special_function),
    **dict.fromkeys(("empty", "full"), _E.create),
    **dict.fromkeys(("concatenate", "stack"), _E.join),
    **dict.fromkeys(("cholesky", "inv"), _E.factorisation),
    "solve": _E.solution,
    "not": _E.negation, "neg": _E.minus, "abs": _E.absolute, "pow": _E.power,
    "select": _E.select, "if": _E.conditional, "convert": _E.convert,
    "stop_gradient": _E.identity, "iota": _E.iota, "copy": _E.copy, "dim": _E.dim,
    "transpose": _E.transpose, "reshape": _E.reshape, "expand": _E.expand,
    "squeeze": _E.squeeze, "broadcast": _E.broadcast, "cumsum": _E.cumsum, "load": _E.load,
    "roll": _E.roll, "nonzero": _E.nonzero, "threads": _E.threads,
}  # fmt: skip
