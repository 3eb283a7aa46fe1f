# ruff: noqa: E501
"""IR programs for the golden tests of the printer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Program:
    """`user` is the source that locations refer to; `copies` how many `.copy()` are printed."""

    name: str
    ir: str
    args: tuple
    user: str = ""
    doc: str = ""
    copies: int = 0


LINE = np.linspace(0.1, 1.0, 6)
SQUARE = np.arange(20.0).reshape(4, 5) / 7

PROGRAMS = [
    Program(
        "sum_of_squares",
        """
func f(x: f64[n]) {
  n: i64 = dim x {axis=0}
  s: f64 = for 0: i64, n, 1: i64, 0.0: f64 { (i: i64, s.1: f64)
    t: f64 = load x, i {spec='i'}
    t.1: f64 = mul t, t
    s.2: f64 = add s.1, t.1
    yield s.2
  }
  return s
}
""",
        (LINE,),
        doc="The sum of the squares of x.",
    ),
    Program(
        "double_buffer",
        """
func jacobi(u: f64[n], v: f64[n], k: i64) {
  n: i64 = dim u {axis=0}
  t: i64 = sub n, 1: i64
  u.1: f64[n], v.1: f64[n] = for 0: i64, k, 1: i64, u, v { (it: i64, u.2: f64[n], v.2: f64[n])
    v.3: f64[n] = for 1: i64, t, 1: i64, v.2 { (i: i64, v.4: f64[n])
      t.1: i64 = sub i, 1: i64
      t.2: i64 = add i, 1: i64
      t.3: f64 = load u.2, t.1 {spec='i'}
      t.4: f64 = load u.2, t.2 {spec='i'}
      t.5: f64 = add t.3, t.4
      t.6: f64 = mul 0.5: f64, t.5
      v.5: f64[n] = store v.4, t.6, i {spec='i'}
      yield v.5
    }
    yield v.3, u.2
  }
  return u.1
}
""",
        (LINE, LINE, 3),
        copies=2,
    ),
    Program(
        "gauss_seidel",
        """
func gs(A: f64[n, m], b: f64[n, m]) {
  n: i64 = dim A {axis=0}
  m: i64 = dim A {axis=1}
  n1: i64 = sub n, 1: i64
  A.1: f64[n, m] = for 1: i64, n1, 1: i64, A { (i: i64, A.2: f64[n, m])
    t: i64 = sub m, 1: i64
    A.3: f64[n, m] = for 1: i64, t, 1: i64, A.2 { (j: i64, A.4: f64[n, m])
      t.1: i64 = sub i, 1: i64
      t.2: f64 = load A.4, t.1, j {spec='i,i'}
      t.3: f64 = load b, i, j {spec='i,i'}
      t.4: f64 = add t.2, t.3
      A.5: f64[n, m] = store A.4, t.4, i, j {spec='i,i'}
      yield A.5
    }
    yield A.3
  }
  return A.1
}
mutated 0->0
""",
        (SQUARE, SQUARE + 1.0),
    ),
    Program(
        "gauss_seidel_on_a_copy",
        """
func gs(A: f64[n, m], b: f64[n, m]) {
  n: i64 = dim A {axis=0}
  m: i64 = dim A {axis=1}
  n1: i64 = sub n, 1: i64
  A.1: f64[n, m] = for 1: i64, n1, 1: i64, A { (i: i64, A.2: f64[n, m])
    t: i64 = sub m, 1: i64
    A.3: f64[n, m] = for 1: i64, t, 1: i64, A.2 { (j: i64, A.4: f64[n, m])
      t.1: i64 = sub i, 1: i64
      t.2: f64 = load A.4, t.1, j {spec='i,i'}
      t.3: f64 = load b, i, j {spec='i,i'}
      t.4: f64 = add t.2, t.3
      A.5: f64[n, m] = store A.4, t.4, i, j {spec='i,i'}
      yield A.5
    }
    yield A.3
  }
  return A.1
}

""",
        (SQUARE, SQUARE + 1.0),
        copies=1,
    ),
    Program(
        "newton",
        """
func newton(a: f64, tol: f64) {
  x: f64 = while a { (x.1: f64)
    t: f64 = mul x.1, x.1
    t.1: f64 = sub t, a
    t.2: f64 = abs t.1
    t.3: bool = gt t.2, tol
    yield t.3
  } { (x.2: f64)
    t.4: f64 = div a, x.2
    t.5: f64 = add x.2, t.4
    x.3: f64 = mul 0.5: f64, t.5
    yield x.3
  }
  return x
}
""",
        (2.0, 1e-9),
    ),
    Program(
        "leave_a_loop",
        """
func find(x: f64[n], tol: f64) {
  n: i64 = dim x {axis=0}
  count: i64, s: f64 = for 0: i64, n, 1: i64, 0.0: f64 {exit=True} { (i: i64, s.1: f64)
    t: f64 = load x, i {spec='i'}
    t.1: bool = gt t, tol
    stop: bool, s.2: f64 = if t.1 { ()
      yield True: bool, s.1
    } { ()
      s.3: f64 = add s.1, t
      yield False: bool, s.3
    }
    yield stop, s.2
  }
  return s, count
}
""",
        (LINE, 0.75),
    ),
    Program(
        "lotka_volterra",
        """
