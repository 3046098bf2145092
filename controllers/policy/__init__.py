"""Learned policies as artefacts: one file that says what it is, proves it, and runs without torch.

``manifest`` says what a bundle holds, ``bundle`` is the file, ``signature`` who answers for it, ``loader``
the one door that a bundle must pass, ``approval`` how far it may act, ``controller`` the policy at work.
Only ``export`` imports torch, and nothing that runs a line imports ``export``.
"""
