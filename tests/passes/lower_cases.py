"""Programs for test_lower: each is run by the interpreter before and after."""
# ruff: noqa: E501 (programs read best with one equation to a line)

from __future__ import annotations

import numpy as np

UNARY = (
    "neg abs sign sqrt cbrt exp exp2 expm1 log log1p log2 log10 sin cos tan arcsin arccos arctan "
    "sinh cosh tanh arcsinh arccosh arctanh floor ceil trunc rint stop_gradient"
).split()
BINARY = "add sub mul div maximum minimum floordiv mod arctan2 hypot copysign pow".split()
COMPARE = "eq ne lt le gt ge".split()


def draw(func, n, m, seed):
    """Arguments for `func`: extents `n` and `m` by name, others by number; indices are valid."""
    rng = np.random.default_rng(seed)
    args = []
    for p in func.params:
        shape = tuple({"n": n, "m": m}.get(d, d) for d in p.type.shape)
        if p.type.dtype == "i64":
            low, high = {"k": (0, 4), "neg": (-4, 4), "idx": (-n, n)}.get(p.name, (-5, 6))
            value = rng.integers(low, max(high, low + 1), shape)
        elif p.type.dtype == "bool":
            value = rng.random(shape) > 0.5
        else:
            value = rng.normal(size=shape).round(2)
            if p.type.dtype.startswith("c"):
                value = value + 1j * rng.normal(size=shape)
        kinds = {"f32": "float32", "i32": "int32", "c64": "complex64"}
        value = np.asarray(value).astype(
            kinds.get(p.type.dtype, value.dtype if hasattr(value, "dtype") else None)
        )
        args.append(value if shape else value[()])
    return args


def one(body, params="x: f64[n], y: f64[n]", result="r"):
    return f"func f({params}) {{\n{body}\n  return {result}\n}}\n"


