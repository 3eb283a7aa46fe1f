"""Small IR programs that between them use every feature of differentiation, with inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Case:
    """An IR program, arguments, and the parameters to differentiate with respect to."""

    name: str
    text: str
    args: tuple
    wrt: tuple[int, ...]


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape) * 100 + sum(shape)).uniform(0.3, 1.2, shape)


def _spd(n: int) -> np.ndarray:
    a = _random(n, n)
    return a @ a.T + n * np.eye(n)


CASES = (
    Case(
        "running_product",
        """
func f(a: f64[n]) {
  n: i64 = dim a {axis=0}
  a1: f64[n] = for 1: i64, n, 1: i64, a { (i: i64, a: f64[n])
    j: i64 = sub i, 1: i64
    u: f64 = load a, i {spec='i'}
    v: f64 = load a, j {spec='i'}
    w: f64 = mul u, v
    a: f64[n] = store a, w, i {spec='i'}
    yield a
  }
  return a1
}
results a
""",
        (_random(6),),
        (0,),
    ),
    Case(
        "newton_and_nested_while",
        """
func f(x: f64, n: i64) {
  y: f64 = while x { (y: f64)
    yy: f64 = mul y, y
    d: f64 = sub yy, x
    e: f64 = abs d
    c: bool = gt e, 1e-12: f64
    yield c
  } { (y: f64)
    q: f64 = div x, y
    s: f64 = add y, q
    y: f64 = mul s, 0.5: f64
    yield y
  }
  z: f64 = for 0: i64, n, 1: i64, y { (i: i64, z: f64)
    w: f64, k: f64 = while z, 0.0: f64 { (z: f64, k: f64)
      c: bool = lt k, 3.0: f64
      yield c
    } { (z: f64, k: f64)
      z: f64 = sin z
      z: f64 = mul z, y
      k: f64 = add k, 1.0: f64
      yield z, k
    }
    yield w
  }
  return z
}
results z
""",
        (3.0, 4),
        (0,),
    ),
    Case(
        "cholesky_in_place",
        """
func f(A: f64[n, m]) {
  n: i64 = dim A {axis=0}
  B: f64[n, m] = for 0: i64, n, 1: i64, A { (i: i64, A: f64[n, m])
    A1: f64[n, m] = for 0: i64, i, 1: i64, A { (j: i64, A: f64[n, m])
      r: f64[?] = load A, i, j {spec='i,:_'}
      s: f64[?] = load A, j, j {spec='i,:_'}
      d: f64 = dot r, s
      u: f64 = load A, i, j {spec='i,i'}
      v: f64 = sub u, d
      A: f64[n, m] = store A, v, i, j {spec='i,i'}
      w: f64 = load A, j, j {spec='i,i'}
      p: f64 = load A, i, j {spec='i,i'}
      q: f64 = div p, w
      A: f64[n, m] = store A, q, i, j {spec='i,i'}
      yield A
    }
    r: f64[?] = load A1, i, i {spec='i,:_'}
    d: f64 = dot r, r
    u: f64 = load A1, i, i {spec='i,i'}
    v: f64 = sub u, d
    q: f64 = sqrt v
    A: f64[n, m] = store A1, q, i, i {spec='i,i'}
    yield A
  }
  return B
}
results A
""",
        (_spd(4),),
        (0,),
    ),
    Case(
        "branches_in_a_loop",
        """
func f(x: f64[n], h: f64) {
  n: i64 = dim x {axis=0}
  s: f64, x1: f64[n] = for 0: i64, n, 1: i64, h, x { (i: i64, s: f64, x: f64[n])
    u: f64 = load x, i {spec='i'}
    c: bool = gt u, 0.7: f64
    v: f64, x: f64[n] = if c { ()
      e: f64 = exp u
      p: f64 = mul e, s
      q: f64 = tanh p
      x: f64[n] = store x, q, i {spec='i'}
      yield q, x
    } { ()
      m: f64 = mul u, u
      yield m, x
    }
    s: f64 = mul s, v
    s: f64 = add s, h
    yield s, x
  }
  c: bool = gt s, 0.0: f64
  z: f64 = if c { ()
    t: f64 = sqrt s
    w: f64 = mul t, h
    yield w
  } { ()
    yield s
  }
  return z, x1
}
results z, x
""",
        (_random(7), 0.4),
        (0, 1),
    ),
    Case(
        "early_exit",
        """
