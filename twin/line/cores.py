"""Process models as the SimPy engine calls them: the compiled functions on vectors of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.line import schema as s
from twin.line.model import Line
from twin.processes.model import Kind


class Core:
    """The compiled process model of one element, with the vectors that it is called on."""

    def __init__(self, line: Line, e: int, work_space: NDArray[np.float64]) -> None:
        model, k = line.elements[e].model, line.k
        if model is None:
            return
        ek = s.ELEMENTS_K + e * s.EK
        n_u, n_d, n_p = k[ek + s.N_SETPOINTS], k[ek + s.N_D], k[ek + s.N_P]
        self.n_u, self.n_y = n_u, k[ek + s.N_Y]
        self.setpoint_f = line.setpoints_f(e)
        self.coming_f = line.outputs_f(e) + self.n_y
        at, p_c = k[ek + s.VECTORS_V], k[ek + s.P_C]
        vectors = []
        for length in (k[ek + s.N_X], n_u, n_d, n_p, len(model.outputs)):
            vectors.append(work_space[at : at + length])
            at += length
        self.x, self.u, self.d, self.p, self.out = vectors
        self.p0 = np.array(line.c[p_c : p_c + n_p])
        self.drift = np.array(line.c[p_c + n_p : p_c + 2 * n_p])
        self.drifts = k[ek + s.DRIFTS]
        self.p[:] = self.p0
        self.wears = k[ek + s.N_X] > 0
        self.d[:] = line.c[p_c + 2 * n_p : p_c + 2 * n_p + n_d]
        d_k = k[ek + s.D_K]
        self.given = [(n, k[s.K_DISTURBANCE_F] + k[d_k + n]) for n in range(n_d) if k[d_k + n] >= 0]
        self.d_elapsed = k[ek + s.ELAPSED_D]
        self.d_product, self.part_f = k[ek + s.PRODUCT_D], k[s.K_PART_F] + s.PRODUCT
        self.shift_h = line.plant.shift_h
        self.moves = bool(self.wears or n_u or self.given or self.drifts or self.d_elapsed >= 0)
        self.told: list[float] | None = None
        """What the model said last; where nothing that it depends on can move, it says it once."""
        self.write = model.writer()
        if model.kind is Kind.CONTINUOUS:
            self.x_f, self.n_x = k[ek + s.X_F], len(self.x)
            self.step = model.stepper()
            self.shift = model.module.shift_carriers
            self.ready = model.module.entry_open

    def load(self, e: int, now: float, f: list[float]) -> None:
        """Gather u, d and the drifting p from the state."""
        at = self.setpoint_f
        for n in range(self.n_u):
            self.u[n] = f[at + n]
        for n, column in self.given:
            self.d[n] = f[column]
        if self.d_elapsed >= 0:
            hours = now / 3600.0  # fmod would take as long as the rest of the cycle
            self.d[self.d_elapsed] = hours - self.shift_h * int(hours / self.shift_h)
        if self.drifts:
            np.multiply(self.p0, 1.0 + self.drift * (now / 3600.0), out=self.p)

    def begin(self, e: int, now: float, f: list[float], i: list[int]) -> float:
        """Fill the cycle's columns of a per-part station; returns the defect probability."""
        a = e * s.E_FLOATS
        if self.moves or self.told is None:
            self.load(e, now, f)
            if self.d_product >= 0:  # of the part in hand, not of those that enter the line now
                slot = i[e * s.E_INTS + s.SLOT]
                self.d[self.d_product] = f[self.part_f + slot * s.P_FLOATS]
            if self.wears:
                self.x[0] = f[a + s.WEAR]
            self.write(self.x, self.u, self.d, self.p, self.out)
            self.told = self.out.tolist()
        out = self.told
        f[a + s.CYCLE_S], f[a + s.CYCLE_KWH], f[a + s.MATERIAL_KG] = out[0], out[1], out[2]
        f[a + s.CYCLE_WEAR] = out[4]
        for n in range(self.n_y):
            f[self.coming_f + n] = out[5 + n]
        return float(out[3])


def begin_cycle(line: Line, e: int, now_s: float, f: list[float], i: list[int]) -> float:
    """What the model says of the part in work at a station, when somebody else has begun it.

    Returns the probability that it is spoilt.

    Wear, setpoints and disturbances in ``f`` must be up to date; they are those at the beginning of
    the part unless they have moved since.
    """
    if line.elements[e].model is None:
        return 0.0
    return Core(line, e, np.zeros(line.k[s.K_VECTORS])).begin(e, now_s, f, i)


def hooks_of(cores: list[Core], space: NDArray[np.float64]) -> dict[str, Any]:
    """The hooks of ``twin.line.hooks`` that have to do with process models, on CPython lists."""

    def run_cycle(
        e: int, now: float, f: list[float], i: list[int], _c: Any, _k: Any, _journal: Any
    ) -> float:
        return cores[e].begin(e, now, f, i)

    def gather(
        e: int, now: float, f: list[float], _i: Any, _c: Any, _k: Any, _journal: Any
    ) -> None:
        core = cores[e]
        core.load(e, now, f)
        core.x[:] = f[core.x_f : core.x_f + core.n_x]

    def outputs(e: int, _c: Any, _k: Any, _journal: Any) -> None:
        core = cores[e]
        core.write(core.x, core.u, core.d, core.p, core.out)

    def carry_on(e: int, step_s: float, f: list[float], _c: Any, _k: Any, _journal: Any) -> None:
        core = cores[e]
        core.step(core.x, core.u, core.d, core.p, step_s, core.x)
        f[core.x_f : core.x_f + core.n_x] = core.x.tolist()

    def shift_carriers(e: int, entering_c: float, _k: Any, _journal: Any) -> None:
        cores[e].shift(cores[e].x, entering_c)

    def entry_open(e: int, _c: Any, _k: Any, _journal: Any) -> bool:
        core = cores[e]
        return bool(core.ready(core.x, core.u, core.p))

    def work_space(_journal: Any) -> NDArray[np.float64]:
        return space

    owed = (run_cycle, gather, outputs, carry_on, shift_carriers, entry_open, work_space)
    names: dict[str, Any] = {function.__name__: function for function in owed}
    return names
