"""Rules for array primitives, and the transposes of everything linear."""

from s2s_ad.ops import (
    DISTINCT,
    FIRST_TOUCH,
    I64,
    Builder,
    Lit,
    Value,
    Var,
    apply,
    extents,
    i64,
    is_full,
    known_equal,
    number,
    select,
    split_spec,
    unbroadcast,
)
from s2s_ad.rule import jvp, linear, transpose

for _name in "sum transpose reshape expand squeeze broadcast cumsum roll load full grow".split():
    linear(_name, 0)
linear("add", 0, 1)
linear("sub", 0, 1)
linear("select", 1, 2)
linear("concatenate")
linear("stack")


# --- tangents that need a function ---------------------------------------------------------------


@jvp("convert")
def _convert(context, eqn, tangents):
    return apply("convert", tangents[0], dtype=eqn.params["dtype"])


@jvp("dot")
def _dot(context, eqn, tangents):
    a, b = map(context.value, eqn.ins)
    da, db = tangents
    terms = []
    if da is not None:
        terms.append(apply("dot", da, b))
    if db is not None:
        terms.append(apply("dot", a, db))
    return terms[0] if len(terms) == 1 else terms[0] + terms[1]


def _write(prim):
    @jvp(prim)
    def rule(context, eqn, tangents):
        """The same write, into the tangent. A full overwrite needs no old tangent."""
        base, value = tangents[:2]
        if base is None:
            covered = prim == "store" and is_full(eqn.params["spec"])
            base = context.zero(eqn.ins[0], undefined=covered)
        if value is None:
            if prim == "accum":
                return base
            value = 0.0
        return apply(prim, base, value, *eqn.ins[2:], **eqn.params)


_write("store")
_write("accum")


def _extremum(prim):
    @jvp(prim)
    def rule(context, eqn, tangents):
        """The mean of the tangents at the elements that attain it."""
        x, y = context.value(eqn.ins[0]), context.value(eqn.out)
        axes = tuple(eqn.params["axes"])
        if not eqn.params.get("keepdims") and y.shape:
            y = apply("expand", y, axes=axes)
        hit = apply("convert", x.equals(y), dtype=x.type.dtype)
        over = {"axes": axes, "keepdims": eqn.params.get("keepdims", False)}
        return apply("sum", tangents[0] * hit, **over) / apply("sum", hit, **over)


_extremum("reduce_max")
_extremum("reduce_min")


@jvp("prod")
def _prod(context, eqn, tangents):
    """The product rule, one factor after the other: right where factors are zero, to any order."""
    axes, kept = _split_axes(eqn)
    x, dx = (_rows(v, axes, kept) for v in (context.value(eqn.ins[0]), tangents[0]))
    b = context.b
    row = x.type.with_shape(x.shape[1:])
    shape = extents(x)
    one = number(1, row.dtype)
    start = b.emit("full", one, *shape[1:], type=row) if row.is_array else one
    zero = context.zero(start)
    params = [Var("k", I64), Var("p", row), Var("p_dot", row)]
    inner = Builder(b.loc, b.role)
    at, p, dp = Value(inner, params[0]), Value(inner, params[1]), Value(inner, params[2], True)
    spec = ",".join(["i"] + [":"] * row.ndim)
    factor = apply("load", Value(inner, x.atom), at, spec=spec)
    tangent = apply("load", Value(inner, dx.atom, True), at, spec=spec)
    results = ((p * factor).atom, (dp * factor + tangent * p).atom)
    region = inner.region(params, results)
    ins = (i64(0), shape[0], i64(1), start, zero.atom)
    _, out = b.equation("for", ins, {"linear": 1}, (region,), ("p", "p_dot"))
    result = Value(b, out, True)
    keep = eqn.params.get("keepdims") and eqn.out.type.is_array
    return apply("expand", result, axes=axes) if keep else result


def _split_axes(eqn):
    axes = tuple(eqn.params["axes"])
    return axes, tuple(a for a in range(eqn.ins[0].type.ndim) if a not in axes)


def _rows(x, axes, kept):
    """`x` with the reduced axes as one, in front."""
    if axes + kept != tuple(range(len(x.shape))):
        x = apply("transpose", x, perm=axes + kept)
    if len(axes) > 1:
        shape = extents(x)
        first = shape[0]
        for size in shape[1 : len(axes)]:
            first = x.b.emit("mul", first, size, name="n")
        x = apply("reshape", x, first, *shape[len(axes) :])
    return x


# --- transposes: elementwise ---------------------------------------------------------------------


@transpose("neg")
def _neg_t(t, eqn, ct):
    t.add(eqn.ins[0], -ct)


@transpose("copy")
def _copy_t(t, eqn, ct):
    t.add(eqn.ins[0], ct)


@transpose("add")
def _add_t(t, eqn, ct):
    for operand in eqn.ins:
        if t.is_linear(operand):
            t.add(operand, unbroadcast(ct, operand.type.shape))


