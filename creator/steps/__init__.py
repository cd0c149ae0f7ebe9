"""One terraform command that outlives everybody: started, watched, adopted, buried.

Importable without site packages, since the starter is: names are imported from the modules.
`orders.py` has the values, `steps.py` what deployments use, `commands.py` the commands that change nothing.
"""