XA = "x: f64[n], A: f64[n, m]"
CASES = {
    **{op: one(f"  r: f64[n] = {op} x") for op in UNARY},
    **{op: one(f"  r: f64[n] = {op} x, y") for op in BINARY},
    **{op: one(f"  r: bool[n] = {op} x, y") for op in COMPARE},
    **{op: one(f"  a: bool[n] = lt x, y\n  b: bool[n] = gt x, 0.0: f64\n  r: bool[n] = {op} a, b")
       for op in ("and", "or", "xor")},
    "select": one("  c: bool[n] = lt x, y\n  d: bool[n] = not c\n  r: f64[n] = select d, x, y"),
    "isnan": one("  a: f64[n] = log x\n  b: bool[n] = isnan a\n  c: bool[n] = isfinite a\n"
                 "  r: bool[n] = or b, c"),
    "convert": one("  a: i64[n] = convert x {dtype='i64'}\n  r: f64[n] = convert a {dtype='f64'}"),
    "power": one("  r: f64[n] = pow x, 3: i64"),
    "stencil_adjoint": one(
        "  v: f64[n-2, m-2] = load B, 1: i64, -1: i64, 1: i64, -1: i64 {spec='_:_,_:_'}\n"
        "  A0: f64[n, m] = store A, 0.0: f64, 1: i64, -1: i64, 1: i64, -1: i64 {spec='_:_,_:_'}\n"
        "  A1: f64[n, m] = accum A0, v, -2: i64, 1: i64, -1: i64 {spec=':_,_:_'}\n"
        "  r: f64[n, m] = accum A1, v, 1: i64, -1: i64, 2: i64 {spec='_:_,_:'}",
        "A: f64[n, m], B: f64[n, m]"),
    "row_and_column": one(
        "  c: f64[n, 1] = expand x {axes=(1,)}\n  d: f64[n, m] = mul A, c\n"
        "  e: f64[m] = exp y\n  r: f64[n, m] = add d, e", "x: f64[n], y: f64[m], A: f64[n, m]"),
    "static_one": one("  r: f64[n, m] = add A, B", "A: f64[n, m], B: f64[n, 1]"),
    "static_one_both": one("  r: f64[n, m] = add A, B", "A: f64[1, m], B: f64[n, 1]"),
    "all_ones": one("  r: f64[1, 1] = add A, B", "A: f64[1, 1], B: f64[1]"),
    "column_expensive": one(
        "  e: f64[n, 1] = exp B\n  r: f64[n, m] = add A, e", "A: f64[n, m], B: f64[n, 1]"),
    "transposed": one("  t: f64[m, n] = transpose A {perm=(1, 0)}\n  r: f64[m, n] = exp t", XA),
    "transposed_out": one("  r: f64[m, n] = transpose A {perm=(1, 0)}", XA),
    "squeeze": one("  s: f64[n] = squeeze B {axes=(1,)}\n  r: f64[n] = mul s, s", "B: f64[n, 1]"),
    "squeeze_scalar": one("  r: f64 = squeeze B {axes=(0, 1)}", "B: f64[1, 1]"),
    "broadcast": one("  n: i64 = dim A {axis=0}\n  m: i64 = dim A {axis=1}\n"
                     "  b: f64[n, m] = broadcast x, n, m {axes=(0,)}\n  r: f64[n, m] = add b, A", XA),
    "broadcast_out": one("  r: f64[3, n] = broadcast x, 3: i64, 2: i64 {axes=(1,)}", "x: f64[2]"),
    "full_iota": one("  n: i64 = dim x {axis=0}\n  i: i64[n] = iota n\n"
                     "  j: f64[n] = convert i {dtype='f64'}\n  f: f64[n] = full 2.5: f64, n\n"
                     "  a: f64[n] = mul j, f\n  r: f64[n] = add a, x"),
    "iota_out": one("  i: i64[?] = iota k", "k: i64", "i"),
    "full_out": one("  i: f64[?, 3] = full 1.5: f64, k, 3: i64", "k: i64", "i"),
    "copy": one("  a: f64[n] = exp x\n  r: f64[n] = copy a\n  q: f64[n] = copy x", result="r, q"),
    "element_of_expression": one(
        "  a: f64[n] = exp x\n  r: f64 = load a, -1: i64 {spec='i'}", "x: f64[5]"),
    "element_of_view": one(
        "  v: f64[?] = load x, 1: i64, -1: i64 {spec='_:_'}\n  r: f64 = load v, k {spec='i'}",
        "x: f64[9], neg: i64, k: i64"),
    "negative_element_of_view": one(
        "  v: f64[?] = load x, 1: i64, -1: i64 {spec='_:_'}\n  r: f64 = load v, neg {spec='i'}",
        "x: f64[9], neg: i64"),
    "dim_of_view": one(
        "  v: f64[?] = load x, neg {spec='_:'}\n  r: i64 = dim v {axis=0}\n"
        "  w: f64[?] = load x, 3: i64, -1: i64 {spec='_:_'}\n  q: i64 = dim w {axis=0}",
        "x: f64[n], neg: i64", "r, q"),
    # subscripts
    "slice_of_slice": one(
        "  a: f64[?] = load x, 1: i64, -1: i64 {spec='_:_'}\n"
        "  b: f64[?] = load a, -2: i64 {spec='_:'}\n  c: f64[?] = load b, -1: i64 {spec='::_'}\n"
        "  r: f64[?] = add c, c"),
    "reversed": one("  a: f64[n] = load x, -1: i64 {spec='::_'}\n  r: f64[n] = add a, y"),
    "row": one("  a: f64[m] = load A, 0: i64 {spec='i,:'}\n  b: f64[m] = load A, -1: i64 {spec='i,:'}\n"
               "  r: f64[m] = sub a, b", "A: f64[4, m]"),
    "column": one("  a: f64[n] = load A, 1: i64 {spec=':,i'}\n  r: f64[n] = sub a, x",
                  "x: f64[n], A: f64[n, 3]"),
    "gather": one("  a: f64[3] = load x, i {spec='a'}\n  r: f64[3] = mul a, 2.0: f64",
                  "x: f64[7], i: i64[3]"),
    "gather_rows": one("  a: f64[3, m] = load A, i {spec='a,:'}\n  r: f64[3, m] = mul a, 2.0: f64",
                       "A: f64[7, m], i: i64[3]"),
    "gather_two": one("  a: f64[3] = load A, i, j {spec='a,a'}\n  r: f64[3] = mul a, 2.0: f64",
                      "A: f64[7, 8], i: i64[3], j: i64[3]"),
    "gather_expression": one("  e: f64[7] = exp x\n  a: f64[3, 1] = load e, i {spec='a'}\n"
                             "  r: f64[3, 3] = add a, z", "x: f64[7], i: i64[3, 1], z: f64[3]"),
    "gather_of_view": one("  e: f64[7] = load x, -1: i64 {spec='::_'}\n"
                          "  r: f64[3] = load e, i {spec='a'}", "x: f64[7], i: i64[3]"),
    "scatter": one("  r: f64[7] = store x, v, i {spec='a'}", "x: f64[7], v: f64[3], i: i64[3]"),
    "scatter_add": one("  v2: f64[9] = mul v, v\n  r: f64[7] = accum x, v2, i {spec='a'}",
                       "x: f64[7], v: f64[9], i: i64[9]"),
    "scatter_add_rows": one("  r: f64[7, m] = accum A, v, i {spec='a,:'}",
                            "A: f64[7, m], v: f64[m], i: i64[9]"),
    "gather_scatter_same": one(
        "  g: f64[9] = load x, i {spec='a'}\n  h: f64[9] = mul g, 2.0: f64\n"
        "  r: f64[7] = store x, h, i {spec='a'}", "x: f64[7], i: i64[9]"),
    "store_scalar": one("  r: f64[n] = store x, 3.0: f64, 1: i64, -1: i64 {spec='_:_'}"),
    "store_row": one("  r: f64[5, m] = store A, y, k {spec='i,:'}", "A: f64[5, m], y: f64[m], k: i64"),
    "store_self_same": one(
        "  a: f64[?] = load x, 1: i64, -1: i64 {spec='_:_'}\n  b: f64[?] = exp a\n"
        "  r: f64[n] = store x, b, 1: i64, -1: i64 {spec='_:_'}"),
    "store_self_shifted": one(
        "  a: f64[?] = load x, 2: i64 {spec='_:'}\n  b: f64[?] = load x, -2: i64 {spec=':_'}\n"
        "  c: f64[?] = add a, b\n  r: f64[n] = store x, c, 1: i64, -1: i64 {spec='_:_'}",
        "x: f64[n]"),
    "store_self_reversed": one(
        "  a: f64[n] = load x, -1: i64 {spec='::_'}\n  r: f64[n] = store x, a {spec=':'}"),
    "store_self_rows": one(
        "  a: f64[m] = load A, 1: i64 {spec='i,:'}\n  b: f64[m] = load A, 2: i64 {spec='i,:'}\n"
        "  c: f64[m] = sub a, b\n  r: f64[4, m] = store A, c, 1: i64 {spec='i,:'}", "A: f64[4, m]"),
    "store_self_row_unknown": one(
        "  a: f64[m] = load A, k {spec='i,:'}\n  b: f64[m] = load A, 2: i64 {spec='i,:'}\n"
        "  c: f64[m] = sub a, b\n  r: f64[4, m] = store A, c, k {spec='i,:'}",
        "A: f64[4, m], k: i64"),
    "store_column_into_rows": one(
        "  a: f64[4] = load A, 1: i64 {spec=':,i'}\n  r: f64[4, 4] = store A, a {spec=':,:'}",
        "A: f64[4, 4]"),
    "accum_slices": one(
        "  b: f64[?] = mul y, 0.5: f64\n  c: f64[?] = load b, 1: i64, -1: i64 {spec='_:_'}\n"
        "  r1: f64[n] = accum x, c, 2: i64 {spec='_:'}\n"
        "  r: f64[n] = accum r1, c, -2: i64 {spec=':_'}"),
    "accum_zeros": one("  n: i64 = dim x {axis=0}\n  z: f64[n] = full 0.0: f64, n\n"
                       "  e: f64[n] = exp x\n  r: f64[n] = accum z, e {spec=':'}"),
    "store_empty": one("  n: i64 = dim x {axis=0}\n  z: f64[n] = empty n {dtype='f64'}\n"
                       "  r: f64[n] = store z, x {spec=':'}"),
    "store_partly": one("  n: i64 = dim x {axis=0}\n  z: f64[n] = full 0.0: f64, n\n"
                        "  v: f64[?] = load x, 1: i64, 2: i64 {spec='_::_'}\n"
                        "  r: f64[n] = store z, v, 1: i64, 2: i64 {spec='_::_'}"),
    "old_and_new": one(
        "  a: f64[?] = load x, 1: i64 {spec='_:'}\n  b: f64[?] = exp a\n"
        "  x1: f64[n] = store x, 7.0: f64, 1: i64 {spec='_:'}\n"
        "  c: f64[?] = load x1, 1: i64 {spec='_:'}\n  r: f64[?] = add b, c", result="r, x1"),
    "old_after_new": one(
        "  a: f64[?] = load x, 1: i64 {spec='_:'}\n"
        "  x1: f64[n] = store x, 7.0: f64, 0: i64 {spec='i'}\n  s: f64 = sum x1 {axes=(0,)}\n"
        "  r: f64[?] = mul a, s", "x: f64[4]", "r, x1"),
    # reductions
    **{f"{op}_all": one(f"  e: f64[n, m] = sin A\n  r: f64 = {op} e {{axes=(0, 1)}}", XA)
       for op in ("sum", "prod", "reduce_max", "reduce_min")},
    **{f"{op}_rows": one(f"  e: f64[n, m] = sin A\n  r: f64[n] = {op} e {{axes=(1,)}}", XA)
       for op in ("sum", "prod", "reduce_max", "reduce_min")},
    **{f"{op}_columns": one(f"  e: f64[n, m] = sin A\n  r: f64[m] = {op} e {{axes=(0,)}}", XA)
       for op in ("sum", "prod", "reduce_max", "reduce_min")},
    **{f"{op}_keep": one(f"  r: f64[n, 1] = {op} A {{axes=(1,), keepdims=True}}\n"
                         f"  q: f64[1, m] = {op} A {{axes=(0,), keepdims=True}}\n"
                         f"  p: f64[1, 1] = {op} A {{axes=(0, 1), keepdims=True}}", XA, "r, q, p")
       for op in ("sum", "reduce_max")},
    **{f"{op}_of_ints": one(f"  r: i64[m] = {op} A {{axes=(0,)}}\n  q: i64 = {op} A {{axes=(0, 1)}}",
                            "A: i64[n, m]", "r, q") for op in ("sum", "reduce_max", "reduce_min")},
    "max_of_nan": one("  a: f64[n] = log x\n  r: f64 = reduce_max a {axes=(0,)}"),
    "any_all": one("  c: bool[n, m] = gt A, 0.0: f64\n  r: bool[n] = any c {axes=(1,)}\n"
                   "  q: bool[m] = all c {axes=(0,)}\n  p: bool = any c {axes=(0, 1)}", XA, "r, q, p"),
    "sum_middle": one("  r: f64[n, 2] = sum A {axes=(1,)}\n  q: f64[m] = sum A {axes=(0, 2)}",
                      "A: f64[n, m, 2]", "r, q"),
    "sum_of_ones": one("  r: f64[n] = sum A {axes=(1,)}\n  q: f64 = sum B {axes=(0,)}",
                       "A: f64[n, 1], B: f64[1]", "r, q"),
    **{op: one(f"  r: i64[n] = {op} A {{axes=(1,)}}\n  q: i64[m] = {op} A {{axes=(0,)}}\n"
               f"  l: f64[n, m] = log A\n  p: i64[n] = {op} l {{axes=(1,)}}\n"
               f"  o: i64[n, 1] = {op} A {{axes=(1,), keepdims=True}}", XA, "r, q, p, o")
       for op in ("argmax", "argmin")},
    "argmax_vector": one("  r: i64 = argmax x {axes=(0,)}\n  q: i64 = argmax B {axes=(0,)}",
                         "x: f64[n], B: f64[1]", "r, q"),
    "argmax_ones": one("  r: i64[n] = argmax A {axes=(1,)}", "A: f64[n, 1]"),
    "cumsum": one("  e: f64[n] = sin x\n  r: f64[n] = cumsum e {axis=0}\n"
                  "  q: f64[n] = cumsum e {axis=0, reverse=True}", result="r, q"),
    "cumsum_matrix": one("  r: f64[n, m] = cumsum A {axis=0}\n  q: f64[n, m] = cumsum A {axis=1}\n"
                         "  p: f64[n, 1] = cumsum B {axis=1}", "A: f64[n, m], B: f64[n, 1]", "r, q, p"),
    # contractions and shapes
    "dot_slices": one("  a: f64[?] = load x, k {spec=':_'}\n  b: f64[?] = load y, k {spec=':_'}\n"
                      "  r: f64 = dot a, b", "x: f64[n], y: f64[n], k: i64"),
    "dot_vectors": one("  r: f64 = dot x, y"),
    "dot_matrix": one("  e: f64[m] = exp y\n  p: f64[n] = dot A, e\n  t: f64[m, n] = transpose A {perm=(1, 0)}\n"
                      "  q: f64[m] = dot t, p\n  r: f64[m] = mul q, 2.0: f64",
                      "A: f64[n, m], y: f64[m]"),
    "dot_of_expression": one("  B: f64[n, m] = exp A\n  p: f64[n] = dot B, y", "A: f64[n, m], y: f64[m]", "p"),
    "dot_plane": one("  B: f64[n, m] = load A, 1: i64 {spec='i,:,:'}\n  p: f64[n] = dot B, y",
                     "A: f64[3, n, m], y: f64[m]", "p"),
    "dot_block": one("  B: f64[2, 2] = load A, 2: i64, 2: i64 {spec=':_,:_'}\n  p: f64[2, 2] = dot B, B",
                     "A: f64[4, 5]", "p"),
    "dot_before_overwrite": one(
        "  a: f64[n, m] = transpose A {perm=(0, 1)}\n  s: f64[n, m] = store A, 1.0: f64 {spec=':,:'}\n"
        "  p: f64[n] = dot a, y", "A: f64[n, m], y: f64[m]", "p, s"),
    "reshape": one("  e: f64[6, 2] = exp A\n  v: f64[12] = reshape e, 12: i64\n  w: f64[12] = mul v, 2.0: f64\n"
                   "  u: f64[3, 4] = reshape A, 3: i64, 4: i64\n  s: f64 = sum u {axes=(0, 1)}",
                   "A: f64[6, 2]", "w, s"),
    "reshape_ones": one("  n: i64 = dim x {axis=0}\n  a: f64[n, 1] = reshape x, n, 1: i64\n"
                        "  b: f64[1, n] = reshape a, 1: i64, n\n  r: f64[n, n] = add a, b"),
    "stack": one("  e: f64[n] = exp x\n  r: f64[2, n] = stack e, y {axis=0}\n"
                 "  q: f64[n, 3] = stack x, y, x {axis=1}", result="r, q"),
    "stack_scalars": one("  r: f64[3] = stack a, 2.0: f64, a {axis=0}", "a: f64"),
    "concatenate": one("  v: f64[?] = load y, 1: i64 {spec='_:'}\n"
                       "  r: f64[?] = concatenate x, v, x {axis=0}\n"
                       "  q: f64[?, m] = concatenate A, A {axis=0}\n"
                       "  p: f64[n, ?] = concatenate A, A {axis=1}",
                       "x: f64[n], y: f64[n], A: f64[n, m]", "r, q, p"),
    "nonzero": one("  c: bool[n] = gt x, 0.0: f64\n  i: i64[?] = nonzero c\n  r: f64[?] = load x, i {spec='a'}"),
    # several results
    "value_and_gradient": one(
        "  s: f64[n] = sin x\n  q: f64[n] = mul x, x\n  e: f64[n] = exp q\n  p: f64[n] = mul s, e\n"
        "  v: f64 = sum p {axes=(0,)}\n  c: f64[n] = cos x\n  g1: f64[n] = mul c, e\n"
        "  g2: f64[n] = mul p, x\n  g: f64[n] = add g1, g2", result="v, g"),
    "of_two_nests": one(  # `d` reads what was started as two nests
        "  a: f64[n] = sin x\n  b: f64[n] = cos y\n  c: f64[n] = exp a\n  d: f64[n] = mul c, b\n"
        "  e: f64[n] = mul a, b\n  f: f64[n] = add d, e\n  r: f64 = sum f {axes=(0,)}"),
    "grown_nest": one(  # the first nest, grown by `d`, is read by the second
        "  a: f64[n] = sin x\n  s: f64 = sum a {axes=(0,)}\n  b: f64[n] = mul a, s\n"
        "  c: f64[n] = exp b\n  t: f64 = sum c {axes=(0,)}\n  d: f64[n] = add a, x\n"
        "  e: f64[n] = mul c, d\n  g: f64[n] = mul d, t", result="e, g, c, a"),
    "softmax": one(
        "  h: f64[n, 1] = reduce_max A {axes=(1,), keepdims=True}\n  d: f64[n, m] = sub A, h\n"
        "  e: f64[n, m] = exp d\n  s: f64[n, 1] = sum e {axes=(1,), keepdims=True}\n"
        "  r: f64[n, m] = div e, s", "A: f64[n, m]"),
    "two_stores": one(
        "  a: f64[?] = load x, 1: i64, -1: i64 {spec='_:_'}\n  b: f64[?] = exp a\n  c: f64[?] = sin a\n"
        "  x1: f64[n] = store x, b, 1: i64, -1: i64 {spec='_:_'}\n"
        "  y1: f64[n] = store y, c, 1: i64, -1: i64 {spec='_:_'}\n"
        "  d: f64[?] = load x1, 1: i64, -1: i64 {spec='_:_'}\n  r: f64 = sum d {axes=(0,)}",
        result="x1, y1, r"),
    "complex": one("  a: c128[n] = exp z\n  b: c128[n] = mul a, z\n  s: c128 = sum b {axes=(0,)}\n"
                   "  p: c128[n] = cumsum b {axis=0}", "z: c128[n]", "s, p"),
    "single": one("  a: f32[n] = mul z, 2.0: f32\n  s: f32 = reduce_max a {axes=(0,)}\n"
                  "  i: i64 = argmin a {axes=(0,)}", "z: f32[n]", "s, i, a"),
    # control flow
    "view_in_loop": one(
        "  v: f64[?] = load x, 1: i64, -1: i64 {spec='_:_'}\n  m: i64 = dim v {axis=0}\n"
        "  r: f64 = for 0: i64, m, 1: i64, 0.0: f64 { (i: i64, s: f64)\n"
        "    t: f64 = load v, i {spec='i'}\n    s1: f64 = add s, t\n    yield s1\n  }"),
    "expression_in_loop": one(
        "  v: f64[n] = exp x\n  m: i64 = dim v {axis=0}\n"
        "  r: f64 = for 0: i64, m, 1: i64, 0.0: f64 { (i: i64, s: f64)\n"
        "    t: f64 = load v, i {spec='i'}\n    s1: f64 = add s, t\n    yield s1\n  }"),
    "view_of_carried": one(
        "  v: f64[?] = load x, -1: i64 {spec='::_'}\n  m: i64 = dim v {axis=0}\n"
        "  r: f64[n] = for 0: i64, m, 1: i64, x { (i: i64, a: f64[n])\n"
        "    t: f64 = load v, i {spec='i'}\n    a1: f64[n] = store a, t, i {spec='i'}\n    yield a1\n  }"),
    "sweeps": one(
        "  r: f64[n, m], q: f64[n, m] = for 0: i64, 3: i64, 1: i64, A, B "
        "{ (i: i64, a: f64[n, m], b: f64[n, m])\n"
        "    u: f64[?, ?] = load a, 2: i64, 1: i64, -1: i64 {spec='_:,_:_'}\n"
        "    d: f64[?, ?] = load a, -2: i64, 1: i64, -1: i64 {spec=':_,_:_'}\n"
        "    s: f64[?, ?] = add u, d\n    h: f64[?, ?] = mul s, 0.5: f64\n"
        "    b1: f64[n, m] = store b, h, 1: i64, -1: i64, 1: i64, -1: i64 {spec='_:_,_:_'}\n"
        "    yield b1, a\n  }", "A: f64[n, m], B: f64[n, m]", "r, q"),
    "branches": one(
        "  n: i64 = dim x {axis=0}\n  c: bool = gt n, 2: i64\n  v: f64[n] = load x, -1: i64 {spec='::_'}\n"
        "  r: f64[n] = if c { ()\n    a: f64[n] = exp v\n    yield a\n  } { ()\n    yield v\n  }"),
    "while": one(
        "  r: f64[n], k: i64 = while x, 0: i64 { (a: f64[n], i: i64)\n    t: bool = lt i, 3: i64\n"
        "    yield t\n  } { (a1: f64[n], i1: i64)\n    b: f64[n] = mul a1, 0.5: f64\n"
        "    c: f64[n] = add b, y\n    i2: i64 = add i1, 1: i64\n    yield c, i2\n  }"),
    "triangular": one(
        "  r: f64[6, 6] = for 0: i64, 6: i64, 1: i64, A { (j: i64, a: f64[6, 6])\n"
        "    j1: i64 = add j, 1: i64\n"
        "    a3: f64[6, 6] = for j1, 6: i64, 1: i64, a { (i: i64, b: f64[6, 6])\n"
        "      u: f64[?] = load b, i, j {spec='i,:_'}\n      v: f64[?] = load b, j, j {spec='i,:_'}\n"
        "      s: f64 = dot u, v\n      w: f64[?] = load b, i, j {spec='i,_:'}\n"
        "      p: f64[?] = load b, j, j {spec='i,_:'}\n      q: f64[?] = mul p, s\n"
        "      z: f64[?] = sub w, q\n      b1: f64[6, 6] = store b, z, i, j {spec='i,_:'}\n"
        "      yield b1\n    }\n    yield a3\n  }", "A: f64[6, 6]"),
}  # fmt: skip
for _step in (None, 1, 2, -1, -2):
    for _start in (None, 0, 1, 3, -1, -3, -9):
        for _stop in (None, 2, 9, -1, -2):
            _spec = ("_" if _start is not None else "") + ":" + ("_" if _stop is not None else "")
            _spec += ":_" if _step is not None else ""
            _ops = "".join(f", {b}: i64" for b in (_start, _stop, _step) if b is not None)
            CASES[f"slice {_start}:{_stop}:{_step}"] = one(
                f"  a: f64[?] = load x{_ops} {{spec='{_spec}'}}\n  r: f64[?] = neg a\n"
                f"  q: f64[n] = store x, 1.5: f64{_ops} {{spec='{_spec}'}}",
                result="r, q",
            )
