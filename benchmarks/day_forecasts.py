class Forecasts:
    moments = []
    def __init__(self, plan): pass
    def look(self, *, at): pass
    def settle(self, *, at): pass
    def say(self): pass
