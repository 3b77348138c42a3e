"""Compose, render and mix the project's own demo song together with its true stems.

Run ``python -m scripts.make_demo_clip --help`` from the repository root. The needed packages are
in ``requirements.txt`` beside this file; they are not dependencies of the service.
"""
