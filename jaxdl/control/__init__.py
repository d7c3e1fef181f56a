"""What reinforcement learning is made of: returns and policies."""
