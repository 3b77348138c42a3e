"""Singing voices that nobody owns, for networks that tell lead from backing, men from women.

A speech model's voices sing scores that are made up (`scores`, `singer`), pitch-synchronous
resynthesis multiplies them (`psola`), a bank keeps them (`bank`), and `mixer` makes songs' vocal
tracks of them.
"""
