"""The chapters of the report: each turns the frame into sentences, tables and pictures."""
