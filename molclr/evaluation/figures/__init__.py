"""The figures: each is drawn from files alone, so that it can be redrawn without training anything."""
