"""What a person types and reads: commands, tables, exit codes, JSON for scripts.

May live here: reading files, showing answers; Rich is known here alone. May not: decisions.
"""
