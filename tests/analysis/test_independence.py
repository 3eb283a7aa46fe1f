"""What a region does to a buffer, version by version."""

from __future__ import annotations

import pytest

from s2s_ad.analysis.independence import OWN, BufferAccesses, facts_of, independent
from s2s_ad.ir.text import parse
from s2s_ad.ir.verify import verify

HEAD = "func f(y: f64[n], v: f64, i: i64, c: bool) {\n"
TAIL = "\n  return y2\n}\nresults y"

#: What is done to y, where every version is used before the next one is made, and the names of
#: versions that are there at the end.
IN_LINE = {
    "one after the other": """
  y1: f64[n] = store y, v, i {spec='i'}
  t: f64 = load y1, i {spec='i'}
  y2: f64[n] = accum y1, t, i {spec='i'}""",
    "in a loop": """
  y2: f64[n] = for 0: i64, i, 1: i64, y { (k: i64, y1: f64[n])
    t: f64 = load y1, k {spec='i'}
    y1: f64[n] = store y1, v, k {spec='i'}
    yield y1
  }""",
    "in a branch": """
  y2: f64[n] = if c { ()
    y1: f64[n] = store y, v, i {spec='i'}
    yield y1
  } { ()
    yield y
  }""",
    "read in a loop": """
  s: f64 = for 0: i64, i, 1: i64, v { (k: i64, s: f64)
    t: f64 = load y, k {spec='i'}
    s: f64 = add s, t
    yield s
  }
  y2: f64[n] = store y, s, i {spec='i'}""",
    "read in a branch": """
  t: f64 = if c { ()
    t: f64 = load y, i {spec='i'}
    yield t
  } { ()
    yield v
  }
  y2: f64[n] = store y, t, i {spec='i'}""",
}
#: … and where not.
OUT_OF_LINE = {
    "read": """
  y2: f64[n] = store y, v, i {spec='i'}
  t: f64 = load y, i {spec='i'}""",
    "read whole": """
  y2: f64[n] = store y, v, i {spec='i'}
  t: f64[n] = mul y, y""",
    "written": """
  y1: f64[n] = store y, v, i {spec='i'}
  y2: f64[n] = store y, v, 0: i64 {spec='i'}""",
    "read in a loop": """
  y2: f64[n] = store y, v, i {spec='i'}
  s: f64 = for 0: i64, i, 1: i64, v { (k: i64, s: f64)
    t: f64 = load y, k {spec='i'}
    yield t
  }""",
    "from around the loop": """
  y2: f64[n] = for 0: i64, i, 1: i64, y { (k: i64, y1: f64[n])
    y1: f64[n] = store y1, v, k {spec='i'}
    t: f64 = load y, k {spec='i'}
    yield y1
  }""",
    "the one of before to the next iteration": """
  y2: f64[n] = for 0: i64, i, 1: i64, y { (k: i64, y1: f64[n])
    y3: f64[n] = store y1, v, k {spec='i'}
    yield y1
  }""",
    "written and left": """
  s: f64 = for 0: i64, i, 1: i64, v { (k: i64, s: f64)
    y1: f64[n] = store y, v, k {spec='i'}
    t: f64 = load y1, i {spec='i'}
    yield t
  }
  y2: f64[n] = store y, s, i {spec='i'}""",
    "from around the branch": """
  y2: f64[n] = if c { ()
    y1: f64[n] = store y, v, i {spec='i'}
    t: f64 = load y, i {spec='i'}
    yield y1
  } { ()
    yield y
  }""",
    "written in a branch and left": """
  s: f64 = if c { ()
    y1: f64[n] = store y, v, i {spec='i'}
    t: f64 = load y1, 0: i64 {spec='i'}
    yield t
  } { ()
    yield v
  }
  y2: f64[n] = store y, s, i {spec='i'}""",
}


def accesses(body: str) -> tuple[BufferAccesses, object]:
    func = verify(parse(HEAD + body.strip("\n") + TAIL))
    found = BufferAccesses(func.params[0])
    found.block(func.body)
    return found, func.body.results[0]


@pytest.mark.parametrize("name", IN_LINE)
def test_in_line(name: str) -> None:
    found, result = accesses(IN_LINE[name])
    assert found.in_line and found.latest is result and not found.escapes


@pytest.mark.parametrize("name", OUT_OF_LINE)
def test_out_of_line(name: str) -> None:
    assert not accesses(OUT_OF_LINE[name])[0].in_line


#: A loop over blocks of SIZE, each with a loop over some COUNT of what is in it.
BLOCKS = """
func f(y: f64[n], v: f64, c: bool) {
  n: i64 = dim y {axis=0}
  width: i64 = select c, 64: i64, 16: i64
  y2: f64[n] = for 0: i64, n, SIZE, y { (i: i64, y: f64[n])
    rest: i64 = sub n, i
    lanes: i64 = minimum rest, COUNT
    begin: i64 = maximum i, 0: i64
    y1: f64[n] = for 0: i64, lanes, 1: i64, y { (k: i64, y: f64[n])
      at: i64 = add begin, k
      y: f64[n] = store y, v, at {spec='i'}
      yield y
    }
    yield y1
  }
  return y2
}
results y"""


@pytest.mark.parametrize(
    "size, count, proved",
    [
        ("64: i64", "64: i64", True),
        ("64: i64", "16: i64", True),
        ("64: i64", "width", True),
        ("width", "width", True),
        ("width", "16: i64", True),
        ("64: i64", "65: i64", False),
        ("16: i64", "width", False),
        ("width", "64: i64", False),
        ("-64: i64", "64: i64", False),
    ],
)
def test_blocks(size: str, count: str, proved: bool) -> None:
    """Blocks have elements of their own where they are no larger than the step."""
    func = verify(parse(BLOCKS.replace("SIZE", size).replace("COUNT", count)))
    (loop,) = (e for e in func.body.eqns if e.prim == "for")
    found = independent(loop, facts_of(func), any_order=False)
    assert ([c.kind for c in found] if found else None) == ([OWN] if proved else None)
