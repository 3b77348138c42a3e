"""How the shipped networks learn: free recordings as sources, mixtures made of them, recipes.

Nothing of the service imports this; it needs the packages of the extra `training`.
"""
