"""
Event → classification.

`faust_delivery` takes windows of records, `pipeline` turns each record into one outcome with the
release that `live_model` holds, and the outcomes are delivered before the window is committed.
"""
