"""Plans, runs and accounts for an AI gigafactory behind a congested high-voltage grid."""

__version__ = "0.1.0"
