"""Invoices of a telephone company."""