@transpose("sub")
def _sub_t(t, eqn, ct):
    a, b = eqn.ins
    if t.is_linear(a):
        t.add(a, unbroadcast(ct, a.type.shape))
    if t.is_linear(b):
        t.add(b, -unbroadcast(ct, b.type.shape))


@transpose("mul")
def _mul_t(t, eqn, ct):
    a, b = eqn.ins if t.is_linear(eqn.ins[0]) else reversed(eqn.ins)
    t.add(a, unbroadcast(ct * t.value(b), a.type.shape))


@transpose("div")
def _div_t(t, eqn, ct):
    a, b = eqn.ins
    quotient = ct / t.value(b)
    if eqn.params.get("pole"):
        quotient = select(ct.equals(0.0), 0.0, quotient)
    t.add(a, unbroadcast(quotient, a.type.shape))


@transpose("select")
def _select_t(t, eqn, ct):
    c, a, b = eqn.ins
    condition = t.value(c)
    if t.is_linear(a):
        t.add(a, unbroadcast(select(condition, ct, 0.0), a.type.shape))
    if t.is_linear(b):
        t.add(b, unbroadcast(select(condition, 0.0, ct), b.type.shape))


@transpose("convert")
def _convert_t(t, eqn, ct):
    t.add(eqn.ins[0], apply("convert", ct, dtype=eqn.ins[0].type.dtype))


# --- transposes: shapes and reductions ---------------------------------------------------------


@transpose("sum")
def _sum_t(t, eqn, ct):
    x = eqn.ins[0]
    kept = tuple(
        a for a in range(x.type.ndim) if eqn.params.get("keepdims") or a not in eqn.params["axes"]
    )
    t.add(x, t.typed(apply("broadcast", ct, *t.extents(x), axes=kept), x))


@transpose("broadcast")
def _broadcast_t(t, eqn, ct):
    x, axes = eqn.ins[0], eqn.params["axes"]
    added = tuple(a for a in range(len(ct.shape)) if a not in axes)
    if added:
        ct = apply("sum", ct, axes=added, keepdims=False)
    t.add(x, unbroadcast(ct, x.type.shape))


@transpose("full")
def _full_t(t, eqn, ct):
    t.add(eqn.ins[0], apply("sum", ct, axes=tuple(range(len(ct.shape))), keepdims=False))


@transpose("transpose")
def _transpose_t(t, eqn, ct):
    perm = eqn.params["perm"]
    inverse = tuple(sorted(range(len(perm)), key=perm.__getitem__))
    t.add(eqn.ins[0], apply("transpose", ct, perm=inverse))


@transpose("reshape")
def _reshape_t(t, eqn, ct):
    x = eqn.ins[0]
    t.add(x, t.typed(apply("reshape", ct, *t.extents(x)), x))


@transpose("expand")
def _expand_t(t, eqn, ct):
    t.add(eqn.ins[0], apply("squeeze", ct, axes=eqn.params["axes"]))


@transpose("squeeze")
def _squeeze_t(t, eqn, ct):
    t.add(eqn.ins[0], apply("expand", ct, axes=eqn.params["axes"]))


@transpose("cumsum")
def _cumsum_t(t, eqn, ct):
    params = {"axis": eqn.params["axis"], "reverse": not eqn.params.get("reverse", False)}
    t.add(eqn.ins[0], apply("cumsum", ct, **params))


@transpose("roll")
def _roll_t(t, eqn, ct):
    x, shift = eqn.ins
    back = i64(-shift.value) if isinstance(shift, Lit) else -t.value(shift)
    t.add(x, apply("roll", ct, back, axis=eqn.params["axis"]))


@transpose("concatenate")
def _concatenate_t(t, eqn, ct):
    axis, start = eqn.params["axis"], i64(0)
    spec = ",".join("_:_" if a == axis else ":" for a in range(len(ct.shape)))
    for x in eqn.ins:
        size = t.extents(x)[axis]
        stop = _sum_extents(t.b, start, size)
        if t.is_linear(x):
            t.add(x, t.typed(apply("load", ct, start, stop, spec=spec), x))
        start = stop


def _sum_extents(b, x, y):
    if isinstance(x, Lit) and isinstance(y, Lit):
        return i64(x.value + y.value)
    return y if isinstance(x, Lit) and x.value == 0 else b.emit("add", x, y, name="n")


@transpose("stack")
def _stack_t(t, eqn, ct):
    axis = eqn.params["axis"]
    spec = ",".join("i" if a == axis else ":" for a in range(len(ct.shape)))
    for k, x in enumerate(eqn.ins):
        if t.is_linear(x):
            t.add(x, apply("load", ct, i64(k), spec=spec))


