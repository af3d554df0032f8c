"""Long work shows that it lives: a bar in a terminal or a notebook, elsewhere lines."""
