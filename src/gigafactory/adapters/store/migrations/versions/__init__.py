"""One module per revision, in order; a revision that was ever released is never changed."""
