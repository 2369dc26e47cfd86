"""What a large shop would cost: unit costs measured on one machine, and a simulated cluster that pays them."""
