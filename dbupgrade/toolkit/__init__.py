"""`dbupgrade migrate`: the migrations of a folder without the operator, on a laptop, in CI or in a Helm hook.

Atlas does the migrating. The operator's process imports nothing from here.
"""