func lv(x: f64, y: f64, h: f64, n: i64) {
  x.1: f64, y.1: f64 = for 0: i64, n, 1: i64, x, y { (i: i64, x.2: f64, y.2: f64)
    t: f64 = mul x.2, y.2
    dx: f64 = sub x.2, t
    t.1: f64 = mul x.2, y.2
    dy: f64 = sub t.1, y.2
    t.2: f64 = mul h, dx
    x.3: f64 = add x.2, t.2
    t.3: f64 = mul h, dy
    y.3: f64 = add y.2, t.3
    yield x.3, y.3
  }
  t: f64 = maximum x.1, y.1
  return t
}
""",
        (1.0, 0.5, 0.1, 5),
    ),
    Program(
        "reverse_sweep",
        """
func f_grad(x: f64[n], h: f64) {
  n: i64 = dim x {axis=0} @2:4
  y_tape: f64[n] = empty n {dtype='f64'} @3:4
  y: f64, y_tape.1: f64[n] = for 0: i64, n, 1: i64, 1.0: f64, y_tape { (i: i64, y: f64, y_tape: f64[n])
    y_tape: f64[n] = store y_tape, y, i {spec='i'} @4:8
    t: f64 = load x, i {spec='i'} @4:8
    t.1: f64 = mul h, t @4:8
    dy: f64 = sin t.1 @4:8
    y.2: f64 = mul y, dy @5:8
    yield y.2, y_tape
  } @3:4
  x_bar: f64[n] = full 0.0: f64, n @3:4 adjoint
  m: i64 = sub n, 1: i64 @3:4 adjoint
  y_bar: f64, x_bar1: f64[n], h_bar: f64 = for m, -1: i64, -1: i64, 1.0: f64, x_bar, 0.0: f64 { (i: i64, y_bar: f64, x_bar: f64[n], h_bar: f64)
    y: f64 = load y_tape.1, i {spec='i'} @4:8
    t: f64 = load x, i {spec='i'} @4:8
    t.1: f64 = mul h, t @4:8
    dy: f64 = sin t.1 @4:8
    dy_bar: f64 = mul y_bar, y @5:8 adjoint
    y_bar.1: f64 = mul y_bar, dy @5:8 adjoint
    t.2: f64 = cos t.1 @4:8 adjoint
    t_bar: f64 = mul dy_bar, t.2 @4:8 adjoint
    t.3: f64 = mul t_bar, h @4:8 adjoint
    x_bar: f64[n] = accum x_bar, t.3, i {spec='i'} @4:8 adjoint
    t.4: f64 = mul t_bar, t @4:8 adjoint
    h_bar.1: f64 = add h_bar, t.4 @4:8 adjoint
    yield y_bar.1, x_bar, h_bar.1
  } @3:4 adjoint
  return y, x_bar1, h_bar
}
""",
        (LINE, 0.3),
        user="""
def f(x, h):
    n = x.shape[0]; y = 1.0
    for i in range(n):
        dy = np.sin(h * x[i])
        y = y * dy
    return y
""",
    ),
    Program(
        "taped_while",
        """
func f(x: f64, tol: f64) {
  tape: f64[?] = empty 0: i64 {dtype='f64'}
  y: f64, k: i64, tape1: f64[?] = while x, 0: i64, tape { (y: f64, k: i64, tape: f64[?])
    t: f64 = mul y, y
    t.1: bool = gt t, tol
    t.2: bool = lt k, 100: i64
    t.3: bool = and t.1, t.2
    yield t.3
  } { (y: f64, k: i64, tape: f64[?])
    tape: f64[?] = grow tape, k
    tape: f64[?] = store tape, y, k {spec='i'}
    y.1: f64 = mul y, 0.5: f64
    k.1: i64 = add k, 1: i64
    yield y.1, k.1, tape
  }
  t: bool = ge k, 0: i64
  assert t {error='ValueError', message='no steps'}
  kept: f64[?] = load tape1, k {spec=':_'}
  s: f64 = sum kept {axes=(0,)}
  return y, s
}
""",
        (8.0, 0.01),
    ),
    Program(
        "array_level",
        """
func loss(X: f64[n, m], w: f64[m], y: f64[n]) {
  z: f64[n] = dot X, w
  t: f64[n] = neg z
  t.1: f64[n] = exp t
  t.2: f64[n] = add 1.0: f64, t.1
  p: f64[n] = div 1.0: f64, t.2
  t.3: f64[n] = sub p, y
  t.4: f64[n] = mul t.3, t.3
  t.5: f64 = sum t.4 {axes=(0,)}
  n: i64 = dim X {axis=0}
  t.6: f64 = convert n {dtype='f64'}
  s: f64 = div t.5, t.6
  r: f64[m, n] = transpose X {perm=(1, 0)}
  t.7: f64[m] = dot r, t.3
  t.8: i64 = dim w {axis=0}
  g: f64[m] = full 0.0: f64, t.8
  t.9: f64[m] = mul t.7, 2.0: f64
  g.1: f64[m] = store g, t.9 {spec=':'}
  return s, g.1
}
""",
        (SQUARE, LINE[:5], LINE[:4]),
    ),
]
