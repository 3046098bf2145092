"""Breaking a running loop on purpose, and judging what came of it.

A case of the fault table is data (``cases``); it is played against real processes (``rig``), an
emulator, a loop and a wire between them (``proxy``), and judged by five oracles (``oracles``) that
read what the processes left behind (``evidence``), never what we believe to have done.
"""