for _spec, _ops in (("_:", "k"), (":_", "k"), ("_:", "neg"), (":_", "neg"), ("_:_", "k, neg"),
                    ("_:_:_", "k, neg, 2: i64"), ("_:_:_", "neg, k, -1: i64"),
                    ("_::_", "neg, -2: i64"), (":_:_", "neg, -1: i64")):  # fmt: skip
    CASES[f"slice {_spec} {_ops}"] = one(
        f"  a: f64[?] = load x, {_ops} {{spec='{_spec}'}}\n  r: f64[?] = neg a\n"
        f"  q: f64[n] = store x, 1.5: f64, {_ops} {{spec='{_spec}'}}",
        "x: f64[n], k: i64, neg: i64",
        "r, q",
    )

CASES |= {
    f"round_{name}": one(
        "  r: f64[n] = for 0: i64, 3: i64, 1: i64, x { (i: i64, a: f64[n])\n" + body + "  }",
        "x: f64[n], y: f64[n], c: f64",
    )
    for name, body in {
        "sum": "    t: f64[n] = sin y\n    b: f64[n] = add a, t\n    yield b\n",
        "sum_swapped": "    b: f64[n] = add y, a\n    yield b\n",
        "sum_of_number": "    b: f64[n] = add c, a\n    yield b\n",
        "twice_itself": "    b: f64[n] = add a, a\n    yield b\n",
        "read_besides": "    t: f64[n] = sin a\n    b: f64[n] = add a, t\n    yield b\n",
        "of_product": "    t: f64[n] = mul y, c\n    b: f64[n] = add t, a\n    yield b\n",
    }.items()
}

