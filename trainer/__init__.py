"""
Label → release.

`inbox` polls labelled events and deletions, `intake` says what each one is, `learning` predicts,
learns and remembers it in the `database`, and `publishing` turns the learner into a candidate that
is measured (`judging`) and must pass every `gate` before it is announced. `base_import` makes the
first release of all.
"""
