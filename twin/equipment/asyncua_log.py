"""The log of the OPC UA library, kept to what a reader can act on."""

from __future__ import annotations

import logging


def quiet_asyncua() -> None:
    """Silence the library's loggers unless someone has set their level on purpose.

    One lost connection writes tens of tracebacks; whether the line is connected is told by the
    equipment itself, once when lost and once when back.
    """
    for name in ("asyncua", "asyncuagds"):
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.CRITICAL)