STENCIL = """func jacobi(A: f64[n, m], B: f64[n, m], sweeps: i64) {
  A1: f64[n, m], B1: f64[n, m] = for 0: i64, sweeps, 1: i64, A, B { (it: i64, a: f64[n, m], b: f64[n, m])
    left: f64[?, ?] = load a, 1: i64, -1: i64, -2: i64 {spec='_:_,:_'}
    right: f64[?, ?] = load a, 1: i64, -1: i64, 2: i64 {spec='_:_,_:'}
    up: f64[?, ?] = load a, -2: i64, 1: i64, -1: i64 {spec=':_,_:_'}
    down: f64[?, ?] = load a, 2: i64, 1: i64, -1: i64 {spec='_:,_:_'}
    t: f64[?, ?] = add left, right
    t.1: f64[?, ?] = add up, down
    t.2: f64[?, ?] = add t, t.1
    t.3: f64[?, ?] = mul 0.25: f64, t.2
    b1: f64[n, m] = store b, t.3, 1: i64, -1: i64, 1: i64, -1: i64 {spec='_:_,_:_'} @7:8
    yield b1, a
  } @6:4
  return A1, B1
}
mutated 0->0, 1->1
"""
AXPY = one(
    "  t: f64[n] = mul a, x\n  u: f64[n] = add t, y\n  v: f64[n] = mul a, u\n  r: f64[n] = sub v, x",
    "a: f64, x: f64[n], y: f64[n]",
)
MATVEC = one(
    "  t: f64[m] = sin w\n  p: f64[n] = dot X, t\n  q: f64[n] = neg p\n  e: f64[n] = exp q\n"
    "  d: f64[n] = add e, 1.0: f64\n  r: f64[n] = div 1.0: f64, d",
    "X: f64[n, m], w: f64[m]",
)
GOLDEN = {
    "jacobi": STENCIL,
    "axpy": AXPY,
    "value_and_gradient": CASES["value_and_gradient"],
    "softmax": CASES["softmax"],
    "matrix_vector": MATVEC,
    "overlapping_store": CASES["store_self_shifted"],
    "store_in_place": CASES["store_self_same"],
    "triangular": CASES["triangular"],
    "concatenate": CASES["concatenate"],
    "stencil_adjoint": CASES["stencil_adjoint"],
    "sum_in_place": CASES["round_sum"],
}
