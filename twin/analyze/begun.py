"""The cycle of a part that the twin did not begin itself: what the nominal model says of it."""

from __future__ import annotations

import numpy as np

from twin.line import schema as s
from twin.line.model import Line


def begin_as_modelled(line: Line, e: int, now_s: float, f: list[float]) -> None:
    """Fill the cycle's columns of a per-part station from its model, as of this moment.

    Wear, setpoints and disturbances in ``f`` must be up to date; they are those at the beginning of
    the part unless they have moved since.
    """
    model, k = line.elements[e].model, line.k
    if model is None:
        return
    a, ek = e * s.E_FLOATS, k[s.K_ELEMENT_K] + e * s.EK
    x = np.full(k[ek + s.N_X], f[a + s.WEAR])
    u = np.array(f[a + s.SETPOINT : a + s.SETPOINT + k[ek + s.N_SETPOINTS]])
    p_c, n_p, n_d = k[ek + s.P_C], k[ek + s.N_P], k[ek + s.N_D]
    d = np.array(line.c[p_c + 2 * n_p : p_c + 2 * n_p + n_d])
    for n, quantity in enumerate(model.dvs):
        column = k[k[ek + s.D_K] + n]
        if quantity.name == "shift_elapsed_h":
            d[n] = now_s / 3600.0 % line.plant.shift_h
        elif column >= 0:
            d[n] = f[k[s.K_DISTURBANCE_F] + column]
    y = model.numbers()(x, u, d, np.array(line.c[p_c : p_c + n_p]))
    f[a + s.CYCLE_S], f[a + s.CYCLE_KWH], f[a + s.MATERIAL_KG] = y[0], y[1], y[2]
    f[a + s.CYCLE_WEAR] = y[4]
    for n in range(k[ek + s.N_Y]):
        f[a + s.NEXT + n] = y[5 + n]
