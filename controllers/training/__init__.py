"""How policies learn: by trying, on top of a controller, or from the MPC. Needs the extra ``rl``.

``plain`` is PPO or SAC by itself, ``residual`` the same on top of a base, ``cloning`` copies the MPC; each
can be read by itself. ``settings`` holds what is chosen, ``task`` one training run with its seed,
``lines`` what is trained on, ``checkpoint`` what makes a stopped run go on as if nothing had been. A run
ends in a bundle, see ``controllers.policy``.
"""
