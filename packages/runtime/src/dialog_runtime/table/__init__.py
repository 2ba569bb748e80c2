"""The table ``sip_user_mappings``: what a row holds, and whether it can be used. Pure; who reads it brings the rows."""
