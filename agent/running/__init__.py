"""How programs run: started in a sandbox by a launcher, read, limited, ended, and nothing of them left behind."""