func f(x: f64[n]) {
  n: i64 = dim x {axis=0}
  k: i64, s: f64 = for 1: i64, n, 2: i64, 1.0: f64 {exit=True} { (i: i64, s: f64)
    u: f64 = load x, i {spec='i'}
    v: f64 = mul s, u
    v: f64 = cos v
    stop: bool = gt i, 4: i64
    yield stop, v
  }
  return s
}
results s
""",
        (_random(9),),
        (0,),
    ),
    Case(
        "double_buffer",
        """
func f(u: f64[n], k: i64) {
  n: i64 = dim u {axis=0}
  v: f64[n] = full 0.0: f64, n
  a: f64[n], b: f64[n] = for 0: i64, k, 1: i64, u, v { (t: i64, a: f64[n], b: f64[n])
    l: f64[n-2] = load a, -2: i64 {spec=':_'}
    r: f64[n-2] = load a, 2: i64 {spec='_:'}
    m: f64[n-2] = mul l, r
    w: f64[n-2] = sin m
    b: f64[n] = store b, w, 1: i64, -1: i64 {spec='_:_'}
    yield b, a
  }
  s: f64[n] = mul a, b
  z: f64 = sum s {axes=(0,)}
  return z, a
}
results z, u
""",
        (_random(6), 5),
        (0,),
    ),
    Case(
        "time_stepping_of_arrays",
        """
func f(x: f64[n], h: f64, k: i64) {
  y: f64[n] = for 0: i64, k, 1: i64, x { (t: i64, x: f64[n])
    s: f64[n] = sin x
    d: f64[n] = mul s, h
    x: f64[n] = add x, d
    yield x
  }
  return y
}
results x
""",
        (_random(4), 0.3, 5),
        (0, 1),
    ),
    Case(
        "gather_and_scatter",
        """
func f(w: f64[m], x: f64[m], idx: i64[m], h: f64[n]) {
  g: f64[m] = load h, idx {spec='a'}
  p: f64[m] = mul w, g
  a: f64[n] = accum h, p, idx {spec='a'}
  b: f64[n] = store a, x, idx {spec='a'}
  c: f64[n] = mul a, b
  return c
}
results c
""",
        (_random(5), _random(5), np.array([0, 2, 2, 1, 0]), _random(4)),
        (0, 1, 3),
    ),
    Case(
        "triangular_nest_with_a_carry",
        """
func f(x: f64[n], y0: f64) {
  n: i64 = dim x {axis=0}
  y: f64 = for 0: i64, n, 1: i64, y0 { (i: i64, y: f64)
    u: f64 = load x, i {spec='i'}
    z: f64 = for i, -1: i64, -1: i64, y { (j: i64, z: f64)
      v: f64 = load x, j {spec='i'}
      a: f64 = mul z, v
      b: f64 = sin a
      c: f64 = mul b, u
      yield c
    }
    yield z
  }
  return y
}
results y
""",
        (_random(5), 0.9),
        (0, 1),
    ),
    Case(
        "reductions_and_shapes",
        """
func f(A: f64[n, m], x: f64[m]) {
  n: i64 = dim A {axis=0}
  m: i64 = dim A {axis=1}
  y: f64[n] = dot A, x
  M: f64[n, 1] = reduce_max A {axes=(1,), keepdims=True}
  B: f64[n, m] = sub A, M
  E: f64[n, m] = exp B
  s: f64[n, 1] = sum E {axes=(1,), keepdims=True}
  S: f64[n, m] = div E, s
  T: f64[m, n] = transpose S {perm=(1, 0)}
  P: f64[m, m] = dot T, A
  c: f64[m, m] = cumsum P {axis=0, reverse=False}
  l: f64[?] = reshape c, 9: i64
  k: f64[?] = concatenate l, y {axis=0}
  q: f64[2, n] = stack y, y {axis=0}
  r: f64[2, n, 1] = expand q {axes=(2,)}
  v: f64[2, n] = squeeze r {axes=(2,)}
  w: f64[n] = sum v {axes=(0,)}
  return k, w
}
results k, w
""",
        (_random(4, 3), _random(3)),
        (0, 1),
    ),
    Case(
        "slices_inside_a_branch_of_a_loop",
        """
