"""Contrastive pre-training of the text encoder's upper layers on a shop's own texts and purchases."""
