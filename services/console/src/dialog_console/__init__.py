"""Web page (phone, registrations, calls) and the dialog-sip command."""