@transpose("dot")
def _dot_t(t, eqn, ct):
    a, b = eqn.ins
    if t.is_linear(a):
        other = t.value(b)
        if a.type.ndim == 1:
            t.add(a, ct * other if b.type.ndim == 1 else apply("dot", other, ct))
        else:
            t.add(a, _outer(ct, other) if b.type.ndim == 1 else apply("dot", ct, _flip(other)))
    else:
        other = t.value(a)
        if b.type.ndim == 1:
            t.add(b, ct * other if a.type.ndim == 1 else apply("dot", _flip(other), ct))
        else:
            t.add(b, _outer(other, ct) if a.type.ndim == 1 else apply("dot", _flip(other), ct))


def _outer(x, y):
    return apply("expand", x, axes=(1,)) * apply("expand", y, axes=(0,))


def _flip(x):
    return apply("transpose", x, perm=(1, 0))


# --- transposes: indexing ----------------------------------------------------------------------


@transpose("load")
def _load_t(t, eqn, ct):
    spec, places = eqn.params["spec"], eqn.ins[1:]
    distinct = "a" in split_spec(spec) and _is_each_once(t, places)
    t.accumulate(eqn.ins[0], ct, places, spec, **({DISTINCT: True} if distinct else {}))


@transpose("accum")
def _accum_t(t, eqn, ct):
    base, value = eqn.ins[:2]
    if t.is_linear(value):
        t.add(value, _read_back(t, eqn, ct))
    if t.is_linear(base):
        t.add(base, ct)


@transpose("store")
def _store_t(t, eqn, ct):
    """The value gets the cotangent of the place it was written to, which is then zeroed, unless
    nobody looks at it again. Where that is the whole array, nothing is left of what was there
    before."""
    base, value = eqn.ins[:2]
    if t.is_linear(value):
        t.add(value, _read_back(t, eqn, ct, overwrites=True))
    if t.is_linear(base) and eqn.params.get(FIRST_TOUCH):
        t.add(base, ct)
    elif t.is_linear(base) and not is_full(eqn.params["spec"]):
        indices = [t.value(a).atom for a in eqn.ins[2:]]
        t.add(base, apply("store", ct, 0.0, *indices, spec=eqn.params["spec"]))


def _read_back(t, eqn, ct, overwrites=False):
    value, spec = eqn.ins[1], eqn.params["spec"]
    indices = [t.value(a).atom for a in eqn.ins[2:]]
    read = apply("load", ct, *indices, spec=spec)
    if overwrites and "a" in split_spec(spec) and not _is_each_once(t, eqn.ins[2:]):
        read = _last_writer(t, eqn, read, indices)
    return unbroadcast(read, value.type.shape)


def _is_each_once(t, places):
    """True where the index arrays certainly name each place once, as those of a diagonal do: one of
    them does, and none is stretched, which would repeat it."""
    arrays = [a for a in places if a.type.is_array]
    first = arrays[0].type.shape
    alike = all(a is arrays[0] or known_equal(a.type.shape[0], first[0]) for a in arrays)
    flat = all(a.type.ndim == 1 for a in arrays)
    return flat and alike and any(map(t.is_distinct, arrays))


def _last_writer(t, eqn, read, indices):
    """Of duplicate indices the last one wins: only its value reached the array. Each place gets the
    number of its last writer, in an array over the axes that index arrays select from."""
    spec, rest = split_spec(eqn.params["spec"]), list(indices)
    index, sizes, kept = [], [], 0
    for axis, token in enumerate(spec):
        own = [rest.pop(0) for _ in range(token.count("_") if ":" in token else 1)]
        if token == "a":
            index.append(Value(t.b, own[0]))
            sizes.append(t.extents(eqn.ins[0])[axis])
        elif token != "i" and not index:
            kept += 1
    shape = _broadcast_extents(t.b, index)
    size = shape[0]
    for n in shape[1:]:
        size = t.b.emit("mul", size, n, name="n")
    order = apply("iota", Value(t.b, size))
    if len(shape) > 1:
        order = apply("reshape", order, *shape)
    places = ",".join("a" * len(index))
    winner = apply("full", Value(t.b, i64(-1)), *sizes)
    winner = apply("store", winner, order, *index, spec=places)
    wins = apply("load", winner, *index, spec=places).equals(order)
    own = range(kept, kept + len(shape))
    others = tuple(a for a in range(len(read.shape)) if a not in own)
    return select(apply("expand", wins, axes=others) if others else wins, read, 0.0)


def _broadcast_extents(b, arrays):
    """The extents of arrays after broadcasting: of each axis, one that is not 1."""
    rank = max(len(x.shape) for x in arrays)
    shape = []
    for k in range(rank, 0, -1):
        found = [x for x in arrays if len(x.shape) >= k and x.shape[-k] != 1]
        x = found[0] if found else None
        shape.append(i64(1) if x is None else extents(x)[len(x.shape) - k])
    return shape


@transpose("grow")
def _grow_t(t, eqn, ct):
    """Only the first part was there before."""
    x = eqn.ins[0]
    spec = ",".join([":_"] + [":"] * (x.type.ndim - 1))
    t.add(x, t.typed(apply("load", ct, t.extents(x)[0], spec=spec), x))
