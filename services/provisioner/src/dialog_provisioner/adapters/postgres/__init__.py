"""The table ``sip_user_mappings`` in the dialog server's PostgreSQL."""