func f(A: f64[n, m], k: i64) {
  n: i64 = dim A {axis=0}
  A1: f64[n, m] = for 1: i64, n, 1: i64, A { (i: i64, A: f64[n, m])
    j: i64 = sub i, 1: i64
    c: bool = lt i, k
    A: f64[n, m] = if c { ()
      r: f64[m] = load A, i {spec='i,:'}
      p: f64[m] = load A, j {spec='i,:'}
      q: f64[m] = mul r, p
      A: f64[n, m] = store A, q, i {spec='i,:'}
      yield A
    } { ()
      p: f64[m] = load A, j {spec='i,:'}
      e: f64[m] = exp p
      A: f64[n, m] = accum A, e, i {spec='i,:'}
      yield A
    }
    yield A
  }
  return A1
}
results A
""",
        (_random(5, 2), 3),
        (0,),
    ),
    Case(
        "zero_trips",
        """
func f(x: f64, n: i64) {
  y: f64 = for 0: i64, n, 1: i64, x { (i: i64, y: f64)
    z: f64 = sin y
    yield z
  }
  w: f64 = for 5: i64, 1: i64, 2: i64, y { (i: i64, y: f64)
    z: f64 = exp y
    yield z
  }
  return w
}
results w
""",
        (0.7, 0),
        (0,),
    ),
    Case(
        "stepped_slices_outside_loops",
        """
func f(x: f64[n], y: f64[m]) {
  a: f64[?] = load x, 2: i64 {spec='::_'}
  b: f64[?] = load x, -2: i64 {spec='_:'}
  z: f64[?] = concatenate a, y, b {axis=0}
  w: f64[?] = mul z, z
  s: f64 = sum w {axes=(0,)}
  return s, z
}
results s, z
""",
        (_random(5), _random(2)),
        (0, 1),
    ),
    Case(
        "array_of_a_size_known_inside_the_loop_only",
        """
func f(x: f64[n], y0: f64) {
  n: i64 = dim x {axis=0}
  y: f64 = for 1: i64, n, 1: i64, y0 { (i: i64, y: f64)
    a: f64[?] = load x, i, 2: i64 {spec=':_:_'}
    b: f64[?] = mul a, y
    c: f64 = sum b {axes=(0,)}
    d: f64 = sin c
    yield d
  }
  return y
}
results y
""",
        (_random(5), 0.9),
        (0, 1),
    ),
    Case(
        "an_array_saved_in_a_branch_not_taken",
        """
func f(x: f64[n], k: i64, M: f64[n, n]) {
  c: bool = gt k, 3: i64
  y: f64[n] = if c { ()
    a: f64[n] = dot M, x
    b: f64[n] = mul a, a
    yield b
  } { ()
    yield x
  }
  s: f64 = sum y {axes=(0,)}
  return s
}
results s
""",
        (_random(4), 2, _random(4, 4)),
        (0, 2),
    ),
    Case(
        "an_element_that_has_been_overwritten",
        """
func f(x: f64[n], a: f64) {
  n: i64 = dim x {axis=0}
  y: f64[n], s: f64 = for 1: i64, n, 1: i64, x, a { (i: i64, y: f64[n], s: f64)
    j: i64 = sub i, 1: i64
    u: f64 = load y, j {spec='i'}
    v: f64 = mul u, a
    w: f64 = sin v
    y1: f64[n] = store y, w, i {spec='i'}
    o: f64 = load y, i {spec='i'}
    p: f64 = mul o, w
    s: f64 = add s, p
    yield y1, s
  }
  q: f64[n] = mul y, y
  t: f64 = sum q {axes=(0,)}
  r: f64 = add t, s
  return r
}
results r
""",
        (_random(5), 0.9),
        (0, 1),
    ),
)
