"""What a campaign says: variants of subject, text, push and SMS from a product's facts."""
