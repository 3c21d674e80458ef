"""What the duty room does with reports."""
