"""Every step from an older database to this one; expand first, contract a release later."""
