"""How fast the API answers agents, beside floors that do the least that anybody could."""
